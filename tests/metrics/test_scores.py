"""Keras metrics against plain NumPy loops, invariances, ids that are no class, use in fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg import metrics
from kseg.losses import CrossEntropy

SCALARS = [metrics.MeanIoU, metrics.MeanDice, metrics.PixelAccuracy, metrics.MeanClassAccuracy,
           metrics.FrequencyWeightedIoU]


def scene(batch=4, height=24, width=31, classes=5, seed=0):
    """Blocks of classes, a noisy copy as prediction, a stripe of 255; class `classes - 1` nowhere."""
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(0, classes - 1, (batch, 4, 5)), np.ones((1, 6, 7), int))[:, :height, :width]
    predictions = np.where(random.random(labels.shape) < 0.3, (labels + 1) % (classes - 1), labels)
    labels[:, 3:6] = 255
    return labels.astype("int32"), predictions.astype("int32")


def one_hot_logits(predictions, classes):
    return (np.eye(classes, dtype="float32")[predictions] * 3 - 1)


def scores_by_loops(labels, predictions, classes):
    pairs = [(t, p) for t, p in zip(labels.ravel().tolist(), predictions.ravel().tolist()) if t != 255]
    iou, dice, accuracy, weighted = [], [], [], 0.0
    for c in range(classes):
        hit = sum(t == c and p == c for t, p in pairs)
        labelled, predicted = sum(t == c for t, _ in pairs), sum(p == c for _, p in pairs)
        if labelled + predicted:
            iou.append(hit / (labelled + predicted - hit))
            dice.append(2 * hit / (labelled + predicted))
            weighted += labelled / len(pairs) * iou[-1]
        if labelled:
            accuracy.append(hit / labelled)
    return {"mean_iou": np.mean(iou), "mean_dice": np.mean(dice), "mean_class_accuracy": np.mean(accuracy),
            "pixel_accuracy": np.mean([t == p for t, p in pairs]), "frequency_weighted_iou": weighted}


@pytest.mark.parametrize("metric_class", SCALARS)
def test_scores_equal_loops(metric_class):
    labels, predictions = scene()
    metric = metric_class(5)
    metric.update_state(labels, one_hot_logits(predictions, 5))
    assert float(metric.result()) == pytest.approx(scores_by_loops(labels, predictions, 5)[metric.name], abs=1e-6)
    metric.reset_state()
    metric.update_state(labels[..., None], predictions)
    assert float(metric.result()) == pytest.approx(scores_by_loops(labels, predictions, 5)[metric.name], abs=1e-6)


def test_all_scores_of_one_matrix_and_numpy_agree():
    labels, predictions = scene()
    metric = metrics.SegmentationScores(5)
    metric.update_state(labels, predictions)
    expected = scores_by_loops(labels, predictions, 5)
    assert {key: float(value) for key, value in metric.result().items()} == pytest.approx(expected, abs=1e-6)
    matrix = metrics.confusion_matrix(labels, predictions, 5)
    np.testing.assert_array_equal(metric.confusion(), matrix)
    assert metrics.scores_from_confusion(matrix) == pytest.approx(expected)


def test_batch_size_and_order_do_not_matter():
    labels, predictions = scene(batch=6)
    results = []
    for batches in ([slice(0, 6)], [slice(i, i + 1) for i in range(6)], [slice(3, 6), slice(0, 3)]):
        metric = metrics.MeanIoU(5)
        for batch in batches:
            metric.update_state(labels[batch], predictions[batch])
        results.append(float(metric.result()))
    assert results[0] == results[1] == results[2]


def test_more_than_two_to_the_24_pixels_count():
    metric = metrics.PixelAccuracy(2)
    labels = np.zeros((1, 2048, 2048), "int32")
    for _ in range(5):  # 20,971,520 pixels
        metric.update_state(labels, labels)
    labels[0, 0, 0] = 1
    metric.update_state(labels[:, :1, :1], labels[:, :1, :1])
    assert metric.confusion().tolist() == [[20971520, 0], [0, 1]]


def test_absent_class_is_left_out_and_nothing_counted_is_nan():
    metric = metrics.MeanIoU(3)
    metric.update_state(np.zeros((1, 2, 2), int), np.zeros((1, 2, 2), int))
    assert float(metric.result()) == 1.0
    metric.reset_state()
    metric.update_state(np.full((1, 2, 2), 255), np.zeros((1, 2, 2), int))
    assert np.isnan(float(metric.result()))


def test_garbage_under_ignored_pixels_changes_nothing():
    labels, predictions = scene()
    metric = metrics.MeanIoU(5)
    metric.update_state(labels, np.where(labels == 255, -7, predictions))
    assert float(metric.result()) == pytest.approx(scores_by_loops(labels, predictions, 5)["mean_iou"], abs=1e-6)


@pytest.mark.parametrize("weights", [[1, 0, 1, 0], [[1], [0], [1], [0]], None])
def test_pixels_of_weight_zero_are_not_counted(weights):
    labels, predictions = scene()
    if weights is None:
        weights = np.zeros((4, 24, 31, 1), "float32")
        weights[::2] = 0.4
    metric = metrics.MeanIoU(5)
    metric.update_state(labels, predictions, sample_weight=np.asarray(weights, "float32"))
    expected = scores_by_loops(labels[::2], predictions[::2], 5)["mean_iou"]
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_unknown_ids_raise():
    labels = np.array([[[0, 1], [37, 255]]])
    sentence = ("`labels` must hold ids between 0 and 10, or 255 for pixels to ignore, got labels=37. "
                "Map the ids of the dataset to the classes of the model, or raise `classes`.")
    with pytest.raises(ValueError) as caught:
        metrics.MeanIoU(11).update_state(labels, np.zeros((1, 2, 2), int))
    assert str(caught.value) == sentence
    with pytest.raises(ValueError) as caught:
        metrics.confusion_matrix(labels, np.zeros((1, 2, 2), int), 11)
    assert str(caught.value) == sentence
    with pytest.raises(ValueError) as caught:
        metrics.MeanIoU(2).update_state(np.zeros((1, 1, 1), int), np.full((1, 1, 1), 2))
    assert str(caught.value) == ("`predictions` must hold ids between 0 and 1, got predictions=2. "
                                 "Map the ids of the dataset to the classes of the model, or raise `classes`.")


def test_unknown_ids_raise_in_a_graph():
    metric = metrics.MeanIoU(11)
    update = tf.function(metric.update_state)
    update(np.zeros((1, 2, 2), "int32"), np.zeros((1, 2, 2), "int32"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="`labels` must hold ids between 0 and 10, or 255"):
        update(np.full((1, 2, 2), 37, "int32"), np.zeros((1, 2, 2), "int32"))


def test_unknown_ids_make_a_compiled_result_nan():
    metric = metrics.MeanIoU(2)
    metric.outside.assign(1)
    assert np.isnan(float(metric.result()))


def test_shapes_that_do_not_belong_together_raise():
    with pytest.raises(ValueError) as caught:
        metrics.MeanIoU(3).update_state(np.zeros((1, 4, 4), int), np.zeros((1, 2, 2, 3), "float32"))
    assert str(caught.value) == ("`predictions` must have the height and width of the labels, (1, 4, 4), "
                                 "got predictions=(1, 2, 2). Resize the logits to the labels first.")
    with pytest.raises(ValueError) as caught:
        metrics.MeanIoU(3).update_state(np.zeros((1, 4, 4), int), np.zeros((1, 4, 4, 5), "float32"))
    assert str(caught.value) == (
        "`predictions` must be logits [B, H, W, 3] or integer ids [B, H, W], got predictions=(1, 4, 4, 5). "
        "Make `classes` of the metric that of the model.")


def test_per_class_iou_names_its_classes():
    labels, predictions = scene()
    metric = metrics.PerClassIoU(5, class_names=["road", "sky", "car", "tree", "nowhere"])
    metric.update_state(labels, predictions)
    result = {key: float(value) for key, value in metric.result().items()}
    expected = metrics.iou_from_confusion(metrics.confusion_matrix(labels, predictions, 5))
    assert list(result) == ["iou_road", "iou_sky", "iou_car", "iou_tree", "iou_nowhere"]
    np.testing.assert_allclose(list(result.values()), expected, rtol=1e-6)
    assert np.isnan(result["iou_nowhere"])


@pytest.mark.parametrize("metric_class", SCALARS + [metrics.PerClassIoU, metrics.SegmentationScores])
def test_config_round_trip(metric_class):
    metric = metric_class(4, ignore_class=9)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(again) is metric_class and again.get_config() == metric.get_config()


def test_in_fit_under_mixed_precision_and_as_monitor(tmp_path):
    labels, _ = scene(classes=4)
    pixels = np.repeat(labels[..., None], 3, -1).astype("float32")
    inputs = keras.Input((None, None, 3))
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, dtype=policy)(inputs))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
                  metrics=[metrics.MeanIoU(4), metrics.PerClassIoU(4), metrics.SegmentationScores(4, name="all")])
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_mean_iou", save_best_only=True)
    history = model.fit(pixels, labels, validation_data=(pixels, labels), epochs=2, verbose=0, callbacks=[keep])
    assert {"mean_iou", "val_mean_iou", "val_iou_3", "val_pixel_accuracy"} <= set(history.history)
    assert (tmp_path / "best.keras").is_file()
    expected = metrics.confusion_matrix(labels, np.argmax(model.predict(pixels, verbose=0), -1), 4)
    assert history.history["val_mean_iou"][-1] == pytest.approx(
        metrics.scores_from_confusion(expected)["mean_iou"], abs=1e-6)


def test_path_of_other_backends_gives_the_same(monkeypatch):
    labels, predictions = scene()
    expected = scores_by_loops(labels, predictions, 5)
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    metric = metrics.SegmentationScores(5)
    metric.update_state(labels, one_hot_logits(predictions, 5))
    assert {key: float(value) for key, value in metric.result().items()} == pytest.approx(expected, abs=1e-6)
    metric.update_state(labels + 40 * (labels == 1), predictions)
    assert np.isnan(float(metric.result()["mean_iou"]))


def test_compiled_by_xla():
    labels, predictions = scene()
    metric = metrics.MeanIoU(5)
    tf.function(metric.update_state, jit_compile=True)(labels, predictions)
    assert float(metric.result()) == pytest.approx(scores_by_loops(labels, predictions, 5)["mean_iou"], abs=1e-6)


def test_a_training_step_compiled_by_xla():
    """Keras compiles steps so wherever there is a GPU; the values counted come out of a network there."""
    labels, _ = scene()
    pixels = np.random.default_rng(0).random((*labels.shape, 2)).astype("float32")
    model = keras.Sequential([keras.layers.Conv2D(5, 1), keras.layers.BatchNormalization()])
    model.compile("sgd", CrossEntropy(), metrics=[metrics.MeanIoU(5)], jit_compile=True)
    assert 0 <= model.fit(pixels, labels, verbose=0).history["mean_iou"][0] < 1
