"""Python functions called from tf.data, over before the interpreter ends.

An iterator that is still open when a program exits has threads that go on calling Python; while the interpreter shuts
down they never get it, and the process hangs or aborts. So calls are refused from then on, and waited for.
"""

import atexit
import functools
import threading
import time
from collections.abc import Callable

import tensorflow as tf

_QUIET_SECONDS, _LONGEST_WAIT = 0.1, 30.0


class _Calls:
    """Which calls are running, and whether new ones are let in."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running, self.last, self.closed = 0, 0.0, False

    def run(self, function, *values):
        with self.lock:
            self.last = time.monotonic()
            if self.closed:
                raise RuntimeError("the program is ending")
            self.running += 1
        try:
            return function(*values)
        finally:
            with self.lock:
                self.running -= 1
                self.last = time.monotonic()

    def close(self):
        """Refuse new calls and return once none has run for a moment: TensorFlow needs Python a little longer."""
        self.closed, start = True, time.monotonic()
        while time.monotonic() < start + _LONGEST_WAIT:
            if not self.running and time.monotonic() > self.last + _QUIET_SECONDS:
                return
            time.sleep(_QUIET_SECONDS / 5)


_CALLS = _Calls()
atexit.register(_CALLS.close)


def numpy_function(function: Callable, inputs: list, dtypes: tf.DType | list[tf.DType],
                   stateful: bool = False) -> tf.Tensor | list[tf.Tensor]:
    """Return `tf.numpy_function`, by default one whose result depends on its inputs alone."""
    return tf.numpy_function(functools.partial(_CALLS.run, function), inputs, dtypes, stateful=stateful)
