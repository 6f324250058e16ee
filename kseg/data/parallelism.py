"""How many calls of tf.data run at once, and why tf.data does not choose that itself.

With AUTOTUNE in a dataset, a thread tunes it in the background and sleeps between its rounds, 10 ms at first and up to
a minute later, each time twice as long. Ending an iterator waits for that thread, and its wake-up is lost now and then:
the program stands still for the rest of the nap (seen: 0.3, 2.6, 5.1 and 40.9 s, at the start of an epoch). So every
dataset of kseg says how many calls run at once, and has tuning switched off.
"""

import os

import tensorflow as tf

PREFETCHED_BATCHES = 2


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
