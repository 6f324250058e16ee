"""kseg.predict: what it accepts, windows, scales and flips against plain computations, bounded memory."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kseg
from kseg.data import geometry
from kseg.inference import images as sources
from kseg.inference import predict_tiled, progress
from kseg.inference.images import fit
from kseg.inference.strategies.sliding_window import SlidingWindow, tile_starts
from tests.conftest import structured_image
from tests.export.tiny import tiny_model
from tests.inference.function_runner import FunctionRunner


def pointwise_model(classes=4, channels=3, seed=0):
    """A 1×1 convolution: equal on every window, scale 1."""
    random = np.random.default_rng(seed)
    inputs = keras.Input((None, None, channels), name="pixels")
    layer = keras.layers.Conv2D(classes, 1)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([random.normal(size=(1, 1, channels, classes)) / 40, random.normal(size=classes)])
    return model


def local_model(classes=3):
    """A 5×5 convolution with SAME padding: receptive field of two pixels around."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3), name="pixels")
    return keras.Model(inputs, keras.layers.Conv2D(classes, 5, padding="same")(inputs / 255.0))


def photo(height=37, width=53, channels=3):
    """Slanted ramps and a bright disc off the centre, uint8."""
    rows, columns = np.mgrid[:height, :width]
    ramps = [(rows * (2 + c) + columns * (5 - c)) % 256 for c in range(channels)]
    image = np.stack(ramps, -1)
    image[(rows - 12) ** 2 + (columns - 30) ** 2 < 60] = 250
    return image.astype("uint8")


@pytest.fixture(scope="module")
def model():
    return pointwise_model()


def expected_logits(model, image):
    return model(np.asarray(image, "float32")[None], training=False).numpy()[0]


def test_outputs_agree_with_the_model(model):
    image = photo()
    logits = kseg.predict(model, image, "logits")
    np.testing.assert_allclose(logits, expected_logits(model, image), atol=1e-5)
    probabilities = kseg.predict(model, image, "probabilities")
    np.testing.assert_allclose(probabilities, tf.nn.softmax(logits).numpy(), atol=1e-6)
    labels = kseg.predict(model, image)
    assert labels.dtype == np.uint8 and labels.shape == (37, 53)
    np.testing.assert_array_equal(labels, logits.argmax(-1))


@pytest.mark.parametrize("window", [None, 16])
def test_batch_list_and_single_agree(model, window):
    images = np.stack([photo(), photo()[::-1], photo()[:, ::-1]])
    together = kseg.predict(model, images, batch_size=2, window=window)
    assert together.shape == (3, 37, 53)
    for one, image, of_list in zip(together, images, kseg.predict(model, list(images), window=window)):
        np.testing.assert_array_equal(one, kseg.predict(model, image))
        np.testing.assert_array_equal(one, of_list)


def test_files_pictures_and_float_arrays(model, tmp_path):
    image = photo()
    Image.fromarray(image).save(tmp_path / "photo.png")
    np.save(tmp_path / "photo.npy", image)
    wanted = kseg.predict(model, image)
    for given in [tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(image),
                  image.astype("float64"), tmp_path / "photo.npy", tf.constant(image)]:
        np.testing.assert_array_equal(kseg.predict(model, given), wanted)


def test_a_file_of_a_batch_is_a_batch(model, tmp_path):
    images = np.stack([photo(), photo()[::-1], photo()[:, ::-1]])
    np.save(tmp_path / "photos.npy", images)
    wanted = kseg.predict(model, images)
    np.testing.assert_array_equal(kseg.predict(model, tmp_path / "photos.npy", batch_size=2), wanted)
    np.testing.assert_array_equal(kseg.predict(model, [str(tmp_path / "photos.npy")], window=16)[0], wanted)
    with pytest.raises(ValueError) as caught:
        predict_tiled(model, tmp_path / "photos.npy", window=32, margin=0)
    assert str(caught.value) == ("`image` must be pixels [H, W, 3], got image=(3, 37, 53, 3). Pass the images of the "
                                 "batch one by one.")


