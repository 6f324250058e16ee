"""Losses of logits decided one by one, against plain NumPy loops; 255 is ignored class by class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg import losses

CLASSES = 3
ALL = [
    losses.BinaryCrossEntropy(), losses.BinaryCrossEntropy([1, 2, 3], [0.5, 1, 2], label_smoothing=0.1),
    losses.BinaryCrossEntropy(4.0, ohem_fraction=0.3), losses.BinaryCrossEntropy(ohem_threshold=0.6),
    losses.BinaryFocal(), losses.BinaryFocal(0.5, 0.25, [1, 2, 3]), losses.Dice(task="multilabel"),
    losses.Dice(smooth=1.0, per_image=True, task="multilabel"), losses.Jaccard(task="multilabel"),
    losses.Tversky(0.2, 0.8, gamma=1.3, task="multilabel"), losses.LovaszHinge(),
    losses.LovaszHinge(per_image=True, class_weights=[1, 2, 3]),
    losses.Dice(task="multilabel") + 0.5 * losses.BinaryCrossEntropy(),
]
NAMES = [f"{index}-{loss.name}" for index, loss in enumerate(ALL)]


def scene(seed=0, batch=2, height=7, width=9):
    """Overlapping bands of two classes, the third absent; each has ignored pixels of its own."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    labels = np.zeros((batch, height, width, CLASSES), "int32")
    labels[..., 0] = (rows + columns) % 5 < 2
    labels[1, ..., 1] = rows > 3
    logits = (2.5 * labels - 1 + random.normal(size=labels.shape)).astype("float32")
    labels[:, 0, :, 0] = labels[:, :, -1, 1] = labels[:, 2, 2:5] = 255
    return labels, logits


def entries(labels, logits):
    """Yield (class, label, logit, probability) of every label that counts."""
    for place in np.ndindex(labels.shape):
        if labels[place] != 255:
            logit = float(logits[place])
            yield place[-1], int(labels[place]), logit, 1 / (1 + np.exp(-logit))


def value_and_gradient(loss, labels, logits, **arguments):
    values = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(labels, values, **arguments)
    return float(value), tape.gradient(value, values).numpy()


def test_binary_cross_entropy_equals_loops():
    labels, logits = scene()
    positive, weights, smoothing = [1, 2, 3], [0.5, 1, 2], 0.1
    plain, full = [], []
    for c, y, _, p in entries(labels, logits):
        plain.append(-np.log(p if y else 1 - p))
        target = (1 - smoothing) * y + smoothing / 2
        full.append(-weights[c] * (positive[c] * target * np.log(p) + (1 - target) * np.log(1 - p)))
    assert float(losses.BinaryCrossEntropy()(labels, logits)) == pytest.approx(np.mean(plain), rel=1e-5)
    loss = losses.BinaryCrossEntropy(positive, weights, label_smoothing=smoothing)
    assert float(loss(labels, logits)) == pytest.approx(np.mean(full), rel=1e-5)


@pytest.mark.parametrize("fraction, threshold", [(0.3, None), (None, 0.6), (0.05, 0.7)])
def test_hard_example_mining_keeps_the_hardest_labels(fraction, threshold):
    labels, logits = scene()
    values = sorted((-np.log(p if y else 1 - p) for _, y, _, p in entries(labels, logits)), reverse=True)
    kept = max(int(np.ceil((fraction or 0) * len(values))),
               sum(value >= -np.log(threshold) for value in values) if threshold else 0)
    loss = losses.BinaryCrossEntropy(ohem_fraction=fraction, ohem_threshold=threshold)
    assert float(loss(labels, logits)) == pytest.approx(np.mean(values[:kept]), rel=1e-5)


def test_binary_focal_equals_loops():
    labels, logits = scene()
    values = []
    for c, y, _, p in entries(labels, logits):
        own = p if y else 1 - p
        values.append(-[1, 2, 3][c] * (0.25 if y else 0.75) * (1 - own) ** 1.5 * np.log(own))
    loss = losses.BinaryFocal(1.5, 0.25, [1, 2, 3])
    assert float(loss(labels, logits)) == pytest.approx(np.mean(values), rel=1e-5)
    assert float(losses.BinaryFocal(0.0)(labels, logits)) == pytest.approx(
        float(losses.BinaryCrossEntropy()(labels, logits)), rel=1e-5)


@pytest.mark.parametrize("loss, alpha, beta, smooth", [
    (losses.Dice(task="multilabel"), 0.5, 0.5, 0), (losses.Jaccard(task="multilabel"), 1, 1, 0),
    (losses.Tversky(0.2, 0.8, smooth=2.0, task="multilabel"), 0.2, 0.8, 2.0)],
    ids=lambda one: getattr(one, "name", one))
def test_overlaps_equal_loops(loss, alpha, beta, smooth):
    labels, logits = scene()
    values = []
    for c in range(CLASSES):
        own = [(y, p) for index, y, _, p in entries(labels, logits) if index == c]
        hit = sum(p for y, p in own if y)
        below = hit + alpha * sum(p for y, p in own if not y) + beta * sum(1 - p for y, p in own if y) + smooth
        if smooth or any(y for y, _ in own):  # without smoothing an absent class costs 1 whatever its logits are
            values.append(1 - (hit + smooth) / below)
    assert float(loss(labels, logits)) == pytest.approx(np.mean(values), rel=1e-5)


