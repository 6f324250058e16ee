"""What holds for every model of kseg, whatever its paper."""

import importlib.util
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg import models
from tests.conftest import structured_image
from tests.models.tiny_backbone import tiny_backbone

CLASSES = 4
SMALL = {"encoder_name": "mobilenetv2"}
TINY = "five convolutions"  # in the place of an encoder's name: `tiny_backbone`
# The smallest network of each family that still has all of its parts. One encoder of the library at each output stride
# (FCN8s at 32, DeepLabV3Plus at 16, DeepLabV1 at 8) is enough: heads know the features alone.
ARGUMENTS = {
    "FCN32s": {"encoder_name": TINY, "fc_filters": 16}, "FCN16s": {"encoder_name": TINY, "fc_filters": 16},
    "FCN8s": {**SMALL, "fc_filters": 16},
    "SegNet": {"filters": (16, 24, 32, 32, 32)}, "SegNetBasic": {"filters": 16},
    "UNet": {"encoder_name": TINY, "decoder_filters": (32, 24, 16, 16, 8)},
    "DeepLabV1": {**SMALL, "fc6_filters": 64},
    "DeepLabV2": {"encoder_name": TINY, "output_stride": 32},
    "DeepLabV3": {"encoder_name": TINY, "output_stride": 32, "filters": 32},
    "DeepLabV3Plus": {**SMALL, "filters": 64, "decoder_filters": 64},
    "RefineNet": {"encoder_name": TINY, "filters": 16},
    "PSPNet": {"encoder_name": TINY, "output_stride": 32, "aux": True, "filters": 32},
    "DilatedFCN": {"encoder_name": TINY, "output_stride": 32, "convolutions": 2, "concatenate_input": True,
                   "filters": 32},
}
every_model = pytest.mark.parametrize("name", models.BUILDERS)


def build(name, classes=CLASSES, **arguments):
    arguments = {**ARGUMENTS[name], **arguments}
    if arguments.get("encoder_name") == TINY:
        arguments["encoder_name"] = tiny_backbone()
    model = getattr(models, name)(classes, **arguments)
    perturb(model)
    return model


def perturb(model):
    """Move every weight off its start value: zero-initialised scores would hide everything before them."""
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        values = np.asarray(variable)
        variable.assign(values + (0.02 * random.standard_normal(values.shape)).astype(values.dtype))


def batch(height=97, width=129, count=1):
    image = structured_image(height, width)
    return np.stack([image, image[::-1, ::-1], 255 - image][:count])


def test_the_list_is_complete():
    assert set(ARGUMENTS) == set(models.BUILDERS)


@every_model
def test_builder_takes_the_shared_arguments(name):
    parameters = inspect.signature(getattr(models, name)).parameters
    assert list(parameters)[0] == "classes"
    for shared in ("in_channels", "image_size", "task", "compile", "name", "encoder_name", "encoder_weights"):
        assert shared in parameters, shared


@pytest.mark.slow
@every_model
def test_contract(name, tmp_path, monkeypatch):
    """One model a family, built once: sizes, modes, gradients, saving, SavedModel and LiteRT."""
    monkeypatch.setattr("kseg.export.signatures._fits_png", lambda _: False)  # files are decoded before any network
    model, unpools = build(name), name.startswith("SegNet")
    pair = _textured(97, 129, 2).astype("uint8") if unpools else batch(count=2)
    _check_modes(model, pair, unpools)
    _check_gradients(model)
    _check_saving(model, pair[:1], tmp_path)
    _check_exports(model, tmp_path, unpools)


@pytest.mark.slow
@pytest.mark.parametrize("name, task, classes", [("UNet", "binary", 1), ("PSPNet", "multilabel", 3)])
def test_contract_of_other_tasks(name, task, classes, tmp_path):
    """A network without and one with an auxiliary head: training, saving, and the same labels from every export."""
    model = build(name, classes, task=task)
    pixels = batch(64, 96, 2)
    labels = (pixels[..., :classes] > 100).astype("int32")
    labels[:, :4] = 255
    labels = labels[..., 0] if task == "binary" else labels
    with tf.GradientTape() as tape:
        loss = model.compute_loss(pixels, labels, model(pixels, training=True))
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_variables))
    assert np.isfinite(model.fit(pixels, labels, verbose=0).history["mean_iou"][0])
    model.threshold = 0.4 if task == "binary" else [0.3, 0.4, 0.6]
    _check_saving(model, pixels, tmp_path)
    wanted = kseg.predict(model, pixels)
    np.testing.assert_array_equal(kseg.predict(kseg.load_model(tmp_path / "model.keras"), pixels), wanted)
    saved = kseg.export.saved_model(model, tmp_path / "serving" / "1", warm_up_requests=False)
    assert saved.label_agreement >= 0.999 and saved.bytes_agreement >= 0.999
    paths = [tmp_path / "serving" / "1"]
    for output in ("logits", "labels"):
        paths.append(tmp_path / f"{output}.tflite")
        lite = kseg.export.tflite(model, paths[-1], image_size=(64, 96), output=output)
        assert lite.label_agreement >= 0.999
        if importlib.util.find_spec("tf2onnx") and importlib.util.find_spec("onnxruntime"):
            paths.append(tmp_path / f"{output}.onnx")
            assert kseg.export.onnx(model, paths[-1], output=output).label_agreement >= 0.999
    for path in paths:
        found = kseg.predict(path, pixels)
        assert found.shape == wanted.shape and (found == wanted).mean() >= 0.999, path
    small = kseg.export.tflite(model, tmp_path / "int8.tflite", image_size=(64, 96), quantize="int8",
                               calibration=pixels)
    found = kseg.predict(tmp_path / "int8.tflite", pixels)
    assert found.shape == wanted.shape and small.label_agreement >= 0.95 and (found == wanted).mean() >= 0.95


