"""No dataset is tuned in the background: ending a pass never waits."""

import concurrent.futures
import time

import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.data.parallelism import parallel_calls, untuned


def _seconds_to_end_passes(dataset, passes=6, length=1.5):
    """Read `passes` passes over a dataset, each at least `length` seconds; return how long each took to end."""
    seconds = []
    for _ in range(passes):
        iterator, start = iter(dataset), time.perf_counter()
        for _ in iterator:
            time.sleep(length / len(dataset))
        time.sleep(max(0.0, start + length - time.perf_counter()))
        start = time.perf_counter()
        del iterator
        seconds.append(time.perf_counter() - start)
    return seconds


@pytest.mark.slow
def test_a_pass_ends_at_once():
    """With tuning on, about one pass in ten waits here for a nap of 1.28 seconds to end."""
    datasets = [kseg.data.load("shapes", "train", image_size=(16, 16), batch_size=40, seed=seed) for seed in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(datasets)) as threads:
        seconds = list(threads.map(_seconds_to_end_passes, datasets))
    assert np.max(seconds) < 0.5


@pytest.mark.parametrize("options", [{}, {"augment": True}, {"batch_size": None}, {"cache": False, "shuffle": False}])
def test_no_dataset_is_tuned(options):
    assert kseg.data.load("shapes", "train", image_size=(32, 32), **options).options().autotune.enabled is False


def test_the_options_of_a_dataset_win():
    options = tf.data.Options()
    options.autotune.enabled = True
    assert untuned(tf.data.Dataset.range(3).with_options(options)).options().autotune.enabled is True
    assert untuned(tf.data.Dataset.range(3)).options().autotune.enabled is False
    assert parallel_calls() >= 1
