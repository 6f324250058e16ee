"""SGD and AdamW with a rate for each part: one step against NumPy, saving, mixed precision, errors."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kseg.losses import CrossEntropy
from kseg.models.segmenter import Segmenter
from kseg.training import SGD, AdamW

RATES = {"encoder": 0.5, "head": 10.0}


def _model():
    """A two-part model: `encoder` (convolution, batch normalisation) and the head's convolutions."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3), name="pixels")
    inner = keras.layers.Conv2D(4, 3, padding="same", name="stem")(pixels)
    inner = keras.layers.BatchNormalization(name="stem_bn")(inner)
    encoder = keras.Model(pixels, inner, name="encoder")
    hidden = keras.layers.Conv2D(4, 1, name="hidden")(encoder(pixels))
    return Segmenter(pixels, keras.layers.Conv2D(3, 1, dtype="float32", name="scores")(hidden))


def _data():
    generator = np.random.default_rng(0)
    return (generator.normal(size=(2, 8, 8, 3)).astype("float32"), generator.integers(0, 3, (2, 8, 8)).astype("int32"))


def _gradients(model, pixels, labels):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = CrossEntropy()(labels, model(pixels, training=True))
    return [gradient.numpy() for gradient in tape.gradient(loss, [one.value for one in model.trainable_weights])]


def _expected_rates(model, base):
    encoder = {id(weight) for weight in model.encoder.weights}
    return [base * (RATES["encoder"] if id(weight) in encoder else RATES["head"]) for weight in model.trainable_weights]


def test_sgd_step_scales_update_and_decay():
    model, (pixels, labels) = _model(), _data()
    model.compile(SGD(0.01, momentum=0.0, weight_decay=0.1, multipliers=RATES), loss=CrossEntropy())
    before, gradients = [weight.numpy() for weight in model.trainable_weights], _gradients(model, pixels, labels)
    model.train_on_batch(pixels, labels)
    for weight, old, gradient, rate in zip(model.trainable_weights, before, gradients, _expected_rates(model, 0.01)):
        np.testing.assert_allclose(weight.numpy(), old - rate * 0.1 * old - rate * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("decay_biases", [True, False])
def test_adamw_step_scales_update_and_decay(decay_biases):
    model, (pixels, labels) = _model(), _data()
    model.compile(AdamW(0.01, weight_decay=0.1, multipliers=RATES, decay_biases=decay_biases), loss=CrossEntropy())
    before, gradients = [weight.numpy() for weight in model.trainable_weights], _gradients(model, pixels, labels)
    model.train_on_batch(pixels, labels)
    for weight, old, gradient, rate in zip(model.trainable_weights, before, gradients, _expected_rates(model, 0.01)):
        decay = 0.1 if decay_biases or old.ndim > 1 else 0.0
        first, second = 0.1 * gradient, 0.001 * gradient ** 2  # Adam's moments after one step
        step = rate * np.sqrt(1 - 0.999) / (1 - 0.9) * first / (np.sqrt(second) + 1e-7)
        sure = np.abs(gradient) > 1e-5  # a gradient of 0 up to rounding has no sign that could be compared
        np.testing.assert_allclose(weight.numpy()[sure], (old - rate * decay * old - step)[sure], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("own, stock", [(SGD, keras.optimizers.SGD), (AdamW, keras.optimizers.AdamW)])
@pytest.mark.parametrize("options", [{}, {"global_clipnorm": 0.5}, {"use_ema": True, "ema_momentum": 0.9},
                                     {"gradient_accumulation_steps": 2}], ids=str)
def test_without_multipliers_equals_keras(own, stock, options):
    results, generator = [], np.random.default_rng(0)
    shapes = [weight.shape for weight in _model().trainable_weights]
    steps = [[generator.normal(size=shape).astype("float32") for shape in shapes] for _ in range(6)]
    for optimizer in (own(0.01, weight_decay=0.1, **options), stock(0.01, weight_decay=0.1, **options)):
        if isinstance(optimizer, keras.optimizers.SGD):
            optimizer.momentum = 0.0
        model = _model()
        optimizer.build(model.trainable_weights)
        for gradients in steps:  # the same for both: a gradient of 0 up to rounding would steer Adam by its sign
            optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], model.trainable_weights)
        results.append([np.array(weight) for weight in [*model.trainable_weights, *optimizer.variables]])
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_rates_survive_saving(tmp_path):
    model, (pixels, labels) = _model(), _data()
    model.compile(SGD(0.01, momentum=0.9, weight_decay=0.1, multipliers=RATES), loss=CrossEntropy())
    model.train_on_batch(pixels, labels)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.multipliers == RATES
    for one in (model, again):
        one.train_on_batch(pixels, labels)
    for first, second in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-7)