def test_grey_files_become_rgb_and_the_reverse(model, tmp_path):
    grey = photo()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype("uint16") * 257).save(tmp_path / "deep.png")
    wanted = kseg.predict(model, np.repeat(grey[..., None], 3, -1))
    for given in [tmp_path / "grey.png", Image.open(tmp_path / "grey.png"), tmp_path / "deep.png",
                  Image.open(tmp_path / "deep.png")]:
        np.testing.assert_array_equal(kseg.predict(model, given), wanted)
    one_band = pointwise_model(channels=1)
    Image.fromarray(photo()).save(tmp_path / "colour.png")
    weighted = np.asarray(Image.fromarray(photo()).convert("L"))
    for given in [tmp_path / "colour.png", weighted, weighted[..., None]]:
        np.testing.assert_array_equal(kseg.predict(one_band, given), kseg.predict(one_band, weighted))


@pytest.mark.parametrize("window, overlap, blend", [
    (16, 0.5, "hann"), (16, 0.0, "uniform"), ((16, 24), 0.25, "hann"), (20, 0.83, "uniform"), (64, 0.5, "hann"),
    ((8, 100), 0.3, "hann")])
def test_windows_of_a_local_network_equal_the_whole(model, window, overlap, blend):
    image = photo()
    tiled = kseg.predict(model, image, "logits", window=window, overlap=overlap, blend=blend, batch_size=3)
    np.testing.assert_allclose(tiled, expected_logits(model, image), atol=2e-5)


def test_narrow_memory_does_in_bands_the_same(model, monkeypatch):
    image = photo()
    wanted = kseg.predict(model, image, "logits", window=8, overlap=0.6)
    tiles = SlidingWindow((8, 8), 4, 0.6)
    once = tiles.count(image.shape[:2])
    monkeypatch.setattr("kseg.inference.strategies.sliding_window.STRIP_BYTES", 8 * 4 * 4 * 11)  # bands of 11 columns
    assert tiles.count(image.shape[:2]) > once
    np.testing.assert_array_equal(kseg.predict(model, image, "logits", window=8, overlap=0.6), wanted)


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.37, 0.5, 0.9])
@pytest.mark.parametrize("blend", ["hann", "uniform"])
def test_a_constant_network_gives_exactly_the_constant(overlap, blend):
    constant = np.array([0.1, -7.3, 1 / 3], np.float32)
    run = FunctionRunner(lambda pixels: np.broadcast_to(constant, (*pixels.shape[:3], 3)), 3, 3)
    logits = kseg.predict(run, photo(), "logits", window=(13, 17), overlap=overlap, blend=blend)
    assert (logits == constant).all()


@pytest.mark.parametrize("blend", ["hann", "uniform"])
def test_blending_is_the_weighted_mean_of_the_tiles(blend):
    """Each tile answers with a number of its own; the weighted mean is computed by plain sums."""
    image, window, calls = np.zeros((20, 26, 3), np.float32), 8, []
    image[..., 0], image[..., 1] = np.mgrid[:20, :26]

    def answer(pixels):
        calls.extend(pixels[:, 0, 0, :2].tolist())
        corner = pixels[:, :1, :1, :1] * 100 + pixels[:, :1, :1, 1:2]
        return np.broadcast_to(corner, (*pixels.shape[:3], 1)).astype(np.float32)

    blended = kseg.predict(FunctionRunner(answer, 1, 3), image, "logits", window=window, overlap=0.4, blend=blend)
    side = np.hanning(window * 2 + 1)[1::2] if blend == "hann" else np.ones(window)
    total, weights = np.zeros((20, 26)), np.zeros((20, 26))
    assert len({tuple(call) for call in calls}) == len(calls)
    for top, left in calls:
        place = slice(int(top), int(top) + window), slice(int(left), int(left) + window)
        total[place] += (100 * top + left) * np.outer(side, side)
        weights[place] += np.outer(side, side)
    np.testing.assert_allclose(blended[..., 0], total / weights, rtol=1e-5)


def test_tiles_cover_every_pixel():
    for length in range(1, 60):
        for overlap in (0, 0.3, 0.5, 0.95):
            starts = tile_starts(length, 16, overlap)
            covered = np.zeros(max(length, 16), int)
            for start in starts:
                covered[start:start + 16] += 1
            assert covered[:length].min() >= 1 and max(starts[-1] + 16, length) == max(length, 16)


def test_flip_undoes_itself_exactly():
    """A network that looks at the pixel alone gives with flips what it gives without."""
    run = FunctionRunner(lambda pixels: pixels / 32, 3, 3)
    plain = kseg.predict(run, photo(), "probabilities")
    np.testing.assert_allclose(kseg.predict(run, photo(), "probabilities", flip=True), plain, atol=1e-7)


