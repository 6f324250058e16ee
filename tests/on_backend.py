"""What `test_backends.py` runs in a process of its own, under KERAS_BACKEND: `python -m tests.on_backend JOB …`."""

import os
import pathlib
import sys
import warnings

import keras
import numpy as np

import kseg
from tests.test_model_contract import batch


def contract(folder, *names):
    """Load each model that TensorFlow saved, answer, take one training step, save, and answer again."""
    for name in names:
        model = kseg.load_model(folder / f"{name}.keras")
        pixels = batch(97, 129, 2)
        answer = _logits(model, pixels)
        np.testing.assert_allclose(model.predict(pixels, verbose=0), answer, atol=1e-4 * np.abs(answer).max())
        labels = (pixels[..., 0] // 64).astype("int32")
        labels[:, :4] = 255
        before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.trainable_variables]
        history = model.fit(pixels, labels, batch_size=2, verbose=0).history
        assert all(np.isfinite(values).all() for values in history.values()), (name, history)
        assert 0 <= history["mean_iou"][0] <= 1
        still = [variable.path for old, variable in zip(before, model.trainable_variables)
                 if np.array_equal(old, keras.ops.convert_to_numpy(variable))]
        assert not still, f"{name}: no gradient moves {still}"
        assert kseg.predict(model, pixels[0]).shape == (97, 129)
        model.save(folder / f"{name}_trained.keras")
        np.savez(folder / f"{name}.npz", before=answer, after=_logits(model, pixels), **{
            key: values[0] for key, values in history.items()})


def scores(folder):
    """Write value and gradient of losses, and the result of metrics, all with their defaults, on given labels."""
    given = np.load(folder / "given.npz")
    labels, logits, values = given["labels"], given["logits"], {}
    for name in given["losses"]:
        loss = getattr(kseg.losses, name)()
        values[f"{name}.value"] = keras.ops.convert_to_numpy(loss(labels, logits))
        values[f"{name}.gradient"] = GRADIENTS[keras.backend.backend()](lambda given: loss(labels, given), logits)
    for name in given["metrics"]:
        metric = getattr(kseg.metrics, name)(logits.shape[-1])
        for rows in (slice(0, 1), slice(1, None)):
            metric.update_state(labels[rows], logits[rows])
        values[f"{name}.value"] = keras.ops.convert_to_numpy(metric.result())
    np.savez(folder / f"{keras.backend.backend()}.npz", **values)


def counts(folder):
    """Count more pixels than 32 bits hold, without a warning."""
    most = 2 ** 32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric = kseg.metrics.MeanIoU(2)
        metric.matrix.assign(np.full((2, 2), most - 10, metric.matrix.dtype))
        for _ in range(2):
            metric.update_state(np.zeros((1, 5, 8), "int32"), np.zeros((1, 5, 8), "int32"))
    np.testing.assert_array_equal(metric.confusion(), [[most + 70, most - 10], [most - 10, most - 10]])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(metric.result()), 1 / 3, rtol=1e-6)
    (folder / "counted").touch()


def _tensorflow_gradient(function, values):
    import tensorflow as tf

    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = function(values)
    return tape.gradient(result, values).numpy()


def _jax_gradient(function, values):
    import jax

    return np.asarray(jax.grad(function)(values))


def _torch_gradient(function, values):
    import torch

    values = torch.tensor(values, requires_grad=True)
    function(values).backward()
    return values.grad.numpy()


GRADIENTS = {"tensorflow": _tensorflow_gradient, "jax": _jax_gradient, "torch": _torch_gradient}


def refused(folder):
    """Write what is said about what needs TensorFlow."""
    model, said = kseg.models.SegNetBasic(4, filters=4), []
    for needs in (lambda: kseg.export.saved_model(model, folder / "1"),
                  lambda: kseg.export.tflite(model, folder / "m.tflite", image_size=(32, 32)),
                  lambda: kseg.training.AdversarialTrainer(model)):
        try:
            needs()
        except ValueError as error:
            said.append(str(error))
    (folder / "said.txt").write_text("\n".join(said))


def half(folder):
    """Train one step in half precision."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = kseg.models.PSPNet(4, encoder_name="mobilenetv2", output_stride=32, aux=True)
    pixels = batch(64, 64, 2)
    history = model.fit(pixels, (pixels[..., 0] // 64).astype("int32"), verbose=0).history
    assert np.isfinite(history["loss"][0])
    answer = model(pixels)
    assert keras.backend.standardize_dtype(answer.dtype) == "float32"
    (folder / "half").touch()


def train(folder, *options):
    """Train as `kseg train` does; `options` are its arguments."""
    from kseg.cli import main

    sys.exit(main(["train", *options]))


def killed(folder, *options):
    """Train as `train` does, in a process that ends in the third epoch as a killed one does."""
    from kseg.training.callbacks.record import Record

    def die(self, batch, logs=None):
        if self.progress.epoch == 2 and batch == 1:
            os._exit(9)

    Record.on_train_batch_end = die
    train(folder, *options)


def _logits(model, pixels):
    return np.asarray(keras.ops.convert_to_numpy(model(pixels)))


if __name__ == "__main__":
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]), *sys.argv[3:])