def test_rates_hold_under_a_loss_scale():
    """`mixed_float16` wraps the optimiser; its parts must be known all the same."""
    model, (pixels, labels) = _model(), _data()
    inner = SGD(0.01, momentum=0.0, multipliers=RATES)
    model.compile(keras.optimizers.LossScaleOptimizer(inner), loss=CrossEntropy())
    before, gradients = [weight.numpy() for weight in model.trainable_weights], _gradients(model, pixels, labels)
    model.train_on_batch(pixels, labels)
    for weight, old, gradient, rate in zip(model.trainable_weights, before, gradients, _expected_rates(model, 0.01)):
        np.testing.assert_allclose(weight.numpy(), old - rate * gradient, rtol=1e-4, atol=1e-6)


def test_weights_excluded_from_decay_keep_their_value():
    model, (pixels, labels) = _model(), _data()
    optimizer = SGD(0.01, momentum=0.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    model.compile(optimizer, loss=CrossEntropy())
    before, gradients = [weight.numpy() for weight in model.trainable_weights], _gradients(model, pixels, labels)
    model.train_on_batch(pixels, labels)
    for weight, old, gradient in zip(model.trainable_weights, before, gradients):
        decay = 0.0 if weight.name == "kernel" else 0.5
        np.testing.assert_allclose(weight.numpy(), old - 0.01 * (decay * old + gradient), rtol=1e-4, atol=1e-6)


def test_unknown_part_is_refused():
    with pytest.raises(ValueError) as error:
        _model().compile(SGD(0.01, multipliers={"encode": 1.0}), loss=CrossEntropy())
    assert str(error.value).endswith("got multipliers='encode'. Did you mean 'encoder'?")
    assert "must be one of ('head', 'encoder', 'hidden', 'scores') for model" in str(error.value)


def test_unbound_multipliers_are_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(SGD(0.01, multipliers=RATES), loss="mse")
    with pytest.raises(ValueError) as error:
        model.train_on_batch(np.ones((1, 2)), np.ones((1, 1)))
    assert str(error.value).startswith(
        "`multipliers` must be bound to a model before the first step, "
        "got multipliers={'encoder': 0.5, 'head': 10.0}. ")


def test_multipliers_must_be_a_dict():
    with pytest.raises(TypeError) as error:
        AdamW(multipliers=10.0)
    assert str(error.value) == ("`multipliers` must be a dict of part -> factor, got multipliers=10.0. "
                                "Write for example multipliers={'encoder': 1.0, 'head': 10.0}.")


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from kseg.losses import CrossEntropy
from kseg.models.segmenter import Segmenter
from kseg.training import AdamW

tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 2)

def fitted():
    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(pixels)
    model = Segmenter(pixels, keras.layers.Conv2D(3, 1)(hidden))
    model.compile(AdamW(0.01), loss=CrossEntropy())
    return model

random = np.random.default_rng(0)
arrays = random.normal(size=(8, 8, 8, 3)).astype("float32"), random.integers(0, 3, (8, 8, 8)).astype("int32")
data, weights = tf.data.Dataset.from_tensor_slices(arrays).batch(4), []
for scope in (tf.distribute.get_strategy().scope(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()):
    with scope:
        model = fitted()
    model.fit(data, epochs=2, shuffle=False, verbose=0)
    weights.append(model.get_weights())
for one, two in zip(*weights):
    np.testing.assert_allclose(two, one, atol=1e-6)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    subprocess.run([sys.executable, "-c", REPLICAS], check=True)
