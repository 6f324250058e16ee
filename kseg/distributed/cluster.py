"""A connection to Ray: started here or joined, and ended only if it was started here. Loads no TensorFlow."""

import contextlib
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from kseg import checks

SECONDS_TO_REACH = 5.0
_ADVICE = ("Pass 'local' to use this machine, or the address that `ray start --head` printed, for example "
           "'192.168.1.10:6379'.")
_OBJECT_STORE = 200 * 2 ** 20  # bytes; enough where workers read the files themselves


@contextlib.contextmanager
def connected(address: str = "local", cpus: int | None = None, object_store_bytes: int = _OBJECT_STORE
              ) -> Iterator[None]:
    """Be connected to a Ray cluster within the block.

    A connection that the program made itself (`ray.init`) is used as it is, whatever `address` says, and left open.

    Args:
        address: "local" (a cluster on this machine that ends with the block), "auto" (the one that runs on this
            machine, or that `RAY_ADDRESS` names), or the "host:port" of a cluster's head.
        cpus: int or None, what a local cluster claims to have at least; more than there are cores only share them.
        object_store_bytes: int, memory for what tasks of a local cluster hand over to each other.
    Raises:
        ImportError: if Ray is not installed.
        ValueError: for an address that is none.
        ConnectionError: if no cluster answers there, within seconds.
    """
    try:
        import ray
    except ImportError as failure:
        raise checks.missing("address", "Ray", address, "ray") from failure
    if ray.is_initialized():
        yield
        return
    options = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "180")  # 30, which a busy machine may take
        options.update(num_cpus=max(os.cpu_count() or 1, cpus or 1), include_dashboard=False,
                       object_store_memory=object_store_bytes)
    else:
        _check_answer(address)
    with warnings.catch_warnings():  # Ray's own: of variables that it will read otherwise one day, of sockets left open
        warnings.simplefilter("ignore")
        with _refusal(address):
            ray.init(address=address, **options)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _refusal(address):
    try:
        yield
    except (ConnectionError, TimeoutError, RuntimeError) as failure:
        raise ConnectionError(checks.sentence(
            "address", f"must be that of a Ray cluster ({str(failure).splitlines()[0]})", address, _ADVICE
        )) from failure


def _check_answer(address):
    """Raise unless somebody listens at `address`: Ray itself would try for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
        if address == "auto":
            return  # Ray looks for its own processes, which takes no time
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ValueError(checks.sentence("address", "must be 'local', 'auto' or the host:port of a cluster's head",
                                         address, _ADVICE))
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_REACH).close()
    except OSError as failure:
        raise ConnectionError(checks.sentence(
            "address", f"must be that of a Ray cluster that answers ({failure.strerror or failure})", address, _ADVICE
        )) from failure


def check_room(workers: int, cpus: float = 1, gpus: float = 0, patience: float = 30.0) -> None:
    """Raise unless the connected cluster can place `workers` of so many CPUs and GPUs each, at the same time.

    Args:
        patience: float, seconds that a busy or growing cluster is given.
    Raises:
        ValueError: if it cannot.
    """
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group

    wanted = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    group = placement_group([wanted] * workers)
    try:
        placed = group.wait(patience)
    finally:
        remove_placement_group(group)
    if not placed:
        total, free = ray.cluster_resources(), ray.available_resources()
        amounts = ", ".join(f"{free.get(name, 0):g} of {total.get(name, 0):g} {name}s free" for name in wanted)
        raise ValueError(checks.sentence(
            "workers", f"must be no more than the cluster has room for, {cpus:g} CPU"
            f"{f' and {gpus:g} GPU' if gpus else ''} each ({amounts}, after {patience:g} s)", workers,
            "Ask for fewer, wait until others have ended, or add machines."))


def check_shares(cpus: float, gpus: float) -> None:
    """Raise unless they are what Ray can reserve for a worker."""
    checks.number_between("cpus_per_worker", cpus, 0.01, 1024)
    checks.number_between("gpus_per_worker", gpus, 0, 1024)


class Workers(NamedTuple):
    """The processes of a job, and what Ray reserves for each."""

    count: int
    cpus: float
    gpus: float

    @classmethod
    def of(cls, workers: int | None, cpus: float, gpus: float | None) -> "Workers":
        """Return those asked for; None: as many as the connected cluster has room for, with a GPU each if it has any.

        Raises:
            ValueError: if the cluster has no room for them, or a share is none.
        """
        import ray

        check_shares(cpus, gpus or 0)

        total = ray.cluster_resources()
        if gpus is None:
            gpus = 1.0 if total.get("GPU", 0) >= (workers or 1) else 0.0
        if workers is None:
            room = [total.get("GPU", 0) // gpus] if gpus else []
            workers = max(1, int(min([total.get("CPU", 1) // cpus, *room])))
        check_room(workers, cpus, gpus)
        return cls(workers, cpus, gpus)
