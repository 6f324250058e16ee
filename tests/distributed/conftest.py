"""A Ray cluster of two processors on this machine, for the tests of one process."""

import os
import warnings

import pytest

from kseg.distributed.cluster import connected


@pytest.fixture(scope="session")
def cluster():
    """Ray, connected to a small cluster that ends with the tests."""
    os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"  # one process fewer to start
    with connected("local", cpus=2, object_store_bytes=100 * 2 ** 20):
        import ray

        yield ray


@pytest.fixture(autouse=True)
def _ray_warnings():
    """Ray warns of its own future (FutureWarning) and leaves sockets open (ResourceWarning): not ours to mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\.")
        yield