def test_flip_averages_the_two_directions():
    local, image = local_model(), photo()
    one = tf.nn.softmax(expected_logits(local, image)).numpy()
    other = tf.nn.softmax(expected_logits(local, image[:, ::-1])).numpy()[:, ::-1]
    np.testing.assert_allclose(kseg.predict(local, image, "probabilities", flip=True), (one + other) / 2, atol=1e-6)


def test_scales_resize_and_come_back():
    local, image = local_model(), photo().astype("float32")
    expected = []
    for scale in (0.5, 1.0, 1.6):
        size = int(round(37 * scale)), int(round(53 * scale))
        scaled = tf.image.resize(image[None], size)
        expected.append(tf.image.resize(tf.nn.softmax(local(scaled)), (37, 53)).numpy()[0])
    result = kseg.predict(local, image, "probabilities", scales=(0.5, 1.0, 1.6))
    np.testing.assert_allclose(result, np.mean(expected, 0), atol=1e-5)
    logits = kseg.predict(local, image, "logits", scales=(0.5, 1.0, 1.6))
    np.testing.assert_allclose(tf.nn.softmax(logits).numpy(), result, atol=1e-5)
    np.testing.assert_array_equal(kseg.predict(local, image, scales=(0.5, 1.0, 1.6)), result.argmax(-1))


def test_scale_geometry_is_exact_on_a_ramp():
    """A linear ramp resized and resized back is the ramp, away from the clamped rim: half-pixel centres both ways."""
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32)[None, :, None] * 4, (32, 40, 3))
    run = FunctionRunner(lambda pixels: pixels[..., :1] * np.array([0, 0.01], np.float32), 2, 3)
    plain = kseg.predict(run, ramp, "probabilities")
    scaled = kseg.predict(run, ramp, "probabilities", scales=(2.0,))
    np.testing.assert_allclose(scaled[:, 2:-2], plain[:, 2:-2], atol=1e-4)


def test_windows_scales_and_flips_together():
    run = FunctionRunner(lambda pixels: pixels / 16, 3, 3)
    flat = np.broadcast_to(np.array([10, 60, 30], np.float32), (41, 35, 3))
    result = kseg.predict(run, flat, "probabilities", window=16, overlap=0.4, scales=(0.5, 1, 1.5), flip=True)
    expected = np.broadcast_to(tf.nn.softmax(np.array([10, 60, 30], np.float32) / 16).numpy(), result.shape)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_model_of_one_size_takes_every_image():
    inputs = keras.Input((16, 24, 3))
    fixed = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
    for arguments in [{}, {"window": (16, 24)}, {"scales": (0.5, 1.0, 1.5), "flip": True},
                      {"window": (16, 24), "scales": (0.5, 1.5)}]:
        assert kseg.predict(fixed, photo(), **arguments).shape == (37, 53)
    free = keras.Input((None, None, 3))
    twin = keras.Model(free, fixed.layers[-1](free))
    np.testing.assert_allclose(kseg.predict(fixed, photo(), "logits", window=(16, 24)),
                               kseg.predict(twin, photo(), "logits"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 4, 5])
def test_a_model_of_one_size_sees_thin_stripes(kind, bands):
    """A quarter of the columns is bright: reduced to an eighth without antialiasing all of them would seem half so."""
    image = np.zeros((64, 64, bands), kind)
    image[:, ::4] = 255
    image[..., 3:] = 200  # were this transparency, the others would be multiplied by it
    seen = []

    def answer(pixels):
        seen.append(pixels)
        return pixels

    kseg.predict(FunctionRunner(answer, bands, bands, image_size=(8, 8)), image)
    assert seen[0].shape == (1, 8, 8, bands)
    np.testing.assert_allclose(seen[0][..., :3].mean(), 63.75, atol=1.5)
    np.testing.assert_allclose(seen[0][..., 3:], 200, atol=0.01)


def test_a_model_of_one_size_sees_what_training_shows():
    """Bit by bit, for bytes, reduced and enlarged."""
    for size in ((16, 24), (50, 60), (20, 80)):
        wanted = geometry.resize(tf.constant(photo()), tf.zeros((37, 53), tf.uint8), size)[0].numpy()
        np.testing.assert_array_equal(fit(photo()[None], size)[0], wanted)


