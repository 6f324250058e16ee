"""A model with a pixel range answers alike in Keras, SavedModel and TFLite, for numbers as they are stored."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kseg
from kseg.data import PixelRange, decode
from kseg.export import TFLiteModel
from kseg.serving.encoding import to_bytes
from tests.export.tiny import tiny_model

SIZE = (40, 56)
RANGES = {1: (0, 4095), 4: [(0, 4095), (100, 2000), (0, 65535), (-1000, 3000)]}


def segmenter(bands):
    keras.utils.set_random_seed(3)
    twin = tiny_model(channels=bands)
    model = kseg.models.Segmenter(twin.inputs[0], twin.outputs[0], name="tiny", pixel_range=RANGES[bands])
    return model


def stored(bands, dtype=np.uint16):
    """Numbers of every band's range and beyond it, slanted ramps, `[H, W, bands]`."""
    rows, columns = np.mgrid[:SIZE[0], :SIZE[1]]
    ramps = [(rows * (61 + 13 * band) + columns * (79 - 11 * band)) % 5000 for band in range(bands)]
    return np.stack(ramps, -1).astype(dtype)


@pytest.fixture(scope="module", params=[1, 4])
def case(request, tmp_path_factory):
    """(bands, model, path of a SavedModel, path of a TFLite file)."""
    folder, model = tmp_path_factory.mktemp("exports"), segmenter(request.param)
    saved = folder / "tiny" / "1"
    report = kseg.export.saved_model(model, saved)
    assert report.label_agreement == 1 and (report.bytes_agreement == 1) == (request.param == 1)
    assert kseg.export.tflite(model, folder / "tiny.tflite", SIZE).label_agreement == 1
    return request.param, model, saved, folder / "tiny.tflite"


def test_the_model_keeps_its_range_and_takes_0_to_255(case, tmp_path):
    bands, model, _, _ = case
    model.save(tmp_path / "m.keras")
    again = kseg.load_model(tmp_path / "m.keras")
    assert again.pixel_range == model.pixel_range == PixelRange.of(RANGES[bands])
    assert kseg.models.Segmenter.from_config(model.get_config()).pixel_range == model.pixel_range
    with pytest.raises(ValueError, match="`pixel_range` must be one pair .* or one for each of"):
        model.pixel_range = [(0, 1)] * 9
    numbers = stored(bands)
    expected = model(model.pixel_range.scaled(numbers)[None], training=False).numpy()[0]
    np.testing.assert_allclose(kseg.predict(again, numbers, "logits"), expected, atol=1e-5)


def test_every_format_answers_alike_for_stored_numbers(case):
    bands, model, saved, lite = case
    numbers = stored(bands)
    expected = model(model.pixel_range.scaled(numbers)[None], training=False).numpy()[0]
    for given in (saved, lite):
        np.testing.assert_allclose(kseg.predict(given, numbers, "logits"), expected, atol=1e-4)
    raw = numbers[None].astype(np.float32)  # the files themselves, without kseg
    signatures = tf.saved_model.load(str(saved)).signatures
    np.testing.assert_allclose(signatures["logits"](pixels=tf.constant(raw))["logits"][0], expected, atol=1e-4)
    labels = signatures["serving_default"](pixels=tf.constant(raw))["labels"].numpy()[0]
    np.testing.assert_array_equal(labels, expected.argmax(-1))
    np.testing.assert_allclose(TFLiteModel(lite).run(raw)[0], expected, atol=1e-4)


