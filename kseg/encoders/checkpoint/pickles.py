"""PyTorch's pickles, read as data: no class is imported, no function of the file is called.

The standard library takes a pickle apart and checks its lengths (`pickletools.genops`); the stack machine here puts
strings, numbers, lists, tuples and dicts with names as keys together again. Of PyTorch's own it knows storages and the
functions that lay a tensor over one. Whatever else the file names becomes an `Inert`. An opcode makes no more than its
own bytes and the values it takes off the stack say, and their number is limited: so is the memory a file can ask for.
Reference: Python, Lib/pickletools.py (opcodes) and PEP 307, 3154 (protocols 2, 4).
"""

import io
import mmap
import pickletools
from typing import IO, Any, cast

from kseg.encoders.checkpoint.objects import Global, Inert, Storage, call

_MOST_OPCODES = 5_000_000  # a ResNet-101 with its optimizer takes 40,000


def read_pickle(file: io.BytesIO | mmap.mmap, storages: dict[str, Storage] | None = None) -> Any:
    """Return the object that the pickle at the position of `file` describes, and leave `file` behind it.

    Args:
        file: in memory, lest a length that the pickle states be taken from the system before it is found too large.
        storages: dict or None, is given every storage of the pickle by its key.
    Returns:
        Strings, numbers, None, bytes; lists (sets too), tuples, dicts without the entries whose keys are not strings;
        `Storage`, `Tensor`, `Global` and `Inert`.
    Raises:
        Exception: of any kind, if the pickle is damaged or asks for what no checkpoint needs.
    """
    machine = _Machine({} if storages is None else storages)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], file))):
        if count > _MOST_OPCODES:
            raise ValueError(f"a pickle of more than {_MOST_OPCODES} opcodes")
        _OPCODES[opcode.name](machine, argument)
    return machine.stack.pop()


class _Machine:
    """The stack and the memo of one pickle. Methods are opcodes; the second argument is what stands in the file."""

    def __init__(self, storages):
        self.stack, self.marks, self.memo, self.storages = [], [], {}, storages

    def push(self, value):
        self.stack.append(value)

    def mark(self, _):
        self.marks.append(len(self.stack))

    def since_mark(self):
        """Take off the stack what was pushed since the last mark, and return it as a list."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop(self, _):
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def last(self, count):
        """Take the last `count` values off the stack, and return them in order."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def remember(self, index):
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def extend(self, items):
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def update(self, items):
        """Enter keys and values in turn; only names are looked for, and hashing other keys can be made to take ages."""
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update((key, value) for key, value in zip(items[::2], items[1::2]) if isinstance(key, str))

    def dict_since_mark(self, _):
        items = self.since_mark()
        self.push({})
        self.update(items)

    def global_of_stack(self, _):
        module, name = self.last(2)
        if len(module) + len(name) > 1000:
            raise ValueError("a name of more than 1000 letters")
        self.push(Global(f"{module}.{name}"))

    def call(self, count):
        """Call the class or function below `count` values, of which the first is the tuple of arguments."""
        function, arguments, *_ = self.last(1 + count)
        self.push(call(function, arguments))

    def call_since_mark(self, _):
        function, *arguments = self.since_mark()
        self.push(call(function, arguments))

    def call_named(self, name):
        self.push(call(_global(name), self.since_mark()))

    def build(self, _):
        """Give an inert object its state, or the first part of one in two; the state of others says nothing here."""
        state = self.stack.pop()
        state = state[0] if isinstance(state, tuple) and len(state) == 2 else state
        if isinstance(self.stack[-1], Inert) and isinstance(state, dict):
            self.stack[-1].state = state

    def persistent(self, _):
        """Push what PyTorch keeps outside the pickle: a storage, or (before 1.6) a class with its source."""
        what, kind, *rest = self.stack.pop()
        if what == "module":
            return self.push(kind)
        key, _location, count, view = (*rest, None)[:4]
        if what != "storage" or not isinstance(key, str) or view is not None:
            raise ValueError("a persistent id that is no storage")
        storage = Storage(kind.name.rpartition(".")[2], key, count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError("two storages of the same key")
        self.push(storage)


def _global(name):
    return Global(name.replace(" ", "."))


_PLAIN = ("INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES "
          "BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT").split()
_OPCODES = {  # without EXT1, EXT2, EXT4, PERSID, NEXT_BUFFER, READONLY_BUFFER, which PyTorch never writes
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, argument: None),
    **dict.fromkeys(_PLAIN, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.push(machine.memo[index])),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_SET"), lambda machine, _: machine.push([])),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    **dict.fromkeys(("LIST", "FROZENSET"), lambda machine, _: machine.push(machine.since_mark())),
    "DICT": _Machine.dict_since_mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.last(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.last(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.last(3))),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda machine, _: machine.extend(machine.since_mark())),
    "SETITEM": lambda machine, _: machine.update(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "GLOBAL": lambda machine, name: machine.push(_global(name)),
    "STACK_GLOBAL": _Machine.global_of_stack,
    "REDUCE": lambda machine, _: machine.call(1),
    "NEWOBJ": lambda machine, _: machine.call(1),
    "NEWOBJ_EX": lambda machine, _: machine.call(2),
    "OBJ": _Machine.call_since_mark,
    "INST": _Machine.call_named,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
