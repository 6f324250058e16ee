"""How tf.data calls Python: how many calls run at once, never tuned, and all over before the interpreter ends.

With AUTOTUNE in a dataset, a thread tunes it in the background and sleeps between its rounds, 10 ms at first and up to
a minute later, each time twice as long. Ending an iterator waits for that thread, and its wake-up is lost now and then:
the program stands still for the rest of the nap (seen: 0.3, 2.6, 5.1 and 40.9 s, at the start of an epoch). So every
dataset of kseg says how many calls run at once, and has tuning switched off.

An iterator that is still open when a program exits has threads that go on calling Python; while the interpreter shuts
down they never get it, and the process hangs or aborts. So calls are refused from then on, and waited for.
"""

import atexit
import functools
import os
import threading
import time
from collections.abc import Callable

import tensorflow as tf

PREFETCHED_BATCHES = 2
_QUIET_SECONDS, _LONGEST_WAIT = 0.1, 30.0


def parallel_calls() -> int:
    """Return how many examples are read and augmented at once: one per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset with tf.data's autotuning switched off, unless its options say what they want."""
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


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
