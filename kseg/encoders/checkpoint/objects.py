"""What a PyTorch pickle describes, as plain records; its functions, as far as they lay tensors over storages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Refusal(Exception):
    """The rule and the advice of the error sentence about a file that is whole but of no use."""


@dataclass(frozen=True)
class Global:
    """The name of a class or function, "torch.FloatStorage"; a long one would be copied as often as a file likes."""

    name: str

    def __post_init__(self):
        if len(self.name) > 1000:
            raise ValueError("a name of more than 1000 letters")


@dataclass(frozen=True)
class Storage:
    """The numbers that tensors share: their kind ("FloatStorage"), their key in the file, how many there are."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage as the file describes it, unchecked; `dtype` ("uint16") where the storage is of bytes."""

    storage: Any
    offset: Any
    size: Any
    stride: Any
    dtype: str | None = None


class Inert(dict):
    """What an object of any other class becomes: the entries and the state it is given, and nothing that acts."""

    state: dict[str, Any] | None = None


def _tensor(storage, offset, size, stride, *_):
    return Tensor(storage, offset, size, stride)


def _tensor_of_dtype(storage, offset, size, stride, _grad, _hooks, dtype, *_):
    return Tensor(storage, offset, size, stride, dtype.name.removeprefix("torch."))


def _first(first=(), *_):
    return first


def _ordered(pairs=None, *_):
    """Return a dict of `pairs`, which Python 2 lists in the call; the list is emptied, lest a file copy it often."""
    if not isinstance(pairs, list):
        return {}
    made = {key: value for key, value in pairs if isinstance(key, str)}
    pairs.clear()
    return made


def _of_subclass(function, _kind, arguments, *_):
    return call(function, arguments)


_FUNCTIONS = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _of_subclass,
    **dict.fromkeys(("builtins.set", "builtins.frozenset", "__builtin__.set", "__builtin__.frozenset", "torch.Size"),
                    _first),
}


def call(function: Any, arguments: Sequence[Any]) -> Any:
    """Return what `function` of PyTorch or the standard library makes; an `Inert` for any that is not known here."""
    known = _FUNCTIONS.get(function.name) if isinstance(function, Global) else None
    return known(*arguments[:10]) if known else Inert()
