"""`kseg train --ray` as a function: a recipe trained by several workers on a Ray cluster, into one run folder."""

import contextlib
import dataclasses
import math
import os
import shutil
import signal
import socket
import threading
import uuid

from kseg import checks, files
from kseg.distributed.board import Board
from kseg.distributed.cluster import check_room, check_shares, connected
from kseg.distributed.following import Followed
from kseg.distributed.storage import OWN_FOLDER, Storage
from kseg.training.adversarial.recipe import recipe_from_dict
from kseg.training.recipe import Recipe, TrainingRecipe
from kseg.training.run import TrainingResult
from kseg.training.run_folder import read_report

_ERRORS = {kind.__name__: kind for kind in (
    FileNotFoundError, ImportError, NotADirectoryError, NotImplementedError, OSError, PermissionError, TypeError,
    ValueError)}  # of workers that the driver raises as such; others are RuntimeError


def train(recipe: Recipe, output: str | os.PathLike, workers: int = 2, address: str = "local", *,
          cpus_per_worker: float = 1, gpus_per_worker: float = 0, restarts: int = 3, patience: float = 30.0,
          verbose: int = 1) -> TrainingResult:
    """Train as `recipe` says with `workers` processes on a Ray cluster; the folder is that of `kseg.training.train`.

        kseg.distributed.train(TrainingRecipe(data="shapes", model="UNet"), "runs/first", workers=2)
        kseg.distributed.train(recipe, "s3://bucket/runs/second", workers=8, address="192.168.1.10:6379",
                               gpus_per_worker=1)

    The recipe's batch is split over the workers, and what they compute together is what one process computes with the
    whole batch, but for the rounding of sums; `kseg.distributed.shared_training` says what is not (batch normalisation
    that is not frozen, region losses, mixed images). Every worker reads the files itself, hence must see them, and may
    come to hold all of them decoded, as one process does.

    A worker that dies is started anew, and all go on after the last finished epoch. When the program itself is killed,
    the same call goes on with the run, as `resume` does.

    Args:
        recipe: `TrainingRecipe`.
        output: str, the run's folder, on a path that all machines share, or a URL (`gs://…`, `s3://…`, whatever
            fsspec and the packages installed know). It may hold an unfinished run of the same recipe, which goes on.
        workers: int, processes; the recipe's `batch_size` must be a multiple.
        address: as `kseg.distributed.cluster.connected`.
        cpus_per_worker, gpus_per_worker: what each is given by Ray.
        restarts: int, how often workers are started anew after one has died, until that is an error.
        patience: float, seconds to wait for room on the cluster.
        verbose: 0 silent, 1 a bar and one line per epoch, 2 one line per epoch.
    Returns:
        `TrainingResult` of the run; of a URL, its model is read from there.
    Raises:
        ImportError: if Ray is not installed, or the package of a URL's file system.
        ConnectionError: if no cluster answers at `address`.
        FileExistsError: if `output` holds a finished run, or that of another recipe.
        ValueError: if the batch cannot be split, the cluster has no room, or workers keep dying; from the dataset.
        FileNotFoundError: if a worker does not see a file.
    """
    _check(recipe, workers, cpus_per_worker, gpus_per_worker)
    storage = Storage(output)
    with storage.local("run.json") as folder:
        report = read_report(folder.report) if folder.holds_a_run() else None
    finished = report is not None and report.get("status") == "finished"
    if finished or (report is not None and not recipe_from_dict(report["recipe"]).same_as(recipe)):
        rule = ("must not hold a run yet" if finished
                else "must not hold the run of another recipe")
        raise FileExistsError(checks.sentence("output", rule, storage.place, "Choose another folder."))
    with connected(address, cpus=math.ceil(workers * cpus_per_worker)):
        check_room(workers, cpus_per_worker, gpus_per_worker, patience)
        _train(recipe, storage, workers, {"CPU": cpus_per_worker, "GPU": gpus_per_worker}, restarts, verbose)
    return _result(storage)


def resume(output: str | os.PathLike, workers: int = 2, address: str = "local", **options) -> TrainingResult:
    """Go on with the unfinished run at `output`, of whatever number of workers; a finished run is only loaded.

    Args:
        output, workers, address, options: as `train`.
    Returns:
        `TrainingResult`.
    Raises:
        FileNotFoundError: if there is no run; else as `train`.
    """
    storage = Storage(output)
    with storage.local("run.json") as folder:
        if not folder.holds_a_run():
            raise FileNotFoundError(checks.sentence("output", "must hold a run", storage.place,
                                                    "Give what `kseg train --ray` wrote."))
        report = read_report(folder.report)
    if report.get("status") == "finished":
        return _result(storage)
    return train(recipe_from_dict(report["recipe"]), output, workers, address, **options)


