"""Checkpoints of PyTorch are read as PyTorch reads them."""

import pickle
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from kseg.encoders import row_of
from kseg.encoders.checkpoint import read_checkpoint
from kseg.encoders.weights import load_file
from tests.encoders.torch_files import (
    EXPECTED,
    GOLDEN,
    SIX,
    WHOLE,
    WRITERS,
    assert_same,
    mapping,
    refusal,
    tensor,
    write_arrays,
    write_legacy,
    write_zip,
)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_pytorch_wrote(name, tmp_path):
    arrays = read_checkpoint(GOLDEN / name)
    assert_same(arrays, EXPECTED[name])
    assert not any(array.flags.writeable for array in arrays.values())
    shutil.copy(GOLDEN / name, tmp_path / "weights")
    assert_same(read_checkpoint(str(tmp_path / "weights")), EXPECTED[name])


@pytest.mark.parametrize("name", ["views.pt", "views_legacy.pt"])
def test_views_share_their_storage(name):
    arrays = read_checkpoint(GOLDEN / name)
    for view in ("transposed", "part", "steps", "row", "one"):
        assert np.shares_memory(arrays[view], arrays["whole"]), view
    assert arrays["transposed"].strides == (4, 24) and arrays["channels_last"].strides == (240, 4, 60, 12)


def test_no_module_is_imported_and_no_class_made():
    """The file names `History` and `Settings` of `__main__`, and modules that the reader does not need."""
    code = ("import os, sys; from kseg.encoders.checkpoint import read_checkpoint\n"
            "class History:\n    def __new__(cls, *_): os._exit(3)\n"
            "class Settings(History): pass\n"
            f"read_checkpoint({str(GOLDEN / 'half.bin')!r}); before = set(sys.modules)\n"
            f"read_checkpoint({str(GOLDEN / 'run.ckpt')!r}); sys.exit(set(sys.modules) != before)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("order", ["<f4", ">f4"])
@pytest.mark.parametrize("form", WRITERS)
def test_byte_order(form, order, tmp_path):
    data = {"0": SIX.astype(order).tobytes()}
    if form == "zip":
        write_zip(tmp_path / "m.pt", mapping({"w": WHOLE}), data, byteorder=b"little" if order == "<f4" else b"big")
    else:
        write_legacy(tmp_path / "m.pt", mapping({"w": WHOLE}), data, little_endian=order == "<f4")
    assert_same(read_checkpoint(tmp_path / "m.pt"), {"w": SIX.reshape(2, 3)})


def one(index):
    return tensor((1,), (1,), offset=index)


@pytest.mark.parametrize("entries, chosen", [
    ({"a": one(1)}, {"a": 1}),
    ({"model": {"a": one(1)}, "state_dict": {"a": one(2), "b": one(3)}}, {"a": 2, "b": 3}),
    ({"state_dict": {"a": one(1), "b": one(2)}, "state_dict_ema": {"a": one(3)}}, {"a": 3}),
    ({"ema_state_dict": {"a": one(1), "b": one(2)}, "state_dict": {"a": one(3)}}, {"a": 3}),
    ({"state_dict": {}, "model": {"state_dict": {"a": one(4)}, "b": one(1)}}, {"a": 4}),
    ({"loss": one(1), "g": {"a": one(2), "b": one(3)}}, {"a": 2, "b": 3}),
    ({"g": {"a": one(2)}, "d": {"b": one(3)}}, {"a": 2}),
    ({"module.model.a": one(1), "module.model._orig_mod.b": one(2)}, {"a": 1, "_orig_mod.b": 2}),
    ({"module.a": one(1), "b": one(2)}, {"module.a": 1, "b": 2}),
    ({"n_averaged": one(0), "module.a": one(1), "module.b": one(2)}, {"a": 1, "b": 2}),
    ({"n_averaged": one(0), "a": one(1)}, {"n_averaged": 0, "a": 1}),
])
def test_which_dict(entries, chosen, tmp_path):
    def encoded(value):
        return mapping({key: encoded(item) for key, item in value.items()}) if isinstance(value, dict) else value
    write_zip(tmp_path / "m.pt", encoded(entries), {"0": SIX.tobytes()})
    assert_same(read_checkpoint(tmp_path / "m.pt"), {name: SIX[[at]] for name, at in chosen.items()})


def write_npz(path):
    with open(path, "wb") as file:
        np.savez(file, w=SIX)


SAVE = "Save one with `torch.save(model.state_dict(), path)`."


@pytest.mark.parametrize("write, rule, advice", [
    (lambda path: path.write_bytes(b""), "must be a checkpoint of PyTorch or a safetensors file", SAVE),
    (lambda path: path.write_text("<!DOCTYPE html>"), "must be a checkpoint of PyTorch or a safetensors file", SAVE),
    (lambda path: path.write_bytes(pickle.dumps({})), "must be a checkpoint of PyTorch, not another pickle", SAVE),
    (write_npz, "must be a checkpoint of PyTorch, not another zip archive", SAVE),
    (lambda path: write_zip(path, mapping({"w": WHOLE}), {"0": SIX.tobytes()}, ("code/net.py", "constants.pkl")),
     "must be a checkpoint of PyTorch, not a TorchScript archive",
     "Load it in PyTorch and save `model.state_dict()` with torch.save."),
    (lambda path: shutil.copy(GOLDEN / "no_tensors.pt", path),
     "must hold tensors by name, at the top or in a dict below it",
     "If it is a pickled object of your own, save it with `torch.save(model.state_dict(), path)`."),
    (lambda path: shutil.copy(GOLDEN / "float8.pt", path),
     "must hold arrays of dtypes that NumPy has, or bfloat16, not float8_e4m3fn", "Save it with `model.float()`."),
    (lambda path: path.write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}"), "must hold arrays",
     "Save the weights with `safetensors.numpy.save_file`."),
    (lambda path: path.mkdir(), "must be a file", "Name a file in that folder."),
], ids=["empty", "html", "pickle", "npz", "script", "no tensors", "float8", "empty safetensors", "folder"])
def test_files_of_no_use(write, rule, advice, tmp_path):
    write(tmp_path / "m.pt")
    with pytest.raises(ValueError, match=refusal(tmp_path / "m.pt", rule, advice)):
        read_checkpoint(tmp_path / "m.pt")


