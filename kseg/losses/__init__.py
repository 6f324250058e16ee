"""Losses on integer labels and logits; what is labelled 255 is not counted.

Labels are `[B, H, W]` where a pixel has one class; where each logit `[B, H, W, classes]` is decided by itself they are
0 or 1, `[B, H, W, classes]`, or `[B, H, W]` for one class.
"""

from kseg.losses.lovasz import LovaszHinge, LovaszSoftmax
from kseg.losses.pixel import CrossEntropy, Focal
from kseg.losses.region import Dice, Jaccard, Tversky
from kseg.losses.segmentation_loss import SegmentationLoss, WeightedSum
from kseg.losses.sigmoid import BinaryCrossEntropy, BinaryFocal

__all__ = ["BinaryCrossEntropy", "BinaryFocal", "CrossEntropy", "Dice", "Focal", "Jaccard", "LovaszHinge",
           "LovaszSoftmax", "SegmentationLoss", "Tversky", "WeightedSum"]