def jaccard_loss(mistakes, labelled):
    """The Jaccard loss of a set of mistaken pixels, as Berman et al. define it: 0 without any."""
    wrong = labelled ^ mistakes
    union = labelled | wrong
    return 1 - len(labelled & wrong) / len(union) if mistakes else 0.0


def test_the_lovasz_hinge_equals_its_definition():
    labels, logits = scene()
    values = []
    for c in range(CLASSES):
        own = [(1 - logit * (2 * y - 1), y) for index, y, logit, _ in entries(labels, logits) if index == c]
        own.sort(key=lambda pair: -pair[0])
        labelled, mistakes, before, value = {i for i, (_, y) in enumerate(own) if y}, set(), 0.0, 0.0
        for index, (error, _) in enumerate(own):
            mistakes = mistakes | {index}
            after = jaccard_loss(mistakes, labelled)
            value += max(error, 0) * (after - before)
            before = after
        values.append(value)
    assert float(losses.LovaszHinge()(labels, logits)) == pytest.approx(np.mean(values), rel=1e-5)


def test_an_absent_class_costs_the_lovasz_hinge_of_its_largest_logit():
    logits = np.array([[[[-3.0], [0.5], [-0.2]]]], "float32")
    assert float(losses.LovaszHinge()(np.zeros((1, 1, 3), int), logits)) == pytest.approx(1.5)


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_gradient_equals_finite_differences_and_is_zero_where_ignored(loss):
    labels, logits = scene()
    _, gradient = value_and_gradient(loss, labels, logits)
    assert not gradient[labels == 255].any() and np.isfinite(gradient).all()
    for place in [(0, 1, 1, 0), (1, 5, 3, 1), (0, 3, 2, 2), (1, 1, 0, 0)]:
        step = np.zeros_like(logits)
        step[place] = 1e-2
        slope = (float(loss(labels, logits + step)) - float(loss(labels, logits - step))) / 2e-2
        assert gradient[place] == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_logits_under_ignored_labels_do_not_matter_nan_included(loss):
    labels, logits = scene()
    value, gradient = value_and_gradient(loss, labels, logits)
    other = np.where(labels == 255, np.nan, logits).astype("float32")
    other_value, other_gradient = value_and_gradient(loss, labels, other)
    assert other_value == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-5, atol=1e-8)
    nothing, zero = value_and_gradient(loss, np.full_like(labels, 255), logits)
    assert nothing == 0 and not zero.any()


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_saving_weights_and_half_precision(loss):
    labels, logits = scene()
    value = float(loss(labels, logits))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(labels, logits)) == value
    assert float(loss(labels, logits.astype("float16"))) == pytest.approx(value, rel=2e-2)
    for shape in [(2,), (2, 1), (2, 7, 9), (2, 7, 9, 1), (2, 7, 9, CLASSES)]:
        assert float(loss(labels, logits, sample_weight=np.ones(shape, "float32"))) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_the_path_of_other_backends_and_xla_give_the_same(loss, monkeypatch):
    labels, logits = scene()
    value = float(loss(labels, logits))
    compiled = tf.function(loss, jit_compile=True)
    assert float(compiled(tf.constant(labels), tf.constant(logits))) == pytest.approx(value, rel=1e-5)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert float(loss(labels, logits)) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("loss", [losses.BinaryCrossEntropy(), losses.BinaryFocal(), losses.LovaszHinge(),
                                  losses.Dice(task="binary"), losses.Jaccard(task="binary"),
                                  losses.Tversky(task="binary")], ids=lambda one: one.name)
def test_one_class_takes_label_maps(loss):
    labels, logits = scene()
    one = float(loss(labels[..., :1], logits[..., :1]))
    assert float(loss(labels[..., 0], logits[..., :1])) == one
    weights = np.where(np.arange(7)[:, None] < 3, 1.0, 0.0) * np.ones((2, 7, 9))
    assert np.isfinite(float(loss(labels[..., 0], logits[..., :1], sample_weight=weights)))


@pytest.mark.parametrize("call, sentence", [
    (lambda labels, logits: losses.BinaryCrossEntropy()(labels[..., 0], logits),
     "`labels` must be 0, 1 or 255, of the shape of the logits for task='multilabel', where the logits are "
     "(2, 7, 9, 3), got labels=(2, 7, 9). Pass one map per class, at the size of the logits."),
    (lambda labels, logits: losses.Dice(task="binary")(labels, logits),
     "`labels` must be 0, 1 or 255, [B, H, W] and logits [B, H, W, 1] for task='binary', where the logits are "
     "(2, 7, 9, 3), got labels=(2, 7, 9, 3). Pass one map per class, at the size of the logits."),
    (lambda labels, logits: losses.BinaryCrossEntropy()(labels * 0 + 2, logits),
     "`labels` must hold ids between 0 and 1, or 255 for pixels to ignore, got labels=(2, 2). Map the ids of the "
     "dataset to the classes of the model, or raise `classes`. Shown are the lowest and highest."),
    (lambda labels, logits: losses.BinaryCrossEntropy([1, 2])(labels, logits),
     "`positive_weights` must hold 3 numbers, one per class of the logits, got positive_weights=[1.0, 2.0]. "
     "Give each class a weight, 1.0 for no change."),
    (lambda labels, logits: losses.BinaryFocal(alpha=2), "`alpha` must be a number between 0 and 1, got alpha=2. "
     "Pass a value from 0 to 1."),
])
def test_illegal_values(call, sentence):
    with pytest.raises(ValueError) as caught:
        call(*scene())
    assert str(caught.value) == sentence