def test_a_missing_file_and_the_arguments_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="^`encoder_weights` must be the path of a file, got encoder_weights="):
        read_checkpoint(tmp_path / "none.pt", "encoder_weights")


@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin"])
def test_an_encoder_takes_its_weights_from_a_checkpoint(ending, tmp_path):
    encoder = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
    random = np.random.default_rng(0)
    arrays = {variable.path: random.random(variable.shape, np.float32) for variable in encoder.variables}
    write_arrays(tmp_path / f"m{ending}", arrays)
    load_file(encoder, tmp_path / f"m{ending}", row_of("mobilenetv2"))
    for variable in encoder.variables:
        np.testing.assert_array_equal(variable, arrays[variable.path], err_msg=variable.path)
    shutil.copy(GOLDEN / "no_tensors.pt", tmp_path / f"m{ending}")
    with pytest.raises(ValueError, match="^`encoder_weights` must hold tensors by name"):
        load_file(encoder, tmp_path / f"m{ending}", row_of("mobilenetv2"))


def test_a_safetensors_header_whose_length_begins_as_a_pickle_does(tmp_path):
    """0x80 is the first byte of every pickle, and of one header length in 256."""
    for pad in range(300):
        save_file({"weight": np.arange(6, dtype="float32").reshape(2, 3)}, tmp_path / "a.safetensors",
                  {"note": "x" * pad})
        if (tmp_path / "a.safetensors").read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no header of such a length was made")
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "a.safetensors")["weight"],
                                  np.arange(6).reshape(2, 3))
