import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.export import ParityReport, TFLiteModel, quantization, read_metadata, structured_images
from kseg.export.original import examined
from kseg.inference.runners.keras_model import KerasRunner
from tests.export.tiny import tiny_model

SIZE = (33, 47)
BUILT_IN = {"ADD", "ARG_MAX", "BATCH_MATMUL", "CAST", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE",
            "FULLY_CONNECTED", "MUL", "QUANTIZE", "RESHAPE", "RESIZE_BILINEAR", "SUB", "TRANSPOSE"}


def test_float32_answers_as_keras(tmp_path):
    model, path = tiny_model(), tmp_path / "m.tflite"
    report = kseg.export.tflite(model, path, SIZE)
    image = structured_images(*SIZE, seed=5)[:2]
    expected = keras.ops.convert_to_numpy(model(image.astype("float32"), training=False))
    exported = TFLiteModel(path)
    assert exported.image_size == SIZE
    np.testing.assert_allclose(exported(image), expected, atol=1e-5)
    assert report.label_agreement == 1.0 and report.max_abs_difference < 1e-5
    assert report.size_bytes == os.path.getsize(path)
    assert report == ParityReport.load(str(path) + ".parity.json")
    assert report.latency["TFLite, 2 threads"]["median_ms"] > 0


def test_only_built_in_operators_and_everything_folded(tmp_path):
    report = kseg.export.tflite(tiny_model(), tmp_path / "m.tflite", SIZE)
    assert set(report.operators) <= BUILT_IN
    # Six convolutions, no RELU, no batch norm as MUL/ADD beside the pixel scaling, dilation inside the operator.
    assert report.operators["CONV_2D"] == 4 and report.operators["DEPTHWISE_CONV_2D"] == 1
    assert report.operators["MUL"] == 1 and report.operators["SUB"] == 1 and "ADD" not in report.operators
    assert report.gpu_unfriendly_operators == ()


def test_labels_and_metadata(tmp_path):
    model, path = tiny_model(), tmp_path / "m.tflite"
    report = kseg.export.tflite(model, path, SIZE, output="labels")
    image = structured_images(*SIZE, seed=5)[:1]
    found = TFLiteModel(path)(image)
    assert found.shape == (1, *SIZE) and found.dtype == np.uint8
    expected = keras.ops.convert_to_numpy(model(image.astype("float32"), training=False)).argmax(-1)
    assert (found == expected).mean() == 1.0
    assert report.max_abs_difference is None and report.gpu_unfriendly_operators == ("ARG_MAX",)
    described = read_metadata(path)
    assert described["output"] == "labels" and described["input"]["image_size"] == list(SIZE)


def test_two_exports_are_the_same_bytes(tmp_path):
    model = tiny_model()
    for name in ("a.tflite", "b.tflite"):
        kseg.export.tflite(model, tmp_path / name, SIZE)
    image = structured_images(*SIZE)
    np.testing.assert_array_equal(TFLiteModel(tmp_path / "a.tflite")(image), TFLiteModel(tmp_path / "b.tflite")(image))
    assert (tmp_path / "a.tflite").stat().st_size == (tmp_path / "b.tflite").stat().st_size


@pytest.mark.slow
def test_local_response_normalization_keeps_its_range_in_int8(tmp_path):
    """TFLite's calibration may give a factor the range of its product: the pixels were off by half their deviation."""
    model = kseg.models.SegNetBasic(4, filters=8, compile=False)
    image = structured_images(32, 32)
    original = examined(model, (32, 32), None, {}, kind="tflite")
    plain = quantization.convert(original, str(tmp_path / "scratch"))
    quantized = quantization.convert(original, str(tmp_path / "scratch"), "int8", samples=image.astype(np.float32))
    errors = {entry["tensor"]: entry["error"] for entry in quantization.layer_errors(plain, quantized, image[:1], 1000)}
    normalized = [error for name, error in errors.items() if name.startswith("normalize")]
    assert normalized and max(normalized) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("quantize, least", [("float16", 0.995), ("dynamic", 0.98), ("int8", 0.95),
                                             ("int8_float_io", 0.95)])
def test_quantised_files_agree(tmp_path, quantize, least):
    model, path = tiny_model(), tmp_path / "m.tflite"
    calibration = tf.data.Dataset.from_tensor_slices(structured_images(*SIZE)).batch(3).map(lambda pixels: (pixels, 0))
    report = kseg.export.tflite(model, path, SIZE, quantize=quantize, calibration=calibration)
    assert report.label_agreement >= least
    exported = TFLiteModel(path)
    assert exported.dtype == (np.uint8 if quantize == "int8" else np.float32)
    assert bool(report.layer_errors) == quantize.startswith("int8")
    if quantize.startswith("int8"):
        assert all(entry["error"] < 0.3 for entry in report.layer_errors)
        if quantize == "int8":
            assert exported._input["quantization"] == (1.0, 0)


