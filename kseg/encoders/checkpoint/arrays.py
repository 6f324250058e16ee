"""Tensors that a checkpoint describes become NumPy arrays over its storages, once they are found to lie inside."""

import math
from collections.abc import Callable

import numpy as np

from kseg.encoders.checkpoint.objects import Refusal, Storage, Tensor

_NAMES = {  # NumPy's dtype -> the names of PyTorch's storages and dtypes, and safetensors' name
    "f8": ("DoubleStorage", "float64", "F64"), "f4": ("FloatStorage", "float32", "F32"),
    "f2": ("HalfStorage", "float16", "F16"), "bfloat16": ("BFloat16Storage", "bfloat16", "BF16"),
    "i8": ("LongStorage", "int64", "I64"), "i4": ("IntStorage", "int32", "I32"),
    "i2": ("ShortStorage", "int16", "I16"), "i1": ("CharStorage", "int8", "I8"),
    "u8": ("uint64", "U64"), "u4": ("uint32", "U32"), "u2": ("uint16", "U16"),
    "u1": ("ByteStorage", "UntypedStorage", "uint8", "U8"), "?": ("BoolStorage", "bool", "BOOL"),
    "c8": ("ComplexFloatStorage", "complex64", "C64"), "c16": ("ComplexDoubleStorage", "complex128"),
}
_DTYPES = {name: dtype for dtype, names in _NAMES.items() for name in names}
_SIZES = {dtype: 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize for dtype in _NAMES}
_LARGEST_EXPANDED = 2 ** 24  # elements of a tensor that repeats those of a smaller storage
_LARGEST = 2 ** 62  # of any number that describes a tensor


def item_size(name: str) -> int:
    """Return the bytes of one number of a storage ("FloatStorage") or dtype ("float32", "F32")."""
    return _SIZES[_dtype(name)]


def _dtype(name):
    if name not in _DTYPES:
        raise Refusal(f"must hold arrays of dtypes that NumPy has, or bfloat16, not {name[:60]}",
                      "Save it with `model.float()`.")
    return _DTYPES[name]


def decoded(data: bytes, name: str, order: str = "<") -> np.ndarray:
    """Return the numbers in `data`, 1-D and read-only, in the machine's byte order; half precision as float32.

    Args:
        data: bytes, a whole number of items.
        name: str, their storage or dtype ("FloatStorage", "float32", "F32").
        order: str, "<" for little endian, ">" for big.
    """
    dtype = _dtype(name)
    if dtype == "bfloat16":  # the upper half of a float32
        array = (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    elif dtype == "?":
        array = np.frombuffer(data, np.uint8) != 0
    else:
        array = np.frombuffer(data, f"{order}{dtype}")
        array = array.astype(np.float32 if dtype == "f2" else array.dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def arrays_of(tensors: dict[str, Tensor], read: Callable[[Storage], bytes], order: str = "<") -> dict[str, np.ndarray]:
    """Return a read-only array for each tensor; those of one storage share it.

    Args:
        tensors: dict of name to `Tensor`, as the file describes them.
        read: function from a `Storage` to its bytes.
        order: str, "<" for little endian, ">" for big.
    Raises:
        ValueError: if a tensor reaches beyond its storage, or a storage holds less than it should.
        Refusal: if NumPy has no such dtype.
    """
    stored, numbers = {}, {}

    def view(tensor):
        storage, name = tensor.storage, tensor.dtype or tensor.storage.kind
        length, size = storage.count * item_size(storage.kind), item_size(name)
        if storage not in stored:
            stored[storage] = read(storage)
            if len(stored[storage]) < length:
                raise ValueError("a storage that holds less than it says")
        if (storage, name) not in numbers:
            numbers[storage, name] = decoded(stored[storage][:length // size * size], name, order)
        return _strided(numbers[storage, name], tensor)
    return {name: view(tensor) for name, tensor in tensors.items()}


def _strided(flat, tensor):
    """Return the view of `flat` that `tensor` describes."""
    if len(tensor.size) > 64 or not all(type(value) is int and 0 <= value < _LARGEST
                                        for value in (*tensor.size, *tensor.stride, tensor.offset)):
        raise ValueError("a tensor described by other than numbers of at least 0")
    elements = math.prod(tensor.size)
    reach = tensor.offset + sum((length - 1) * step for length, step in zip(tensor.size, tensor.stride, strict=True))
    if elements and (reach >= len(flat) or elements > max(len(flat), _LARGEST_EXPANDED)):
        raise ValueError("a tensor larger than its storage")
    if not elements:
        return flat[:0].reshape(tensor.size)
    strides = [step * flat.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(flat[tensor.offset:], tensor.size, strides, writeable=False)
