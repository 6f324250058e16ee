"""kseg.load_model finds every class of the package without custom_objects, in a fresh process."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import kseg
from kseg.layers import NormalizePixels, ResizeTo
from tests.conftest import structured_image


def small_model():
    pixels = keras.Input((None, None, 3), name="pixels")
    features = keras.layers.Conv2D(4, 3, strides=2, padding="same")(NormalizePixels([0.5] * 3, [0.2] * 3)(pixels))
    model = keras.Model(pixels, ResizeTo(dtype="float32")(features, pixels))
    model.compile("sgd", kseg.losses.Dice() + kseg.losses.CrossEntropy(), metrics=[kseg.metrics.MeanIoU(4)])
    return model


@pytest.mark.slow
def test_loads_in_a_fresh_process(tmp_path):
    """A sum of losses; an FCN of fixed scales on a Mix Transformer, loaded and saved again before."""
    image = structured_image(64, 64)
    fcn = kseg.models.FCN8s(3, "mitb0", fc_filters=4, at_once=True, image_size=(64, 64))
    for layer in fcn.layers:
        if layer.name.startswith("score_"):  # which begin at zero
            layer.set_weights([np.random.default_rng(1).normal(0, 0.1, one.shape) for one in layer.get_weights()])
    fcn.save(tmp_path / "once.keras")
    kseg.load_model(tmp_path / "once.keras").save(tmp_path / "fcn.keras")
    models = {"small": small_model(), "fcn": fcn}
    models["small"].save(tmp_path / "small.keras")
    np.save(tmp_path / "image.npy", image)
    code = ("import sys, numpy, kseg; folder = sys.argv[1]\n"
            "for name in ('small', 'fcn'):\n"
            "    model = kseg.load_model(f'{folder}/{name}.keras')\n"
            "    numpy.save(f'{folder}/{name}.npy', kseg.predict(model, folder + '/image.npy', 'logits'))\n"
            "    print(type(model.loss).__name__)")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["WeightedSum", type(fcn.loss).__name__]
    for name, model in models.items():
        logits = kseg.predict(model, image, "logits")
        assert logits.std() > 1e-3
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), logits, atol=1e-5)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        kseg.load_model("nowhere.keras")
    assert str(caught.value) == ("`path` must be the path of a file, got path='nowhere.keras'. "
                                 "Give the .keras file that model.save wrote.")
    (tmp_path / "m.tflite").write_bytes(b"")
    with pytest.raises(ValueError, match="`path` must end in .keras, got path="):
        kseg.load_model(tmp_path / "m.tflite")


def test_a_damaged_file_is_called_so(tmp_path):
    small_model().save(tmp_path / "m.keras")
    content = (tmp_path / "m.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[:len(content) // 2])
    with pytest.raises(ValueError, match="`path` must be a whole .keras file, got path=.*cut.keras"):
        kseg.load_model(tmp_path / "cut.keras")
    np.savez(tmp_path / "arrays.npz", weights=np.zeros(3))
    (tmp_path / "arrays.npz").rename(tmp_path / "arrays.keras")
    with pytest.raises(ValueError, match="`path` must be a whole .keras file, got path=.*arrays.keras"):
        kseg.load_model(tmp_path / "arrays.keras")
    (tmp_path / "text.npy").write_text("no numbers")
    with pytest.raises(ValueError, match="`images` must be a .npy file of numbers, got images=.*text.npy"):
        kseg.predict(small_model(), tmp_path / "text.npy")
