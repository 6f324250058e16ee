"""Hostile and damaged checkpoints run nothing, take no memory to speak of, and raise the error sentence at most."""

import os
import pickle
import re
import subprocess
import tracemalloc
import zipfile

import keras
import numpy as np
import pytest

from kseg.encoders import names, row_of
from kseg.encoders.checkpoint import read_checkpoint
from kseg.encoders.weights import load_file
from kseg.pretrained.zoo import PUBLISHED
from tests.encoders.torch_files import (
    EXPECTED,
    GOLDEN,
    SIX,
    WHOLE,
    WRITERS,
    assert_same,
    mapping,
    ops,
    refusal,
    tensor,
    write_legacy,
    write_zip,
)


def damaged(path):
    return refusal(path, "must be an undamaged checkpoint", "Copy or download the file again.")


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


def test_weights_of_keras_and_numpy_that_are_damaged(tmp_path):
    pixels = keras.Input((None, None, 3))
    encoder = keras.Model(pixels, keras.layers.Conv2D(2, 3, name="conv")(pixels))
    encoder.save_weights(tmp_path / "m.weights.h5")
    content = (tmp_path / "m.weights.h5").read_bytes()
    assert content.count(b"TREE") and content.count(b"SNOD")
    for damaged in (b"", content[:500], content.replace(b"TREE", b"tree"), content.replace(b"SNOD", b"snod")):
        (tmp_path / "m.weights.h5").write_bytes(damaged)
        with pytest.raises(ValueError, match="^`encoder_weights` must be an undamaged .weights.h5 file, got"):
            load_file(encoder, tmp_path / "m.weights.h5", row_of("resnet18"))
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:  # NumPy gives the bytes of what is no array
        archive.writestr("conv/kernel.npy", "no array")
    with pytest.raises(ValueError, match="^`encoder_weights` must be a readable file of arrays, got"):
        load_file(encoder, tmp_path / "m.npz", row_of("resnet18"))


def test_every_file_that_is_downloaded_has_its_hash_in_its_name():
    urls = [row_of(name).url for name in names()] + [row.url for row in PUBLISHED.values()]
    unnamed = [url for url in urls if url and not re.search(r"-[0-9a-f]{8,64}\.pth$", url)]
    assert all(url.startswith("kaggle://") for url in unnamed), unnamed  # whose client has its own
    assert sum(map(bool, urls)) > 50
