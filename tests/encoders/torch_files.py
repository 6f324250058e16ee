"""Files of PyTorch written by hand, so that a test can put into them what PyTorch never would."""

import pickle
import struct
import zipfile

import numpy as np

MAGIC, PROTOCOL = 0x1950a86a20f9469cfc6c, 1001
KINDS = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage", "u1": "ByteStorage"}


def ops(value):
    """Return the opcodes that push `value`, of builtin types."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(size, stride, offset=0, count=6, key="0", kind="FloatStorage"):
    """Return the opcodes of a tensor over the `count` numbers of storage `key`."""
    storage = b"(" + ops("storage") + f"ctorch\n{kind}\n".encode() + ops(key) + ops("cpu") + ops(count) + b"tQ"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + ops(offset) + ops(size) + ops(stride)
            + b"\x89ccollections\nOrderedDict\n)RtR")


def mapping(entries):
    """Return the opcodes of a dict of name to opcodes."""
    return b"}(" + b"".join(ops(name) + value for name, value in entries.items()) + b"u"


def write_zip(path, value, storages, more=(), byteorder=b"little"):
    """Write the archive of PyTorch 1.6 whose pickle is the opcodes `value`; storages are bytes by key."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + value + b".")
        archive.writestr("m/byteorder", byteorder)
        for key, data in storages.items():
            archive.writestr(f"m/data/{key}", data)
        for name in more:
            archive.writestr(f"m/{name}", b"x")


def write_legacy(path, value, storages, itemsize=4, little_endian=True):
    """Write the row of pickles of PyTorch before 1.6."""
    order = "<" if little_endian else ">"
    with open(path, "wb") as file:
        for part in (MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": little_endian}):
            file.write(pickle.dumps(part, 2))
        file.write(b"\x80\x02" + value + b"." + pickle.dumps(list(storages), 2))
        for data in storages.values():
            file.write(struct.pack(f"{order}q", len(data) // itemsize) + data)


WRITERS = {"zip": write_zip, "legacy": write_legacy}


def write_arrays(path, arrays):
    """Write arrays by name as PyTorch saves a state dict."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    entries = {name: tensor(array.shape, tuple(step // array.itemsize for step in array.strides), 0, array.size,
                            str(index), KINDS[array.dtype.str[1:]])
               for index, (name, array) in enumerate(arrays.items())}
    write_zip(path, mapping(entries), {str(index): array.tobytes() for index, array in enumerate(arrays.values())})