def test_results_go_into_the_array_given(model, tmp_path):
    target = np.lib.format.open_memmap(tmp_path / "labels.npy", "w+", np.uint8, (37, 53))
    assert kseg.predict(model, photo(), window=16, out=target) is target
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), kseg.predict(model, photo()))
    whole = np.zeros((37, 53), np.uint8)
    kseg.predict(model, photo(), out=whole)
    np.testing.assert_array_equal(whole, target)


@pytest.mark.parametrize("options", [{}, {"window": 16}])
@pytest.mark.parametrize("output, shape, dtype", [
    ("labels", (40, 60), np.uint8), ("labels", (37, 52), np.uint8), ("labels", (37, 53), np.int8),
    ("probabilities", (37, 53, 3), np.uint8), ("probabilities", (37, 53), np.float32)])
def test_an_array_that_cannot_take_the_result_is_refused(options, output, shape, dtype):
    """Before anything is run: a part of the result, or probabilities cut to 0 and 1, would be lost in silence."""
    run = FunctionRunner(lambda pixels: pytest.fail("run in vain"), 3, 3)
    with pytest.raises(ValueError, match=r"`out` must be an array of shape \(37, 53.* that takes (uint8|float32), got"):
        kseg.predict(run, photo(), output, out=np.zeros(shape, dtype), **options)
    with pytest.raises(ValueError, match=r"`out` must be an array of shape \(2, 37, 53.* that takes"):
        kseg.predict(run, np.stack([photo()] * 2), output, out=np.zeros((2, *shape), dtype), **options)


def test_a_wider_array_takes_the_result(model):
    for dtype in (np.int64, np.uint16):
        wide = np.zeros((2, 37, 53), dtype)
        kseg.predict(model, np.stack([photo(), photo()[::-1]]), out=wide)
        np.testing.assert_array_equal(wide[0], kseg.predict(model, photo()))
    half = np.zeros((37, 53, model.output_shape[-1]), np.float16)
    kseg.predict(model, photo(), "probabilities", out=half)
    np.testing.assert_allclose(half, kseg.predict(model, photo(), "probabilities"), atol=1e-3)


def test_keras_file_and_saved_model_answer_alike(model, tmp_path):
    model.save(tmp_path / "m.keras")
    model.export(tmp_path / "saved", verbose=False)
    wanted = kseg.predict(model, photo(), "logits")
    everything = {"window": 16, "overlap": 0.4, "scales": (0.5, 1.0, 1.5), "flip": True}
    together = kseg.predict(model, photo(), "probabilities", **everything)
    for path in (tmp_path / "m.keras", tmp_path / "saved"):
        np.testing.assert_allclose(kseg.predict(path, photo(), "logits"), wanted, atol=1e-5)
        np.testing.assert_allclose(kseg.predict(path, photo(), "probabilities", **everything), together, atol=1e-5)


def test_tflite_answers_alike(tmp_path):
    inputs = keras.Input((24, 32, 3), batch_size=1)
    fixed = keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same")(inputs / 255.0))
    fixed.export(tmp_path / "m.tflite", format="litert", verbose=False)
    image = photo(24, 32)
    wanted = kseg.predict(fixed, image, "logits")
    np.testing.assert_allclose(kseg.predict(tmp_path / "m.tflite", image, "logits"), wanted, atol=1e-4)
    both = np.stack([image, image[::-1]])
    assert kseg.predict(tmp_path / "m.tflite", both, scales=(0.75, 1.0), flip=True).shape == (2, 24, 32)
    everything = {"window": (24, 32), "overlap": 0.4, "scales": (0.5, 1.0, 1.5), "flip": True}
    np.testing.assert_allclose(kseg.predict(str(tmp_path / "m.tflite"), photo(), "probabilities", **everything),
                               kseg.predict(fixed, photo(), "probabilities", **everything), atol=1e-5)


def test_weights_changed_after_a_prediction_count(model):
    changing = pointwise_model(seed=5)
    before = kseg.predict(changing, photo(), "logits")
    changing.layers[-1].bias.assign_add(np.ones(4))
    np.testing.assert_allclose(kseg.predict(changing, photo(), "logits"), before + 1, atol=1e-5)


def test_label_map_of_tensors_and_arrays():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    assert kseg.inference.label_map(logits).dtype == np.uint8
    assert kseg.inference.label_map(tf.constant(logits)).dtype == tf.int32
    np.testing.assert_array_equal(kseg.inference.label_map(tf.constant(logits)), logits.argmax(-1))