@pytest.mark.slow
def test_mixed_precision_exports_in_float32(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = tiny_model()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    report = kseg.export.tflite(model, tmp_path / "m.tflite", SIZE)
    assert set(report.operators) <= BUILT_IN and report.max_abs_difference < 1e-4
    full = tiny_model()
    full.set_weights(model.get_weights())
    image = structured_images(*SIZE)
    expected = keras.ops.convert_to_numpy(full(image.astype("float32"), training=False))
    np.testing.assert_allclose(TFLiteModel(tmp_path / "m.tflite")(image), expected, atol=1e-5)


def test_a_failing_comparison_leaves_nothing(tmp_path, monkeypatch):
    model = tiny_model()
    monkeypatch.setattr(KerasRunner, "run", lambda self, batch: np.zeros((1, *SIZE, 4), np.float32))
    with pytest.raises(ValueError, match="`model` must answer after export as it does in Keras"):
        kseg.export.tflite(model, tmp_path / "new" / "m.tflite", SIZE)
    assert os.listdir(tmp_path) == []


def test_mean_iou_is_compared(tmp_path):
    model = tiny_model()
    pixels = structured_images(*SIZE)
    labels = keras.ops.convert_to_numpy(model(pixels.astype("float32"), training=False)).argmax(-1).astype("int32")
    labels[:, :5] = 255
    dataset = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(3)
    report = kseg.export.tflite(model, tmp_path / "m.tflite", SIZE, evaluate_on=dataset)
    assert report.miou_original == 1.0 and abs(report.miou_change) < 0.01
    with open(str(tmp_path / "m.tflite") + ".parity.json") as file:
        assert json.load(file)["miou_change"] == report.miou_change


@pytest.mark.parametrize("arguments, message", [
    ({"quantize": "int4"}, "`quantize` must be one of (None, 'float16', 'dynamic', 'int8', 'int8_float_io'), got "
     "quantize='int4'. Did you mean 'int8'?"),
    ({"output": "label"}, "`output` must be one of ('logits', 'labels'), got output='label'. Did you mean 'labels'?"),
    ({"image_size": 33}, "`image_size` must be two positive integers (height, width), got image_size=33. Write for "
     "example image_size=(384, 512)."),
    ({"image_size": (0, 4)}, "`image_size` must be two positive integers (height, width), got image_size=(0, 4). "
     "Write for example image_size=(384, 512)."),
    ({"quantize": "int8"}, "`calibration` must be images of the kind the model will see, for quantize='int8', got "
     "calibration=None. Pass the training set or a few dozen images of it."),
    ({"quantize": "int8", "calibration": np.zeros((0, 33, 47, 3))}, "`calibration` must hold at least one image, got "
     "calibration=0. Check the split's name."),
    ({"quantize": "int8", "calibration": np.zeros((2, 33, 40, 3))}, "`calibration` must hold pixels [N, 33, 47, 3], "
     "got calibration=(2, 33, 40, 3). Load it with the image_size of the export."),
    ({"images": np.zeros((2, 33, 40, 3))}, "`images` must be an array [N, 33, 47, 3], got images=(2, 33, 40, 3). "
     "Resize them to image_size."),
    ({"path": "m.lite"}, '`path` must end in ".tflite", got path=\'m.lite\'. Add the ending.'),
    ({"model": keras.Sequential()}, "`model` must be a functional keras.Model from pixels [B, H, W, channels] to "
     "logits [B, H, W, classes], got model='sequential'. Build one with kseg.models or load one with kseg.load_model."),
])
def test_wrong_arguments(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    if "model" not in arguments:
        arguments = {"model": tiny_model(), **arguments}
    with pytest.raises((ValueError, TypeError)) as caught:
        kseg.export.tflite(**{"path": "m.tflite", "image_size": SIZE, **arguments})
    assert str(caught.value) == message
    assert os.listdir(tmp_path) == []


def test_a_model_of_fixed_size_exports_at_that_size_only(tmp_path):
    with pytest.raises(ValueError) as caught:
        kseg.export.tflite(tiny_model(image_size=(32, 32)), tmp_path / "m.tflite", SIZE)
    assert str(caught.value) == ("`image_size` must be (32, 32), the size this model was built for, got "
                                 "image_size=(33, 47). Build the model with image_size=(None, None) to export it at "
                                 "any size.")


def test_wrong_image_size_at_run_time(tmp_path):
    kseg.export.tflite(tiny_model(), tmp_path / "m.tflite", SIZE)
    with pytest.raises(ValueError) as caught:
        TFLiteModel(tmp_path / "m.tflite")(np.zeros((1, 32, 47, 3)))
    assert str(caught.value) == (
        "`pixels` must have shape [B, 33, 47, 3], which this model takes, got pixels=(1, 32, 47, 3). Resize the images "
        "with kseg.predict, or build or export the model for their size.")
