# Extracted from book/; edit the chapters.
"""The public names of groundup.data."""

from groundup.data.affine import affine_grid as affine_grid
from groundup.data.affine import random_affine as random_affine
from groundup.data.affine import random_rotation as random_rotation
from groundup.data.affine import sample as sample
from groundup.data.alternating import (
    AlternatingFlipLoader as AlternatingFlipLoader,
)
from groundup.data.alternating import alternating_flip as alternating_flip
from groundup.data.alternating import flip_where as flip_where
from groundup.data.augment import random_crop as random_crop
from groundup.data.augment import random_erase as random_erase
from groundup.data.augment import random_flip as random_flip
from groundup.data.choice import SubsetRandomSampler as SubsetRandomSampler
from groundup.data.choice import WeightedRandomSampler as WeightedRandomSampler
from groundup.data.collate import default_collate as default_collate
from groundup.data.collate import default_convert as default_convert
from groundup.data.collate import map_batch as map_batch
from groundup.data.collate import to_device as to_device
from groundup.data.color import color_jitter as color_jitter
from groundup.data.dataset import ConcatDataset as ConcatDataset
from groundup.data.dataset import Dataset as Dataset
from groundup.data.dataset import TensorDataset as TensorDataset
from groundup.data.iterable import ChainDataset as ChainDataset
from groundup.data.iterable import IterableDataset as IterableDataset
from groundup.data.loader import DataLoader as DataLoader
from groundup.data.parts import StackDataset as StackDataset
from groundup.data.parts import Subset as Subset
from groundup.data.parts import random_split as random_split
from groundup.data.resume import Resumable as Resumable
from groundup.data.resume import random_state as random_state
from groundup.data.resume import raw_states as raw_states
from groundup.data.resume import set_random_state as set_random_state
from groundup.data.sampler import BatchSampler as BatchSampler
from groundup.data.sampler import RandomSampler as RandomSampler
from groundup.data.sampler import Sampler as Sampler
from groundup.data.sampler import SequentialSampler as SequentialSampler
from groundup.data.sealed import Sealed as Sealed
from groundup.data.tensor_loader import TensorLoader as TensorLoader
from groundup.data.worker import WorkerInfo as WorkerInfo
from groundup.data.worker import get_worker_info as get_worker_info
