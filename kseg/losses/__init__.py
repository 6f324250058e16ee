"""Losses on integer labels `[B, H, W]` and logits `[B, H, W, classes]`; pixels labelled 255 are not counted."""

from kseg.losses.pixel import CrossEntropy, Focal
from kseg.losses.region import Dice, Jaccard, LovaszSoftmax, Tversky
from kseg.losses.segmentation_loss import SegmentationLoss, WeightedSum

__all__ = ["CrossEntropy", "Dice", "Focal", "Jaccard", "LovaszSoftmax", "SegmentationLoss", "Tversky", "WeightedSum"]