@pytest.mark.parametrize("images, options, total", [
    (photo(), {}, 1),
    (photo(), {"window": 16, "overlap": 0}, 3 * 4),
    (photo(8, 60), {"window": 8, "overlap": 0.6}, 6 * 4 + 2),  # in bands of 11 columns
    (np.stack([photo()] * 3), {"window": 16, "overlap": 0}, 3 * 3 * 4),
    (np.stack([photo()] * 5), {"batch_size": 2}, 5),
    ([photo(), photo(20, 30)], {"window": 16}, 2),
])
def test_progress_bar_ends_when_all_is_done(model, monkeypatch, images, options, total):
    bars = []

    class Bar(progress.Progress):
        def __exit__(self, *failure):
            bars.append(self.tasks[0])
            super().__exit__(*failure)

    monkeypatch.setattr(progress, "Progress", Bar)
    if options.get("overlap") == 0.6:
        monkeypatch.setattr("kseg.inference.strategies.sliding_window.STRIP_BYTES", 8 * 4 * 4 * 11)
        total = SlidingWindow((8, 8), 4, 0.6).count((8, 60))
    kseg.predict(model, images, progress=True, **options)
    assert (bars[0].completed, bars[0].total) == (total, total)


@pytest.mark.parametrize("images, arguments, message", [
    (np.zeros((240, 320), np.uint8), {},
     "`images` must be pixels [H, W, 3] or a batch [B, H, W, 3], got images=(240, 320). This is the shape of a label "
     "map: pass the image it belongs to. A grey image goes to a model of 3 channels as its file, or repeated 3 times."),
    (np.zeros((24, 32, 1), np.uint8), {},
     "`images` must be pixels [H, W, 3] or a batch [B, H, W, 3], got images=(24, 32, 1). This is the shape of a label "
     "map: pass the image it belongs to. A grey image goes to a model of 3 channels as its file, or repeated 3 times."),
    (np.zeros((24, 32, 4), np.uint8), {},
     "`images` must be pixels [H, W, 3] or a batch [B, H, W, 3], got images=(24, 32, 4). The model takes 3 bands: "
     "choose these, or build it with `in_channels`."),
    (np.zeros((8, 8, 3), np.uint8), {"output": "label"},
     "`output` must be one of ('labels', 'probabilities', 'logits'), got output='label'. Did you mean 'labels'?"),
    (np.zeros((8, 8, 3), np.uint8), {"scales": (0.01,)},
     "`scales` must leave at least one pixel of 8×8, got scales=0.01. Leave this scale out."),
    (np.zeros((8, 8, 3), np.uint8), {"scales": ()},
     "`scales` must be numbers above 0 and up to 16, got scales=(). Write for example scales=(0.75, 1.0, 1.25)."),
    (np.zeros((8, 8, 3), np.uint8), {"window": (8, 0)},
     "`window` must be two positive integers (height, width), got window=(8, 0). "
     "Write for example window=(384, 512)."),
    (np.zeros((8, 8, 3), np.uint8), {"overlap": 1.0},
     "`overlap` must be a number between 0 and 0.99, got overlap=1.0. Pass a value from 0 to 0.99."),
])
def test_bad_arguments(model, images, arguments, message):
    with pytest.raises(ValueError) as caught:
        kseg.predict(model, images, **arguments)
    assert str(caught.value) == message


def test_pictures_are_taken_strip_by_strip(model, monkeypatch):
    pictures = [Image.fromarray(photo()), Image.fromarray(photo()[..., 0]), Image.fromarray(photo()).convert("P")]
    wanted = [np.asarray(picture.convert(mode)) for picture in pictures for mode in ("RGB", "L")]
    monkeypatch.setattr(sources, "_STRIP", 53 * 8)
    got = [np.squeeze(sources.open_image(picture, bands)) for picture in pictures for bands in (3, 1)]
    for one, other in zip(got, wanted):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_picture_is_named_for_any_bands(model, tmp_path):
    Image.fromarray(photo()).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:300])
    for four, image in ((True, tmp_path / "cut.png"), (False, Image.open(tmp_path / "cut.png"))):
        with pytest.raises(ValueError, match="`images` must be a complete image file, got images=.*cut.png.*The decod"):
            kseg.predict(pointwise_model(channels=4) if four else model, image)


