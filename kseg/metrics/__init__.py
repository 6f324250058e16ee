"""Metrics of segmentation: scores of one confusion matrix over the dataset, boundaries, calibration, thresholds."""

from kseg.metrics.boundary import boundary_counts, boundary_f1, boundary_iou, boundary_region, image_boundary_f1
from kseg.metrics.calibration import Calibration, entropy_map, expected_calibration_error
from kseg.metrics.confusion import (
                                    class_accuracy_from_confusion,
                                    confusion_matrix,
                                    dice_from_confusion,
                                    iou_from_confusion,
                                    mean_of_present,
                                    scores_from_confusion,
                                    share_from_confusion,
)
from kseg.metrics.confusion_metric import ConfusionMetric
from kseg.metrics.rand import rand_error, rand_f_score, rand_pairs
from kseg.metrics.scores import (
                                    FrequencyWeightedIoU,
                                    MeanClassAccuracy,
                                    MeanDice,
                                    MeanIoU,
                                    PerClassIoU,
                                    PixelAccuracy,
                                    SegmentationScores,
)
from kseg.metrics.thresholds import ThresholdCurve

__all__ = [
    "Calibration", "ConfusionMetric", "FrequencyWeightedIoU", "MeanClassAccuracy", "MeanDice", "MeanIoU",
    "PerClassIoU", "PixelAccuracy", "SegmentationScores", "ThresholdCurve", "boundary_counts", "boundary_f1",
    "boundary_iou", "boundary_region", "class_accuracy_from_confusion", "confusion_matrix", "dice_from_confusion",
    "entropy_map", "expected_calibration_error", "image_boundary_f1", "iou_from_confusion", "mean_of_present",
    "rand_error", "rand_f_score", "rand_pairs", "scores_from_confusion", "share_from_confusion",
]
