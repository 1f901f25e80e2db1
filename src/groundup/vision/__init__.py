# Extracted from book/; edit the chapters.
"""The public names of groundup.vision."""

from groundup.vision.anchors import BACKGROUND as BACKGROUND
from groundup.vision.anchors import IGNORED as IGNORED
from groundup.vision.anchors import anchor_boxes as anchor_boxes
from groundup.vision.anchors import decode_boxes as decode_boxes
from groundup.vision.anchors import encode_boxes as encode_boxes
from groundup.vision.anchors import match_anchors as match_anchors
from groundup.vision.box_operations import (
    clip_boxes_to_image as clip_boxes_to_image,
)
from groundup.vision.box_operations import complete_box_iou as complete_box_iou
from groundup.vision.box_operations import (
    complete_box_iou_loss as complete_box_iou_loss,
)
from groundup.vision.box_operations import distance_box_iou as distance_box_iou
from groundup.vision.box_operations import (
    distance_box_iou_loss as distance_box_iou_loss,
)
from groundup.vision.box_operations import (
    generalized_box_iou as generalized_box_iou,
)
from groundup.vision.box_operations import (
    generalized_box_iou_loss as generalized_box_iou_loss,
)
from groundup.vision.box_operations import masks_to_boxes as masks_to_boxes
from groundup.vision.box_operations import (
    remove_small_boxes as remove_small_boxes,
)
from groundup.vision.boxes import FORMATS as FORMATS
from groundup.vision.boxes import batched_nms as batched_nms
from groundup.vision.boxes import box_area as box_area
from groundup.vision.boxes import box_convert as box_convert
from groundup.vision.boxes import box_iou as box_iou
from groundup.vision.boxes import nms as nms
from groundup.vision.coco import AREAS as AREAS
from groundup.vision.coco import LIMITS as LIMITS
from groundup.vision.coco import coco_scores as coco_scores
from groundup.vision.coco import coco_summary as coco_summary
from groundup.vision.detector import Detector as Detector
from groundup.vision.detector import detect as detect
from groundup.vision.detector import detection_loss as detection_loss
from groundup.vision.detector import detections as detections
from groundup.vision.fast import FastResNet as FastResNet
from groundup.vision.fast import LowPrecision as LowPrecision
from groundup.vision.fast import Recipe as Recipe
from groundup.vision.fast import fast_learner as fast_learner
from groundup.vision.fast import kernels_and_rest as kernels_and_rest
from groundup.vision.focal_loss import sigmoid_focal_loss as sigmoid_focal_loss
from groundup.vision.precision import THRESHOLDS as THRESHOLDS
from groundup.vision.precision import average_precision as average_precision
from groundup.vision.precision import average_precisions as average_precisions
from groundup.vision.precision import claim as claim
from groundup.vision.resnet import BasicBlock as BasicBlock
from groundup.vision.resnet import Bottleneck as Bottleneck
from groundup.vision.resnet import ResNet as ResNet
from groundup.vision.resnet import resnet18 as resnet18
from groundup.vision.resnet import resnet34 as resnet34
from groundup.vision.resnet import resnet50 as resnet50
from groundup.vision.scenes import crop_to_ink as crop_to_ink
from groundup.vision.scenes import digit_scenes as digit_scenes
