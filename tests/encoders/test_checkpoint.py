"""Checkpoints of PyTorch are read as PyTorch reads them; hostile and damaged files do nothing but raise."""

import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import tracemalloc
import zipfile

import keras
import numpy as np
import pytest

from kseg.encoders import row_of
from kseg.encoders.checkpoint import read_checkpoint
from kseg.encoders.weights import load_file
from tests.encoders.torch_files import WRITERS, mapping, ops, tensor, write_arrays, write_legacy, write_zip

GOLDEN = pathlib.Path(__file__).parents[1] / "data" / "checkpoints"  # written by make.py there
with np.load(GOLDEN / "expected.npz") as _archive:
    EXPECTED = {}
    for _key in _archive.files:
        EXPECTED.setdefault(_key.partition(":")[0], {})[_key.partition(":")[2]] = _archive[_key]
SIX = np.arange(6, dtype="<f4")
WHOLE = tensor((2, 3), (3, 1))


def assert_same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, value in expected.items():
        assert arrays[name].dtype == value.dtype and arrays[name].shape == value.shape, name
        np.testing.assert_array_equal(arrays[name], value, err_msg=name)


def refusal(path, rule, advice):
    return re.escape(f"`checkpoint` {rule}, got checkpoint={str(path)!r}. {advice}") + "$"


def damaged(path):
    return refusal(path, "must be an undamaged checkpoint", "Copy or download the file again.")


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


def test_no_torch_and_no_foreign_module_is_imported():
    code = ("import sys; from kseg.encoders.checkpoint import read_checkpoint; before = set(sys.modules)\n"
            f"read_checkpoint({str(GOLDEN / 'run.ckpt')!r})\n"
            "sys.exit(bool({'torch', 'argparse'} & (set(sys.modules) - before)) or 'torch' in sys.modules)")
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


