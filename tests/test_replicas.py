"""Replicas of TensorFlow: losses, clipping and loss scaling are those of one device with the whole batch."""

import subprocess
import sys

import pytest

ON_TWO_DEVICES = """
import keras, numpy as np, tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kseg import losses
from kseg.models.keras_arguments import LossScaleOptimizer
from kseg.training import SGD

random = np.random.default_rng(0)
logits = random.normal(0, 2, (4, 6, 5, 3)).astype("float32")
labels = random.integers(0, 3, (4, 6, 5)).astype("int32")
labels[:3, 1:] = 255  # the last image has most of the pixels that count
bits = np.where(labels[..., None] == 255, 255, labels[..., None] == np.arange(3)).astype("int32")
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
of_ids = [losses.CrossEntropy(), losses.CrossEntropy(class_weights=[1, 2, 3], ohem_fraction=0.4), losses.Focal(),
          losses.Dice(), losses.Tversky(per_image=True), losses.LovaszSoftmax(), losses.LovaszSoftmax(per_image=True),
          losses.CrossEntropy() + 0.5 * losses.Dice()]
of_bits = [losses.BinaryCrossEntropy(ohem_threshold=0.6), losses.BinaryFocal(), losses.Dice(task="multilabel"),
           losses.LovaszHinge()]

def gradients(values, truth):
    answers = []
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        measured = [loss(truth[loss in of_bits], values) for loss in of_ids + of_bits]
    return [(loss, tape.gradient(loss, values)) for loss in measured]

def parts(value, first):
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(value[:first] if context.replica_id_in_sync_group == 0 else value[first:]))

expected = tf.function(gradients)(tf.constant(logits), (labels, bits))
on_replicas = tf.function(lambda *arguments: strategy.run(gradients, args=arguments))
for first in (3, 4):  # parts of 3 images and 1, and of 4 and none
    given = parts(logits, first), (parts(labels, first), parts(bits, first))
    for loss, one, several in zip(of_ids + of_bits, expected, on_replicas(*given), strict=True):
        values, slopes = (strategy.experimental_local_results(part) for part in several)
        for value in values:
            np.testing.assert_allclose(2 * value, one[0], rtol=1e-5, err_msg=f"{loss.name} {first}")
        np.testing.assert_allclose(np.concatenate(slopes), one[1], rtol=1e-4, atol=1e-7, err_msg=f"{loss.name} {first}")

def updated(optimizer, of_each):
    def step(value):
        optimizer.apply([value[0]], [weight])
    with strategy.scope():
        weight = keras.Variable([1.0, 2.0])
        optimizer.build([weight])
    given = parts(np.array(of_each, "float32"), 1)
    tf.function(lambda: strategy.run(step, args=(given,)))()
    return [one.numpy() for one in strategy.experimental_local_results(weight.value)]

def optimizers(**options):
    with strategy.scope():
        return SGD(1.0, momentum=0.0, **options)

# Clipped one by one, the gradients would add up to (1, 1).
np.testing.assert_allclose(updated(optimizers(global_clipnorm=1.0), [[3, 0], [0, 4]]), [[0.4, 1.2]] * 2, rtol=1e-6)
np.testing.assert_allclose(updated(optimizers(), [[3, 0], [0, 4]]), [[-2, -2]] * 2, rtol=1e-6)
for broken in (0, 1):  # a step that overflows on either replica is left out
    values = [[1, 1], [1, 1]]
    values[broken] = [np.inf, 1]
    with strategy.scope():
        scaled = LossScaleOptimizer(optimizers(), initial_scale=8.0)
    np.testing.assert_array_equal(updated(scaled, values), [[1, 2]] * 2)
    assert keras.ops.convert_to_numpy(scaled.dynamic_scale) == 4
"""


@pytest.mark.slow
def test_two_replicas_are_as_one_device():
    done = subprocess.run([sys.executable, "-c", ON_TWO_DEVICES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