def test_bad_paths_and_models(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="`images` must be the path of a file, got images='nowhere.png'"):
        kseg.predict(model, "nowhere.png")
    with pytest.raises(FileNotFoundError, match="`model` must be the path of a file, got model='nowhere.keras'"):
        kseg.predict("nowhere.keras", photo())
    with pytest.raises(FileNotFoundError, match="`model` must be a SavedModel folder, with saved_model.pb inside"):
        kseg.predict(tmp_path, photo())
    with pytest.raises(TypeError, match="`model` must be a keras.Model, or the path of"):
        kseg.predict(lambda pixels: pixels, photo())
    with pytest.raises(TypeError, match="`out` must be an array, got out='list'. Make it with numpy.empty"):
        kseg.predict(model, photo(), out=[])
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match="`model` must be a TFLite file, got model="):
        kseg.predict(tmp_path / "broken.tflite", photo())


def test_pixels_of_more_than_8_bits_draw_a_warning(model, tmp_path):
    deep = photo().astype(np.uint16) * 257
    np.save(tmp_path / "deep.npy", deep)
    for image in (deep, tmp_path / "deep.npy", deep.astype(np.float32)):
        with pytest.warns(UserWarning, match="`images` are pixels from 0 to 255, got images=.*divide 16-bit values by"):
            kseg.predict(model, image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kseg.predict(model, photo().astype(np.int32))


def test_pixels_divided_by_255_draw_a_warning(model):
    with pytest.warns(UserWarning, match="`images` are pixels from 0 to 255, and these look divided by 255 already"):
        kseg.predict(model, photo() / 255.0)


@pytest.mark.slow
def test_memory_is_bounded_by_the_tile(tmp_path):
    """20 classes on 2000 × 4000 pixels are 640 MB of scores; the process grows by a fraction of that."""
    code = """
import resource, sys, numpy as np
from numpy.lib.format import open_memmap
from kseg.inference.predict import predict
from tests.inference.function_runner import FunctionRunner
image = open_memmap(sys.argv[1] + "/image.npy", "w+", np.uint8, (2000, 4000, 3))
image[:, 2000:, 1] = 200
labels = open_memmap(sys.argv[1] + "/labels.npy", "w+", np.uint8, (2000, 4000))
run = FunctionRunner(lambda pixels: np.repeat(pixels[..., :2], 10, -1), 20, 3)
predict(run, np.zeros((600, 600, 3), np.uint8), window=256)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
predict(run, sys.argv[1] + "/image.npy", window=256, overlap=0.25, out=labels)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300_000  # KiB; 32,000 of them are the two mapped files
    labels = np.load(tmp_path / "labels.npy", mmap_mode="r")
    assert labels[:, :2000].max() == 0 and (labels[:, 2000:] == 10).all()


def test_confidence_is_the_probability_of_the_label(monkeypatch):
    """By strips and by windows as well; pixels without data are 255 and sure of nothing."""
    from kseg.inference import Predictor

    monkeypatch.setattr("kseg.inference.predict._STRIP", 500)
    plain = tiny_model()
    model = kseg.models.Segmenter(plain.inputs, plain.outputs)
    model.pixel_range = (0, 1)
    image = structured_image(40, 56) / np.float32(255)
    image[3:9, 20:31] = np.nan
    for options in ({}, {"window": (24, 32), "flip": True}):
        labels, ids, sure = Predictor(model, **options).with_confidence(image)
        best = kseg.predict(model, image, output="probabilities", **options).max(axis=-1)
        best[3:9, 20:31] = 0
        np.testing.assert_array_equal(labels, kseg.predict(model, image, **options))
        np.testing.assert_array_equal(ids, labels)
        assert (labels[3:9, 20:31] == 255).all() and np.abs(sure - 255 * best).max() <= 0.5 + 1e-3
    with pytest.raises(ValueError, match="`output` must be one of"):
        Predictor(model, "logits").with_confidence(image)


def test_images_of_8_bits_for_a_model_of_more_are_told_once():
    model = kseg.models.SegNetBasic(2, filters=4, compile=False)
    model.pixel_range, pixels = (0, 4095), photo(32, 48)
    predictor = kseg.inference.Predictor(model)
    with pytest.warns(kseg.DataWarning, match=r"pixel_range \[\(0\.0, 4095\.0\)\] makes pixels 0 to 255; these have 8"):
        predictor(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor(pixels)  # told already
        kseg.predict(model, pixels.astype(np.uint16) * 16)
        kseg.inference.Predictor(model, scaled=True)(pixels)
        model.pixel_range = (20, 200)  # such numbers fit 8 bits
        kseg.predict(model, pixels)