def _check(recipe, workers, cpus, gpus):
    if not isinstance(recipe, TrainingRecipe):
        raise TypeError(checks.sentence(
            "recipe", "must be a kseg.training.TrainingRecipe to be trained by several workers", recipe,
            "Fine-tune adversarially in one process: kseg.training.train."))
    checks.positive_integer("workers", workers)
    check_shares(cpus, gpus)
    if recipe.synchronize_batch_normalization:  # Keras would synchronise the devices of one process
        raise ValueError(checks.sentence(
            "synchronize_batch_normalization", "must be False for several workers", True,
            "Freeze batch normalisation, or train on the devices of one machine: kseg.training.train(devices='all')."))
    if recipe.batch_size % workers:
        rule = f"must be at most batch_size={recipe.batch_size}" if workers > recipe.batch_size else (
            f"must divide batch_size={recipe.batch_size}")
        size = recipe.batch_size // workers * workers or workers
        raise ValueError(checks.sentence("workers", rule, workers, "Each step's batch is split evenly over them; for "
                                         f"example batch_size={size}."))


def _result(storage):
    with storage.local() as folder:
        return dataclasses.replace(TrainingResult.read(folder), output_dir=storage.place)


def _train(recipe, storage, workers, resources, restarts, verbose):
    """Have Ray Train start the workers, and start them again when one has died.

    Ray's own `FailureConfig(max_failures=…)` would also start a training again that ended with an error of the recipe
    or the data, which comes back every time; workers that a machine takes away with notice it does start again.
    """
    import ray
    from ray.train import LoggingConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # of `ray.train` itself it is the old one

    from kseg.distributed.worker import work

    board = ray.remote(num_cpus=0)(Board).remote()
    settings = {"recipe": recipe.to_dict(), "output": storage.place, "folder": os.getcwd(), "board": board}
    with Followed(board, verbose) as followed, _own_files(storage) as own, _interrupts_kept():
        for attempt in range(restarts + 1):
            trainer = DataParallelTrainer(
                work, train_loop_config={**settings, "start": uuid.uuid4().hex},
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=resources["GPU"] > 0,
                                             resources_per_worker={k: v for k, v in resources.items() if v}),
                run_config=RunConfig(name=uuid.uuid4().hex[:8], logging_config=LoggingConfig(log_level="ERROR"),
                                     worker_runtime_env={"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "2"}}, **own))
            try:
                trainer.fit()
                return
            except TrainingFailedError as failure:
                followed.look()
                _raise_what_workers_said(followed.failures, failure)
                if "cluster storage" in str(failure):
                    raise FileNotFoundError(checks.sentence(
                        "output", "must be a place that every worker sees", storage.place,
                        "Choose a path that all machines share, or a URL.")) from failure
                if attempt == restarts:
                    raise _died(failure, restarts, workers) from failure
                followed.say(f"a worker died; all start again after the last finished epoch ({attempt + 1}/{restarts})")


@contextlib.contextmanager
def _own_files(storage):
    """Yield where Ray keeps what it needs meanwhile, as arguments of `RunConfig`: in the run's folder, then removed."""
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    if storage.is_url:
        place = f"{storage.root}/{OWN_FOLDER}"
        try:
            yield {"storage_path": place, "storage_filesystem": PyFileSystem(FSSpecHandler(storage.filesystem))}
        finally:
            if storage.filesystem.exists(place):
                storage.filesystem.rm(place, recursive=True)
        return
    place = os.path.join(storage.place, OWN_FOLDER)
    with files.refusals(storage.place):
        os.makedirs(place, exist_ok=True)
    try:
        yield {"storage_path": place}
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(storage.place)  # if nothing has been written


@contextlib.contextmanager
def _interrupts_kept():
    """Give back the handler of Ctrl-C that Ray Train replaces."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _raise_what_workers_said(failures, failure):
    """Raise the first error that a worker met, as itself; where none said anything, a worker died."""
    if not failures:
        return
    kinds, text, index, machine = failures[0]
    where = f" (Worker {index} on {machine}; all workers must see the same files.)"
    known = next((_ERRORS[name] for name in kinds if name in _ERRORS), RuntimeError)
    raise known(text + ("" if machine == socket.gethostname() else where)) from failure


def _died(failure, restarts, workers):
    """Return the error for workers that died again and again; Ray's text tells of memory if that was the reason."""
    said = str(failure)
    memory = any(word in said for word in ("OutOfMemory", "out of memory", "low on memory", "memory usage threshold"))
    rule = "must leave each worker memory enough" if memory else "must stay alive"
    said = next((line.strip() for line in said.splitlines() if "died" in line or "memory" in line), said[:200])
    return ValueError(checks.sentence(
        "workers", f"{rule}; one died {restarts + 1} times ({said})", workers,
        "Lower batch_size or image_size, start fewer on a machine, or pass data_options cache=False; the same call "
        "goes on after the last finished epoch."))
