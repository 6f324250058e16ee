"""The files and the command TensorFlow Serving starts from."""

import os
import pathlib
import shlex
from collections.abc import Sequence

from kseg import checks, files

IMAGE = "tensorflow/serving:latest"


def models_config(models: dict[str, str], versions: dict[str, Sequence[int]] | None = None) -> str:
    """Return the text of a `models.config` file.

    Args:
        models: dict, model name -> folder on the server that holds its version folders ("/models/street").
        versions: dict or None, model name -> list of version numbers to serve; the newest where it is not named.
    Raises:
        ValueError: if there is no model.
    """
    if not models:
        raise ValueError(checks.sentence("models", "must name at least one model", models,
                                         'Pass for example {"street": "/models/street"}.'))
    entries = []
    for name, folder in models.items():
        policy = ""
        for version in (versions or {}).get(name, ()):
            checks.positive_integer("versions", version, "Pass the numbers of version folders.")
            policy += f"versions: {version} "
        policy = f"    model_version_policy {{ specific {{ {policy}}} }}\n" if policy else ""
        entries.append(f"  config {{\n    name: {_quoted(name)}\n    base_path: {_quoted(folder)}\n"
                       f'    model_platform: "tensorflow"\n{policy}  }}\n')
    return "model_config_list {\n" + "".join(entries) + "}\n"


def batching_parameters(maximum_batch: int = 8, wait_milliseconds: float = 5.0, threads: int | None = None,
                        queue: int = 100) -> str:
    """Return the text of a batching parameters file: requests that arrive together run as one batch.

    Args:
        maximum_batch: int, most images in a batch.
        wait_milliseconds: float, how long a request may wait for company.
        threads: int or None (the number of cores), batches that run at the same time.
        queue: int, batches that may wait before requests are refused as UNAVAILABLE.
    """
    checks.positive_integer("maximum_batch", maximum_batch)
    checks.number_between("wait_milliseconds", wait_milliseconds, 0, 60000)
    threads = checks.positive_integer("threads", os.cpu_count() or 1 if threads is None else threads)
    checks.positive_integer("queue", queue)
    return (f"max_batch_size {{ value: {maximum_batch} }}\n"
            f"batch_timeout_micros {{ value: {int(1000 * wait_milliseconds)} }}\n"
            f"num_batch_threads {{ value: {threads} }}\n"
            f"max_enqueued_batches {{ value: {queue} }}\n")


def docker_command(folder: str | os.PathLike, names: Sequence[str], *, batching: bool = False, rest_port: int = 8501,
                   grpc_port: int = 8500, image: str = IMAGE) -> str:
    """Return the `docker run` line that serves `names` from `folder`.

    Args:
        folder: str or path, the folder on this machine that holds a folder for each model and, written by
            `write_config`, `models.config` and `batching.config`.
        names: list of str, the models.
        batching: bool, whether requests that arrive together run as one batch. It pays for `pixels` of one size on a
            GPU; encoded images run one after the other anyway, and a malformed one would fail those beside it.
        rest_port: int, port of the REST protocol on this machine.
        grpc_port: int, port of the gRPC protocol on this machine.
        image: str, the container image.
    """
    if not names:
        raise ValueError(checks.sentence("names", "must name at least one model", names, "Export a model first."))
    words = ["docker", "run", "--rm", "-p", f"{rest_port}:8501", "-p", f"{grpc_port}:8500",
             "-v", f"{os.path.abspath(folder)}:/models:ro", image,
             "--model_config_file=/models/models.config"]
    if batching:
        words += ["--enable_batching=true", "--batching_parameters_file=/models/batching.config"]
    return shlex.join(words)


def write_config(folder: str | os.PathLike, *, batching: bool = False, maximum_batch: int = 8,
                 wait_milliseconds: float = 5.0, threads: int | None = None, rest_port: int = 8501,
                 grpc_port: int = 8500, image: str = IMAGE, overwrite: bool = False) -> str:
    """Write `models.config` and `batching.config` for every model exported below `folder`.

    A model is a folder that holds folders named by version numbers, as `kseg.export.saved_model(model,
    "<folder>/street/1")` writes them.

    Args:
        folder: str or path.
        overwrite: bool, whether files that exist may be replaced.
        Others: see `batching_parameters` and `docker_command`.
    Returns:
        str, the `docker run` line.
    Raises:
        ValueError: if no model is found.
        FileExistsError: if a file exists.
    """
    folder = checks.existing_folder("folder", folder)
    versions = [found.parent for found in pathlib.Path(folder).glob("*/*/saved_model.pb")]
    names = sorted({version.parent.name for version in versions if version.name.isdigit()})
    if not names:
        raise ValueError(checks.sentence(
            "folder", "must hold a folder for each model with its numbered versions inside", folder,
            'Export one with kseg.export.saved_model(model, "<folder>/street/1").'))
    texts = {"models.config": models_config({name: f"/models/{name}" for name in names}),
             "batching.config": batching_parameters(maximum_batch, wait_milliseconds, threads)}
    for name in texts:
        if os.path.exists(os.path.join(folder, name)) and not overwrite:
            raise FileExistsError(checks.sentence("folder", f"must not hold {name} yet", folder,
                                                  "Remove the file or pass overwrite=True."))
    for name, text in texts.items():
        files.write_text(os.path.join(folder, name), text)
    return docker_command(folder, names, batching=batching, rest_port=rest_port, grpc_port=grpc_port, image=image)


def _quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
