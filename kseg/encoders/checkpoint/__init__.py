"""Checkpoints of PyTorch, and safetensors files, read into arrays without PyTorch.

Formats: PyTorch's zip archive (from 1.6), its row of pickles (0.1.10 to 1.5), and safetensors, each known by its
content. Nothing in a file is run, and no size it states is believed before it is compared with the file's own.
Reference: PyTorch, notes on serialization semantics; safetensors, format.
"""

import io
import mmap
import os
import zipfile

import numpy as np
import safetensors

from kseg import checks
from kseg.encoders.checkpoint.arrays import arrays_of, decoded, item_size
from kseg.encoders.checkpoint.objects import Refusal
from kseg.encoders.checkpoint.pickles import read_pickle
from kseg.encoders.checkpoint.state_dict import find_state_dict, without_wrappers
from kseg.types import Path

_ADVICE = "Save one with `torch.save(model.state_dict(), path)`."
_MAGIC = 0x1950a86a20f9469cfc6c  # the first of the row of pickles


def read_checkpoint(path: Path, argument: str = "checkpoint") -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint of PyTorch (.pth, .pt, .bin, .ckpt, .tar) or a safetensors file, by name.

    The file is known by its content, whatever it is called. The weights may stand at the top, or in a dict below it:
    averaged ones ("state_dict_ema", "model_ema", "ema") are taken first, then "state_dict", "model_state_dict",
    "model_state", "model", "net", "network", then the dict with the most tensors. A network that was pickled whole is
    read too. What stands beside the weights, of whatever classes, is passed over. "module.", "model." and "_orig_mod."
    at the head of every name are left out.

    Args:
        path: the file.
        argument: str, the name that the error sentence gives it.
    Returns:
        dict of name to read-only array, in PyTorch's shapes and layouts. float16 and bfloat16 become float32, other
        dtypes stay. Arrays that share their numbers in the file share them here.
    Raises:
        FileNotFoundError: if nothing is there.
        ValueError: if it is a folder, damaged, of another format, a TorchScript archive, or without tensors.
    """
    if os.path.isdir(path):
        raise ValueError(checks.sentence(argument, "must be a file", os.fspath(path), "Name a file in that folder."))
    path = checks.existing_file(argument, path)
    with open(path, "rb") as file:
        head = file.read(16)
    try:
        return without_wrappers(_reader(head, path)(path))
    except Refusal as refusal:
        rule, advice = refusal.args
        raise ValueError(checks.sentence(argument, rule, path, advice)) from refusal.__cause__
    except Exception as error:  # pickle, zip and numpy meet damage with errors of many kinds
        raise ValueError(checks.sentence(argument, "must be an undamaged checkpoint", path,
                                         "Copy or download the file again.")) from error


def _reader(head, path):
    if head.startswith(b"PK\x03\x04"):
        return _read_zip
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= os.path.getsize(path):
        return _read_safetensors  # asked before pickles: the length of a header may begin with their byte
    if head.startswith(b"\x80"):
        return _read_pickles
    raise Refusal("must be a checkpoint of PyTorch or a safetensors file", _ADVICE)


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        roots = [name.removesuffix("data.pkl") for name in names if name.rpartition("/")[2] == "data.pkl"]
        if len(roots) != 1:
            raise Refusal("must be a checkpoint of PyTorch, not another zip archive", _ADVICE)
        if any(name.startswith((roots[0] + "code/", roots[0] + "constants.pkl")) for name in names):
            raise Refusal("must be a checkpoint of PyTorch, not a TorchScript archive",
                           "Load it in PyTorch and save `model.state_dict()` with torch.save.")
        left = os.path.getsize(path)

        def read(name):
            nonlocal left
            left -= archive.getinfo(roots[0] + name).file_size
            if left < 0:
                raise ValueError("members that are together larger than the file")
            return archive.read(roots[0] + name)

        root = read_pickle(io.BytesIO(read("data.pkl")))
        order = ">" if roots[0] + "byteorder" in names and read("byteorder") == b"big" else "<"
        return arrays_of(_tensors(root), lambda storage: read(f"data/{storage.key}"), order)


def _read_pickles(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if read_pickle(data) != _MAGIC:
            raise Refusal("must be a checkpoint of PyTorch, not another pickle", _ADVICE)
        read_pickle(data)  # the protocol's number, 1001 ever since
        order = "<" if read_pickle(data)["little_endian"] else ">"
        storages, places = {}, {}
        root = read_pickle(data, storages)
        keys = read_pickle(data)
        position = data.tell()
        for key in keys:  # each storage: how many numbers as int64, then the numbers
            count = int.from_bytes(data[position:position + 8], "little" if order == "<" else "big")
            start, position = position + 8, position + 8 + count * item_size(storages[key].kind)
            if position > len(data):
                raise ValueError("a storage that reaches beyond the end of the file")
            places[key] = slice(start, position)
        return arrays_of(_tensors(root), lambda storage: data[places[storage.key]], order)


def _read_safetensors(path):
    with open(path, "rb") as file:
        entries = safetensors.deserialize(file.read())
    if not entries:
        raise Refusal("must hold arrays", "Save the weights with `safetensors.numpy.save_file`.")
    return {name: decoded(entry["data"], entry["dtype"]).reshape(entry["shape"]) for name, entry in entries}


def _tensors(root):
    tensors = find_state_dict(root)
    if not tensors:
        raise Refusal("must hold tensors by name, at the top or in a dict below it",
                      "If it is a pickled object of your own, save it with `torch.save(model.state_dict(), path)`.")
    return tensors
