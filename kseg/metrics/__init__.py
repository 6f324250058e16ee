"""Metrics of segmentation: scores of one confusion matrix over the dataset, boundaries, calibration."""

from kseg.metrics.confusion import (class_accuracy_from_confusion, confusion_matrix, dice_from_confusion,
                                    iou_from_confusion, mean_of_present, scores_from_confusion)
from kseg.metrics.scores import (ConfusionMetric, FrequencyWeightedIoU, MeanClassAccuracy, MeanDice, MeanIoU,
                                 PerClassIoU, PixelAccuracy, SegmentationScores)

__all__ = [
    "ConfusionMetric", "FrequencyWeightedIoU", "MeanClassAccuracy", "MeanDice", "MeanIoU", "PerClassIoU",
    "PixelAccuracy", "SegmentationScores", "class_accuracy_from_confusion", "confusion_matrix", "dice_from_confusion",
    "iou_from_confusion", "mean_of_present", "scores_from_confusion",
]
