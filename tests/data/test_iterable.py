"""groundup.data.iterable: torch's chains are the judge."""

import pytest
from torch.utils import data as theirs

from groundup import data as ours
from tests.data.nested import assert_same

BOTH = ours, theirs


@pytest.mark.earns(
    "torch.utils.data.IterableDataset", "torch.utils.data.ChainDataset"
)
def test_iterable_datasets_chain():
    found = []
    for library in BOTH:

        class Count(library.IterableDataset):
            def __init__(self, n):
                self.n = n

            def __iter__(self):
                return iter(range(self.n))

            def __len__(self):
                return self.n

        chain = Count(3) + Count(2)
        assert isinstance(chain, library.ChainDataset)
        found.append([list(chain), list(chain), len(chain)])
    assert_same(*found)