def test_onnx_scales_inside_too(tmp_path):
    for package in ("tf2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    model, numbers = segmenter(4), stored(4)
    kseg.export.onnx(model, tmp_path / "m.onnx")
    assert kseg.export.read_metadata(tmp_path / "m.onnx")["input"]["scaled_inside_the_graph"]
    np.testing.assert_allclose(kseg.predict(tmp_path / "m.onnx", numbers, "logits"),
                               kseg.predict(model, numbers, "logits"), atol=1e-4)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    answer, = session.run(None, {session.get_inputs()[0].name: numbers[None].astype(np.float32)})
    np.testing.assert_allclose(answer[0], kseg.predict(model, numbers, "logits"), atol=1e-4)


def test_no_data_is_0_in_every_format_and_255_in_predicted_labels(case):
    bands, model, saved, lite = case
    numbers = stored(bands, np.float32)
    numbers[5:9, 7:20] = np.nan
    expected = model(model.pixel_range.scaled(numbers)[None], training=False).numpy()[0]
    signatures = tf.saved_model.load(str(saved)).signatures
    found = signatures["logits"](pixels=tf.constant(numbers[None]))["logits"][0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(TFLiteModel(lite).run(numbers[None])[0], expected, atol=1e-4)
    wanted = expected.argmax(-1)
    wanted[5:9, 7:20] = 255
    for given in (model, saved, lite):
        np.testing.assert_array_equal(kseg.predict(given, numbers), wanted)


def test_exports_say_what_they_take(case):
    bands, model, saved, lite = case
    for path in (saved, lite):
        found = kseg.export.read_metadata(path)["input"]
        assert found["pixel_range"] == model.pixel_range.to_list() and found["scaled_inside_the_graph"]
        assert found["range"] is None
    served = kseg.export.read_metadata(saved)["signatures"]
    assert ("serve_bytes" in served) == (bands == 1)


def test_served_png_files_keep_their_bits(case):
    bands, model, saved, _ = case
    if bands != 1:
        return
    serve = tf.saved_model.load(str(saved)).signatures["serve_bytes"]
    deep = stored(1)[..., 0]
    shallow = (deep // 20).astype(np.uint8)  # as they are stored, which `predict` takes, too, and warns of
    with pytest.warns(kseg.DataWarning, match="have 8 bits and stay dark"):
        dark = kseg.predict(model, shallow)
    for numbers, expected in ((deep, kseg.predict(model, deep)), (shallow, dark)):
        file = io.BytesIO()
        Image.fromarray(numbers).save(file, "PNG")
        answer = serve(image_bytes=tf.constant([file.getvalue()]))["labels_png_bytes"][0]
        np.testing.assert_array_equal(tf.io.decode_png(answer)[..., 0], expected)


@pytest.mark.slow
def test_a_model_of_8_bits_refuses_12_in_a_png_and_the_client_sends_16(tmp_path):
    model = tiny_model(channels=3)
    kseg.export.saved_model(model, tmp_path / "m" / "1", warm_up_requests=False)
    serve = tf.saved_model.load(str(tmp_path / "m" / "1")).signatures["serve_bytes"]
    numbers = np.repeat(stored(1), 3, -1)
    numbers[..., 1] = numbers[::-1, :, 1]
    content = to_bytes(numbers)
    np.testing.assert_array_equal(decode.read_stored(content, 3), numbers)
    np.testing.assert_array_equal(decode.read_stored(to_bytes(numbers[..., 0]), 1)[..., 0], numbers[..., 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold 8 bits, on which this model was trained; th"):
        serve(image_bytes=tf.constant([content]))
    eight = np.clip(numbers // 20, 0, 255).astype(np.uint8)
    same = [serve(image_bytes=tf.constant([to_bytes(one)]))["labels_png_bytes"].numpy()
            for one in (eight, eight * np.uint16(257))]
    assert same[0] == same[1]


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["int8", "int8_float_io"])
def test_integers_take_pixels_that_are_scaled_before(tmp_path, quantize):
    model, numbers = segmenter(4), stored(4)
    pixels = np.stack([model.pixel_range.scaled(np.roll(numbers, shift, 1)) for shift in range(0, 50, 5)])
    path = tmp_path / "m.tflite"
    report = kseg.export.tflite(model, path, SIZE, quantize, pixels, layer_errors=False)
    found = kseg.export.read_metadata(path)["input"]
    assert found["range"] == [0, 255] and not found["scaled_inside_the_graph"]
    assert (kseg.predict(path, numbers) == kseg.predict(model, numbers)).mean() > report.label_agreement - 0.05
