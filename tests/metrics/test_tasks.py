"""Scores of binary and multi-label tasks against loops, from the Keras metrics and from confusion matrices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg import metrics

THRESHOLDS = (0.5, 0.3, 0.8)


def scene(seed=1, batch=3):
    random = np.random.default_rng(seed)
    labels = (random.uniform(size=(batch, 7, 9, 3)) < [0.5, 0.2, 0.0]).astype("int32")
    logits = (3 * labels - 1 + random.normal(0, 1.5, labels.shape)).astype("float32")
    labels[:, 0, :, 0] = labels[:, :, 0, 1] = labels[0, 3] = 255
    return labels, logits


def scores_by_loops(labels, logits, thresholds):
    """Count each class pixel by pixel."""
    counts = np.zeros((labels.shape[-1], 2, 2), int)
    for place in np.ndindex(labels.shape):
        if labels[place] != 255:
            predicted = 1 / (1 + np.exp(-float(logits[place]))) > thresholds[place[-1]]
            counts[place[-1], labels[place], int(predicted)] += 1
    hit, labelled, found = counts[:, 1, 1], counts[:, 1].sum(-1), counts[:, :, 1].sum(-1)
    union, ratio = labelled + found - hit, lambda above, below: above[below > 0] / below[below > 0]
    iou = np.where(union > 0, hit / np.maximum(union, 1), np.nan)
    return counts, iou, {
        "mean_iou": ratio(hit, union).mean(), "mean_dice": ratio(2 * hit, labelled + found).mean(),
        "mean_class_accuracy": ratio(hit, labelled).mean(),
        "pixel_accuracy": (counts[:, 0, 0] + counts[:, 1, 1]).sum() / counts.sum(),
        "frequency_weighted_iou": np.nansum(labelled * iou) / labelled.sum()}


@pytest.mark.parametrize("task", ["multilabel", "binary"])
def test_scores_equal_loops(task):
    labels, logits = scene()
    classes = 3 if task == "multilabel" else 1
    counts, iou, wanted = scores_by_loops(labels[..., :classes], logits[..., :classes], THRESHOLDS)
    given = labels if task == "multilabel" else labels[..., 0]
    metric = metrics.SegmentationScores(classes, task=task, threshold=THRESHOLDS[:classes])
    each = metrics.PerClassIoU(classes, task=task, threshold=THRESHOLDS[:classes])
    for one in (metric, each):
        for image in range(3):
            one.update_state(given[image:image + 1], logits[image:image + 1, ..., :classes])
    for name, value in metric.result().items():
        assert float(value) == pytest.approx(wanted[name], abs=1e-6), name
    np.testing.assert_allclose([float(value) for value in each.result().values()], iou, atol=1e-6)
    np.testing.assert_array_equal(metric.confusion(), counts if task == "multilabel" else counts[0])
    decided = (logits[..., :classes] > np.log(np.divide(THRESHOLDS[:classes], 1 - np.array(THRESHOLDS[:classes]))))
    decided = decided.astype(int) if task == "multilabel" else decided[..., 0].astype(int)
    matrix = metrics.confusion_matrix(given, decided, classes, task=task)
    np.testing.assert_array_equal(matrix, metric.confusion())
    for name, value in metrics.scores_from_confusion(matrix, task).items():
        assert value == pytest.approx(wanted[name], abs=1e-12), name
    np.testing.assert_allclose(metrics.iou_from_confusion(matrix, task), iou)
    ids = metrics.MeanIoU(classes, task=task)
    ids.update_state(given, decided)  # integers are labels, not logits
    np.testing.assert_array_equal(ids.confusion(), matrix)


def test_binary_takes_a_channel_axis_and_weights():
    labels, logits = scene()
    wanted = metrics.MeanIoU(1, task="binary")
    wanted.update_state(labels[1:, ..., 0], logits[1:, ..., :1])
    found = metrics.MeanIoU(1, task="binary")
    found.update_state(labels[..., :1], logits[..., :1], sample_weight=np.array([0, 1, 1.0], "float32"))
    np.testing.assert_array_equal(found.confusion(), wanted.confusion())
    pixels = np.ones((3, 7, 9), "float32")
    pixels[0] = 0
    several = metrics.MeanIoU(3, task="multilabel")
    several.update_state(labels, logits, sample_weight=pixels)
    np.testing.assert_array_equal(several.confusion()[0], wanted.confusion())


def test_in_a_graph_and_saved():
    labels, logits = scene()
    metric = metrics.MeanIoU(3, task="multilabel", threshold=list(THRESHOLDS))
    tf.function(metric.update_state, jit_compile=True)(tf.constant(labels), tf.constant(logits))
    _, _, wanted = scores_by_loops(labels, logits, THRESHOLDS)
    assert float(metric.result()) == pytest.approx(wanted["mean_iou"], abs=1e-6)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config() and again.task.name == "multilabel"


def test_share_of_classes():
    matrix = np.array([[[6, 2], [1, 1]], [[5, 5], [0, 0]]])
    assert metrics.share_from_confusion(matrix, "multilabel").tolist() == [0.2, 0.0]
    assert metrics.share_from_confusion(matrix[0], "binary").tolist() == [0.2]
    assert metrics.share_from_confusion(np.eye(3)).tolist() == [1 / 3] * 3


@pytest.mark.parametrize("call, sentence", [
    (lambda labels, logits: metrics.MeanIoU(2, task="binary"), "`classes` must be 1 for task='binary', got classes=2. "
     "The one class is the foreground: pass classes=1."),
    (lambda labels, logits: metrics.MeanIoU(3, task="multilabel").update_state(labels + 1 - labels // 255, logits),
     "`labels` must hold ids between 0 and 1, or 255 for pixels to ignore, got labels=2. Map the ids of the dataset to "
     "the classes of the model, or raise `classes`."),
    (lambda labels, logits: metrics.MeanIoU(3, task="multilabel").update_state(labels[..., 0], logits),
     "`predictions` must have the height and width of the labels, (3, 7, 9), got predictions=(3, 7, 9, 3). Resize the "
     "logits to the labels first."),
])
def test_illegal_values(call, sentence):
    with pytest.raises(ValueError) as caught:
        call(*scene())
    assert str(caught.value) == sentence
