"""Losses against plain NumPy loops on structured inputs; ignored pixels, gradients, dtypes, weights, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg import losses

CLASSES = 4
ALL = [
    losses.CrossEntropy(), losses.CrossEntropy(class_weights=[0.5, 1, 2, 3], label_smoothing=0.1),
    losses.CrossEntropy(ohem_fraction=0.3), losses.CrossEntropy(ohem_threshold=0.6), losses.Focal(),
    losses.Focal(gamma=0.5, alpha=[1, 2, 3, 4]), losses.Dice(), losses.Dice(smooth=1.0, per_image=True),
    losses.Jaccard(), losses.Tversky(), losses.Tversky(0.2, 0.8, gamma=1.3), losses.LovaszSoftmax(),
    losses.LovaszSoftmax(per_image=True), losses.Dice() + 0.5 * losses.CrossEntropy(),
]
NAMES = [f"{index}-{loss.name}" for index, loss in enumerate(ALL)]


def scene(seed=0, batch=2, height=9, width=11):
    """Diagonal bands of classes 0–2 (3 is absent), a rim of 255, logits that mostly follow with smooth noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    labels = np.stack([((rows + columns * (1 + image)) // 4) % 3 for image in range(batch)]).astype("int32")
    noise = random.normal(size=(batch, height, width, CLASSES))
    logits = (2 * np.eye(CLASSES)[labels] + noise).astype("float32")
    labels[:, 0] = labels[:, :, -1] = 255
    return labels, logits


def softmax(logits):
    powers = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def valid_pixels(labels, logits):
    probabilities = softmax(logits)
    return [(probabilities[place], labels[place]) for place in np.ndindex(labels.shape) if labels[place] != 255]


def cross_entropy_by_loops(labels, logits, class_weights=None, smoothing=0.0):
    values = []
    for p, y in valid_pixels(labels, logits):
        target = np.full(CLASSES, smoothing / CLASSES)
        target[y] += 1 - smoothing
        values.append(-(target * np.log(p)).sum() * (1 if class_weights is None else class_weights[y]))
    return np.mean(values)


def overlap_by_loops(labels, logits, alpha, beta, gamma=1.0, smooth=0.0):
    values = []
    for c in range(CLASSES):
        hit = false_positive = false_negative = 0.0
        for p, y in valid_pixels(labels, logits):
            hit += p[c] * (y == c)
            false_positive += p[c] * (y != c)
            false_negative += (1 - p[c]) * (y == c)
        if any(y == c for _, y in valid_pixels(labels, logits)):
            below = hit + alpha * false_positive + beta * false_negative + smooth
            values.append((1 - (hit + smooth) / below) ** gamma)
    return np.mean(values)


def lovasz_by_loops(labels, logits):
    """The definition: sort the errors, sum each times the growth of the Jaccard loss of the set of misses."""
    pixels, values = valid_pixels(labels, logits), []
    for c in range(CLASSES):
        truth = np.array([y == c for _, y in pixels])
        if not truth.any():
            continue
        errors = np.abs(truth - np.array([p[c] for p, _ in pixels]))
        order, total, before = np.argsort(-errors, kind="stable"), 0.0, 0.0
        for count in range(1, len(order) + 1):
            missed = np.zeros(len(order), bool)
            missed[order[:count]] = True
            jaccard = 1 - (truth & ~missed).sum() / (truth | missed).sum()
            total += errors[order[count - 1]] * (jaccard - before)
            before = jaccard
        values.append(total)
    return np.mean(values)


def value_and_gradient(loss, labels, logits, **arguments):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(labels, logits, **arguments)
    return float(value), tape.gradient(value, logits).numpy()


def test_cross_entropy_equals_loops():
    labels, logits = scene()
    assert float(losses.CrossEntropy()(labels, logits)) == pytest.approx(cross_entropy_by_loops(labels, logits))
    weights = [0.5, 1.0, 2.0, 3.0]
    loss = losses.CrossEntropy(class_weights=weights, label_smoothing=0.1)
    assert float(loss(labels, logits)) == pytest.approx(cross_entropy_by_loops(labels, logits, weights, 0.1), rel=1e-5)


@pytest.mark.parametrize("fraction, threshold", [(0.3, None), (None, 0.6), (0.05, 0.7), (0.9, 0.2)])
def test_hard_example_mining_keeps_the_hardest(fraction, threshold):
    labels, logits = scene()
    hardest = sorted((-np.log(p[y]) for p, y in valid_pixels(labels, logits)), reverse=True)
    count = max(int(np.ceil((fraction or 0) * len(hardest))),
                sum(value > -np.log(threshold) for value in hardest) if threshold else 0)
    loss = losses.CrossEntropy(ohem_fraction=fraction, ohem_threshold=threshold)
    assert float(loss(labels, logits)) == pytest.approx(np.mean(hardest[:count]), rel=1e-5)


def test_focal_equals_loops():
    labels, logits = scene()
    alpha = [1.0, 2.0, 3.0, 4.0]
    expected = np.mean([-alpha[y] * (1 - p[y]) ** 1.5 * np.log(p[y]) for p, y in valid_pixels(labels, logits)])
    assert float(losses.Focal(1.5, alpha)(labels, logits)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.Focal(0)(labels, logits)) == pytest.approx(cross_entropy_by_loops(labels, logits), rel=1e-5)


@pytest.mark.parametrize("loss, arguments", [
    (losses.Dice(), (0.5, 0.5)), (losses.Jaccard(), (1, 1)), (losses.Tversky(), (0.3, 0.7)),
    (losses.Tversky(0.2, 0.8, gamma=1.3, smooth=2.0), (0.2, 0.8, 1.3, 2.0))])
def test_overlaps_equal_loops(loss, arguments):
    labels, logits = scene()
    assert float(loss(labels, logits)) == pytest.approx(overlap_by_loops(labels, logits, *arguments), rel=1e-5)


def test_lovasz_equals_its_definition():
    labels, logits = scene()
    assert float(losses.LovaszSoftmax()(labels, logits)) == pytest.approx(lovasz_by_loops(labels, logits), rel=1e-5)


def test_per_image_is_the_mean_over_images_and_their_present_classes():
    labels, logits = scene()
    labels[1][labels[1] == 2] = 1  # image 1 has two classes, image 0 three
    counts = [3, 2]
    for loss, alone in [(losses.LovaszSoftmax(per_image=True), lovasz_by_loops),
                        (losses.Jaccard(per_image=True), lambda y, x: overlap_by_loops(y, x, 1, 1))]:
        each = [alone(labels[i:i + 1], logits[i:i + 1]) for i in range(2)]
        assert float(loss(labels, logits)) == pytest.approx(np.average(each, weights=counts), rel=1e-5)


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_gradient_equals_finite_differences_and_is_zero_where_ignored(loss):
    labels, logits = scene(height=4, width=5)
    _, gradient = value_and_gradient(loss, labels, logits)
    assert not gradient[labels == 255].any() and gradient[labels != 255].any()
    random = np.random.default_rng(1)
    for _ in range(6):
        place = (*np.argwhere(labels != 255)[random.integers((labels != 255).sum())], random.integers(CLASSES))
        step = np.zeros_like(logits)
        step[place] = 1e-2
        numeric = (float(loss(labels, logits + step)) - float(loss(labels, logits - step))) / 2e-2
        assert gradient[place] == pytest.approx(numeric, abs=3e-4)


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_logits_under_ignored_pixels_do_not_matter_nan_included(loss):
    labels, logits = scene()
    value, gradient = value_and_gradient(loss, labels, logits)
    broken = logits.copy()
    broken[labels == 255] = np.nan
    again, gradient_again = value_and_gradient(loss, labels, broken)
    assert again == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(gradient_again, gradient, atol=1e-8)


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_batch_of_ignored_pixels_costs_nothing(loss):
    labels, logits = scene()
    value, gradient = value_and_gradient(loss, np.full_like(labels, 255), logits)
    assert value == 0 and not gradient.any()


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_logits_are_reduced_in_float32(loss, dtype):
    labels, logits = scene(height=64, width=64)
    low = tf.cast(logits * 40, dtype)  # some probabilities underflow
    expected = float(loss(labels, tf.cast(low, "float32")))
    value = loss(labels, low)
    assert value.dtype == tf.float32 and float(value) == pytest.approx(expected, rel=1e-6) and np.isfinite(expected)
    assert np.isfinite(value_and_gradient(loss, labels, low)[1].astype("float32")).all()


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_saving_keeps_every_argument(loss):
    labels, logits = scene()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    assert float(again(labels, logits)) == float(loss(labels, logits))


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_weights_of_every_shape(loss):
    labels, logits = scene()
    ones = float(loss(labels, logits))
    for shape in [(2,), (2, 1), labels.shape, (*labels.shape, 1)]:
        assert float(loss(labels, logits, sample_weight=np.ones(shape, "float32"))) == pytest.approx(ones, rel=1e-6)
    _, gradient = value_and_gradient(loss, labels, logits, sample_weight=np.array([1.0, 0.0], "float32"))
    assert gradient[0].any() and not gradient[1].any()
    nothing, gradient = value_and_gradient(loss, labels, logits, sample_weight=np.zeros(labels.shape, "float32"))
    assert nothing == 0 and not gradient.any()


def test_pixel_weights_multiply_and_the_divisor_stays_the_pixel_count():
    labels, logits = scene()
    weights = np.random.default_rng(2).uniform(0, 3, labels.shape)
    chosen = [(place, weights[place]) for place in np.ndindex(labels.shape) if labels[place] != 255]
    probabilities = softmax(logits)
    expected = np.mean([-w * np.log(probabilities[place][labels[place]]) for place, w in chosen])
    assert float(losses.CrossEntropy()(labels, logits, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [losses.Dice(), losses.Jaccard(), losses.LovaszSoftmax()], ids=lambda one: one.name)
def test_a_pixel_of_weight_two_counts_as_two_pixels(loss):
    labels, logits = scene()
    weights = np.ones(labels.shape, "float32")
    weights[:, :, 2:5] = 2
    twice_labels = np.concatenate([labels, labels[:, :, 2:5]], axis=2)
    twice_logits = np.concatenate([logits, logits[:, :, 2:5]], axis=2)
    assert float(loss(labels, logits, sample_weight=weights)) == pytest.approx(
        float(loss(twice_labels, twice_logits)), rel=1e-5)


def test_equals_keras_with_ignore_class():
    labels, logits = scene()
    reference = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    value, gradient = value_and_gradient(losses.CrossEntropy(), labels, logits)
    expected, expected_gradient = value_and_gradient(reference, labels, logits)
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-8)


def test_sums_add_weighted_values():
    labels, logits = scene()
    dice, cross_entropy = losses.Dice(), losses.CrossEntropy()
    expected = 0.25 * float(dice(labels, logits)) + 2 * float(cross_entropy(labels, logits))
    for total in [0.25 * dice + 2 * cross_entropy, losses.WeightedSum([(dice, 0.25), (cross_entropy, 2)]),
                  (0.5 * dice + 4 * cross_entropy) * 0.5]:
        assert float(total(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert len(sum([dice, cross_entropy, losses.Focal()]).terms) == 3


@pytest.mark.parametrize("shape", [(2, 9, 11), (2, 9, 11, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_label_shapes_and_dtypes(shape, dtype):
    labels, logits = scene()
    value = float(losses.CrossEntropy()(labels.reshape(shape).astype(dtype), logits))
    assert value == pytest.approx(cross_entropy_by_loops(labels, logits))


def test_fit_under_mixed_float16_saves_and_loads(tmp_path):
    labels, logits = scene()
    inputs = keras.Input((None, None, CLASSES))
    outputs = keras.layers.Conv2D(CLASSES, 1, dtype=keras.DTypePolicy("mixed_float16"))(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", losses.LovaszSoftmax() + losses.CrossEntropy())
    model.fit(logits, labels, sample_weight=np.ones(labels.shape, "float32"), verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.evaluate(logits, labels, verbose=0) == pytest.approx(model.evaluate(logits, labels, verbose=0))


def test_unknown_ids_raise_in_eager_and_graph_mode():
    labels, logits = scene()
    labels[0, 4, 4] = 37
    for loss in [losses.CrossEntropy(), losses.Dice()]:
        with pytest.raises(ValueError) as caught:
            loss(labels, logits)
        assert str(caught.value) == (
            "`labels` must hold ids between 0 and 3, or 255 for pixels to ignore, got labels=(0, 37). Map the ids of "
            "the dataset to the classes of the model, or raise `classes`. Shown are the lowest and highest.")
        with pytest.raises(tf.errors.InvalidArgumentError, match="`labels` must hold ids between 0 and 3, or 255"):
            tf.function(loss)(labels, logits)


@pytest.mark.parametrize("make, message", [
    (lambda: losses.CrossEntropy(class_weights=[1, -1]),
     "`class_weights` must be finite numbers of at least 0, one per class, got class_weights=[1.0, -1.0]. "
     "Leave it None for equal weights."),
    (lambda: losses.CrossEntropy(class_weights=[1, 2])(*scene()),
     "`class_weights` must hold 4 numbers, one per class of the logits, got class_weights=[1.0, 2.0]. "
     "Give each class a weight, 1.0 for no change."),
    (lambda: losses.CrossEntropy(ohem_fraction=1.5),
     "`ohem_fraction` must be a number between 0 and 1, not 0, got ohem_fraction=1.5. Pass a value from 0 to 1."),
    (lambda: losses.Dice()(np.eye(4)[[[[0, 1]]]], np.zeros((1, 1, 2, 4))),
     "`labels` must be integer ids [B, H, W] for logits of shape (1, 1, 2, 4), got labels=(1, 1, 2, 4). "
     "Pass class ids, not one-hot maps, at the size of the logits."),
    (lambda: losses.Dice()(*scene(), sample_weight=np.ones((2, 9, 11, 2))),
     "`sample_weight` must have shape [B], [B, H, W] or [B, H, W, 1], got sample_weight=(2, 9, 11, 2). "
     "Give one weight per image or one per pixel."),
])
def test_bad_arguments(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == message


def test_bad_terms():
    with pytest.raises(TypeError) as caught:
        losses.WeightedSum([("dice", 1.0)])
    assert str(caught.value) == ("`terms` must be pairs of a keras.losses.Loss and a number, got terms=('dice', 1.0). "
                                 "Write for example WeightedSum([(Dice(), 1.0), (CrossEntropy(), 0.5)]).")


@pytest.mark.parametrize("loss", ALL, ids=NAMES)
def test_path_of_other_backends_gives_the_same(loss, monkeypatch):
    labels, logits = scene()
    value, gradient = value_and_gradient(loss, labels, logits)
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    again, gradient_again = value_and_gradient(loss, labels, logits)
    assert again == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(gradient_again, gradient, atol=1e-6)
    labels[0, 4, 4] = 37
    assert np.isnan(float(loss(labels, logits)))


def test_compiled_by_xla():
    labels, logits = scene()
    loss = losses.CrossEntropy(label_smoothing=0.1) + losses.Dice()
    compiled = tf.function(loss, jit_compile=True)
    assert float(compiled(labels, logits)) == pytest.approx(float(loss(labels, logits)), rel=1e-5)


@pytest.mark.parametrize("loss", [
    losses.CrossEntropy(), losses.CrossEntropy(ohem_fraction=0.5), losses.Dice(), losses.Focal(), losses.Jaccard(),
    losses.LovaszSoftmax(), losses.Tversky(), losses.Dice() + losses.CrossEntropy(ohem_threshold=0.7)],
    ids=lambda loss: loss.name)
def test_an_unknown_id_makes_every_loss_nan_where_xla_drops_the_assertion(loss):
    labels, logits = scene()
    labels, compiled = np.array(labels), tf.function(loss, jit_compile=True)
    assert np.isfinite(float(compiled(labels, logits)))
    for unknown in (7, -1, 254):
        labels[0, 0, 0] = unknown
        assert np.isnan(float(compiled(labels, logits))), unknown


@pytest.mark.parametrize("kind", [losses.Tversky, losses.Dice, losses.Jaccard, losses.LovaszSoftmax])
def test_class_weights_of_region_losses_weigh_the_mean_over_classes_present(kind):
    """The weighted mean of the losses of single classes."""
    labels, logits = scene()
    classes = logits.shape[-1]
    single = [float(kind(class_weights=np.eye(classes)[index])(labels, logits)) for index in range(classes)]
    present = np.array([(np.asarray(labels) == index).any() for index in range(classes)])
    weights = np.arange(1.0, classes + 1)
    expected = (weights * present * single).sum() / (weights * present).sum()
    loss = kind(class_weights=weights)
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-5)
    equal = kind(class_weights=[3.0] * classes)
    assert float(equal(labels, logits)) == pytest.approx(float(kind()(labels, logits)), rel=1e-5)
    assert float(kind.from_config(loss.get_config())(labels, logits)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=f"`class_weights` must hold {classes} numbers, one per class of the logits"):
        kind(class_weights=[1.0])(labels, logits)


@pytest.mark.parametrize("options, error, sentence", [
    ({"class_weights": {0: 5.0, 1: 1.0}}, TypeError,
     "`class_weights` must be a sequence of numbers, one per class, got class_weights={0: 5.0, 1: 1.0}. "
     "Write for example [0.5, 1.0, 2.0]."),
    ({"class_weights": 2.0}, TypeError,
     "`class_weights` must be a sequence of numbers, one per class, got class_weights=2.0. "
     "Write for example [0.5, 1.0, 2.0]."),
    ({"ohem_threshold": 0.0}, ValueError, "`ohem_threshold` must be a number between 0 and 1, not 0 or 1, got "
     "ohem_threshold=0.0. Pass a value from 0 to 1."),
    ({"ohem_fraction": 0}, ValueError, "`ohem_fraction` must be a number between 0 and 1, not 0, got ohem_fraction=0. "
     "Pass a value from 0 to 1."),
    ({"label_smoothing": 1}, ValueError, "`label_smoothing` must be a number between 0 and 1, not 1, got "
     "label_smoothing=1. Pass a value from 0 to 1."),
])
def test_what_would_train_nothing_is_refused(options, error, sentence):
    with pytest.raises(error) as caught:
        losses.CrossEntropy(**options)
    assert str(caught.value) == sentence