class Act:
    """Pickled as the call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __call__(self):
        """Let one call return the function of the next."""


ACTS = {
    "system": lambda marker: Act(os.system, f"touch {marker}"),
    "eval": lambda marker: Act(eval, f"open({str(marker)!r}, 'w').close()"),
    "getattr": lambda marker: Act(Act(getattr, Act(__import__, "pathlib"), "Path"), str(marker)),
    "subprocess": lambda marker: Act(subprocess.check_call, ["touch", str(marker)]),
    "open": lambda marker: Act(open, str(marker), "w"),
}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_calls_are_never_made(protocol, act, form, tmp_path):
    hostile = pickle.dumps(act(tmp_path / "marker"), protocol)
    hostile = hostile[2 if protocol >= 2 else 0:-1] + b"0"
    WRITERS[form](tmp_path / "m.pt", hostile + mapping({"w": WHOLE}), {"0": SIX.tobytes()})
    assert_same(read_checkpoint(tmp_path / "m.pt"), {"w": SIX.reshape(2, 3)})
    assert not (tmp_path / "marker").exists()


def test_the_calls_above_would_act(tmp_path):
    for index, act in enumerate(ACTS.values()):
        result = pickle.loads(pickle.dumps(act(tmp_path / str(index))))
        assert (tmp_path / str(index)).exists() or result == tmp_path / str(index)
        getattr(result, "close", int)()


@pytest.mark.parametrize("opcodes", [
    b"(i__main__\nWeird\n(lp0\nI1\nab",  # INST, then BUILD with a list
    b"(c__main__\nWeird\nI1\no",  # OBJ
    b"c__main__\nWeird\n)\x81}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsb",  # NEWOBJ, BUILD with a method as state
    b"ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00items" + ops(1) + b"sb",  # BUILD that would hide a method
    b"cbuiltins\nset\n(]" + ops(1) + b"atR",
    b"\x8f(" + ops(1) + b"\x90",  # EMPTY_SET, ADDITEMS
    b"}(" + ops((1, 2)) + ops(3) + b"u",
    b"ctorch\nSize\n(" + ops((1, 2)) + b"tR",
    b"]r\xff\xff\xff\x7f",  # LONG_BINPUT at 2**31 - 1, for which C's unpickler makes a table of 32 GB
    b")" + b"2\x86" * 2000 + b"}q\x000h\x000",  # pairs of pairs: 2**2000 leaves
    b"}" + b")" + b"2\x86" * 60 + b"I1\ns",  # the same as a key, whose hash takes 2**60 steps
    b"](" * 100_000 + b"e" * 100_000,
    b"c__main__\nWeird\n)R" * 20_000 + b"b" * 19_999,
], ids=lambda value: str(value[:24]))
def test_strange_but_harmless(opcodes, tmp_path):
    write_zip(tmp_path / "m.pt", mapping({"state_dict": mapping({"w": WHOLE}), "other": opcodes}), {"0": SIX.tobytes()})
    assert_same(read_checkpoint(tmp_path / "m.pt"), {"w": SIX.reshape(2, 3)})


ENDLESS = b"c__main__\nNet\n)Rq\xc8}(" + b"".join(ops(part) + value for part, value in (
    ("_parameters", mapping({"w": WHOLE})), ("_buffers", b"}"), ("_modules", b"}" + ops("a") + b"h\xc8s"))) + b"ub"


@pytest.mark.parametrize("opcodes", [
    b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00",  # EXT1, EXT2, EXT4
    b"Pstorage\n",  # PERSID
    ops(("storage", 1, "0", "cpu", 6)) + b"Q", ops("storage") + b"Q", ops(()) + b"Q", ops(7) + b"Q",
    b"\x96" + (1 << 40).to_bytes(8, "little"),  # BYTEARRAY8 of a terabyte
    b"\x8d" + (1 << 40).to_bytes(8, "little"),  # BINUNICODE8
    b"\x8e" + (1 << 40).to_bytes(8, "little"),  # BINBYTES8
    b"\x8b" + (1 << 30).to_bytes(4, "little"),  # LONG4
    b"T" + (1 << 30).to_bytes(4, "little"),  # BINSTRING
    b"I" + b"9" * 100_000 + b"\n",
    b"\xff", b"0", b"1", b"a", b"u", b"R", b"b", b"h\x07", b"\x93", b"\x87",  # unknown; what the stack does not hold
    ops("m" * 2000) + ops("n") + b"\x93",
    ENDLESS,
    b"0" * 3 + b"}",
], ids=lambda value: str(value[:24]))
@pytest.mark.parametrize("form", WRITERS)
def test_refused_opcodes(opcodes, form, tmp_path):
    WRITERS[form](tmp_path / "m.pt", opcodes + b"0" + mapping({"w": WHOLE}) if opcodes[:1] != b"c" else opcodes,
                  {"0": SIX.tobytes()})
    tracemalloc.start()
    with pytest.raises(ValueError, match=damaged(tmp_path / "m.pt")):
        read_checkpoint(tmp_path / "m.pt")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("described", [
    {"size": (7,), "stride": (1,)}, {"size": (2, 3), "stride": (3, 2)}, {"size": (2, 3), "stride": (3, 1), "offset": 1},
    {"size": (1,), "stride": (1,), "offset": 6}, {"size": (), "stride": (), "offset": 6},
    {"size": (1,), "stride": (1,), "offset": -1}, {"size": (2,), "stride": (-1,), "offset": 5},
    {"size": (-1,), "stride": (1,)}, {"size": (2.0,), "stride": (1,)}, {"size": (True,), "stride": (1,)},
    {"size": (2, 3), "stride": (1,)}, {"size": 6, "stride": 1}, {"size": (1,) * 65, "stride": (1,) * 65},
    {"size": (2 ** 60,), "stride": (0,)}, {"size": (2 ** 40, 2 ** 40), "stride": (0, 0)},
    {"size": (2 ** 62,), "stride": (2 ** 62,)}, {"size": (1 << 10 ** 4,), "stride": (0,)},
    {"size": (2 ** 60,), "stride": (1,), "count": 2 ** 60}, {"size": (6,), "stride": (1,), "count": 7},
    {"size": (6,), "stride": (1,), "count": -6}, {"size": (6,), "stride": (1,), "count": "6"},
    {"size": (6,), "stride": (1,), "key": "1"}, {"size": (6,), "stride": (1,), "key": "../byteorder"},
])
def test_tensors_beyond_their_storage(described, form, tmp_path):
    WRITERS[form](tmp_path / "m.pt", mapping({"w": tensor(**described)}), {"0": SIX.tobytes()})
    tracemalloc.start()
    with pytest.raises(ValueError, match=damaged(tmp_path / "m.pt")):
        read_checkpoint(tmp_path / "m.pt")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_row_of_pickles_that_states_too_long_a_storage(tmp_path):
    write_legacy(tmp_path / "m.pt", mapping({"w": WHOLE}), {"0": SIX.tobytes()})
    data = (tmp_path / "m.pt").read_bytes()
    (tmp_path / "m.pt").write_bytes(data[:-32] + (2 ** 60).to_bytes(8, "little") + data[-24:])
    with pytest.raises(ValueError, match=damaged(tmp_path / "m.pt")):
        read_checkpoint(tmp_path / "m.pt")


def test_a_zip_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + mapping({"w": tensor((2 ** 24,), (1,), 0, 2 ** 24)}) + b".")
        archive.writestr("m/data/0", bytes(2 ** 26))
    tracemalloc.start()
    with pytest.raises(ValueError, match=damaged(tmp_path / "m.pt")):
        read_checkpoint(tmp_path / "m.pt")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("name", EXPECTED)
def test_truncated_anywhere(name, tmp_path):
    data = (GOLDEN / name).read_bytes()
    for length in sorted({*np.linspace(0, len(data) - 1, 60).astype(int), *range(len(data) - 10, len(data))}):
        (tmp_path / "m.pt").write_bytes(data[:length])
        with pytest.raises(ValueError, match="^`checkpoint` must be "):
            read_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("seed", range(300))
def test_mutated_bytes(seed, tmp_path):
    """An archive has checksums: the right answer or none. Other formats have none: numbers may differ, nothing else."""
    random = np.random.default_rng(seed)
    name = sorted(EXPECTED)[seed % len(EXPECTED)]
    data = np.fromfile(GOLDEN / name, np.uint8)
    data[random.integers(len(data), size=random.integers(1, 4))] = random.integers(256)
    data.tofile(tmp_path / "m.pt")
    try:
        arrays = read_checkpoint(tmp_path / "m.pt")
    except ValueError as error:
        assert str(error).startswith("`checkpoint` must ")
        return
    if bytes(data[:2]) == b"PK":
        assert_same(arrays, EXPECTED[name])
    for key, array in arrays.items():
        assert isinstance(key, str) and isinstance(array, np.ndarray)
        assert np.array(array).nbytes <= 4 * 2 ** 24


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