def _textured(height, width, count):
    """Structured images with a fine texture: in flat areas the values of a pooling window tie but for rounding, and
    which of them is unpooled, hence the label there, is then up to the runtime's order of summation."""
    rows, columns = np.mgrid[:height, :width]
    texture = (7 * rows + 13 * columns + rows * columns) % 23
    return np.clip(batch(height, width, count) * 0.8 + texture[..., None], 0, 255)


def sure_logits(model, pixels, logits, tolerance):
    """Where the logits stay within `tolerance` when pixels change by a few millionths (see `_check_sure_labels`)."""
    random = np.random.default_rng(1)
    moved = (pixels + 255e-6 * random.uniform(-1, 1, pixels.shape) for _ in range(24))
    return np.all([np.abs(np.asarray(model(one.astype("float32"))) - logits) <= tolerance for one in moved], axis=0)


def _check_modes(model, pair, unpools):
    pixels = pair[:1]
    logits = np.asarray(model(pixels))
    assert isinstance(model, models.Segmenter) and model.classes == CLASSES
    assert logits.shape == (1, 97, 129, CLASSES) and logits.dtype == np.float32
    before = [np.array(variable) for variable in model.non_trainable_variables]
    scale = np.abs(logits).max()
    sure = sure_logits(model, pixels, logits, 3e-5 * scale) if unpools else np.full(logits.shape, True)
    assert sure.mean() > 0.5
    for other in (model(pixels, training=False), model.predict(pixels, verbose=0),
                  model.predict(tf.data.Dataset.from_tensors(pixels), verbose=0),
                  model(pixels.astype("float32")), np.asarray(model(pair))[:1]):
        np.testing.assert_allclose(np.asarray(other)[sure], logits[sure], atol=1e-4 * scale)
    for old, new in zip(before, model.non_trainable_variables):
        np.testing.assert_array_equal(old, new)  # inference changes no statistics


def _check_gradients(model):
    pixels = batch(64, 96, 2)
    labels = (pixels[..., 0] // 64).astype("int32")
    labels[:, :4] = 255
    with tf.GradientTape() as tape:
        loss = model.compute_loss(pixels, labels, model(pixels, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert np.isfinite(float(loss))
    for variable, gradient in zip(model.trainable_variables, gradients):
        assert gradient is not None, f"no gradient reaches {variable.path}"
        assert np.isfinite(np.asarray(gradient)).all(), variable.path


def _check_saving(model, pixels, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = kseg.load_model(path)
    np.testing.assert_array_equal(np.asarray(loaded(pixels)), np.asarray(model(pixels)))
    assert loaded.optimizer is not None and type(loaded) is type(model)


def _check_exports(model, tmp_path, unpools):
    images = _textured(64, 96, 3) if unpools else None
    least = 0.99 if unpools else None  # counted below, where the labels are sure
    saved = kseg.export.saved_model(model, tmp_path / "serving" / "1", warm_up_requests=False, images=images,
                                    minimum_agreement=least)
    lite = kseg.export.tflite(model, tmp_path / "model.tflite", image_size=(64, 96), images=images,
                              minimum_agreement=least)
    if unpools:
        for runner in (kseg.export.SavedModelRunner(tmp_path / "serving" / "1"),
                       kseg.export.TFLiteModel(tmp_path / "model.tflite")):
            _check_sure_labels(model, runner, images)
    else:
        assert saved.label_agreement >= 0.999 and lite.label_agreement >= 0.999
    names = set(lite.operators)
    assert not {name for name in names if name.startswith(("Flex", "FLEX", "CUSTOM"))}
    assert not names & {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "VAR_HANDLE", "READ_VARIABLE"}


def _check_sure_labels(model, runner, images):
    """Labels are equal wherever Keras's own model is sure of them.

    Unpooling by index puts a value where the largest of a pooling window was. Where the two largest differ by less
    than rounding, a runtime that adds up in another order moves the value by a pixel, and labels around it may turn:
    such pixels prove nothing. They are those whose label turns in the Keras model itself when pixels change by a few
    millionths, which is rounding's size.
    """
    random = np.random.default_rng(0)
    labels = np.asarray(model(images)).argmax(-1)
    sure = np.full(labels.shape, True)
    for _ in range(8):
        moved = images + 255e-6 * random.uniform(-1, 1, images.shape)
        sure &= np.asarray(model(moved.astype("float32"))).argmax(-1) == labels
    assert sure.mean() > 0.95
    assert (runner(images.astype("float32")).argmax(-1) == labels)[sure].mean() >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_with_float32_logits(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = build("PSPNet")
        pixels = batch(64, 64, 2)
        history = model.fit(pixels, (pixels[..., 0] // 64).astype("int32"), verbose=0)
        assert np.isfinite(history.history["loss"][0])
        assert model(pixels).dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")
