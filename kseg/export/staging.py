"""Files and folders that appear complete or not at all."""

import contextlib
import os
import shutil
import uuid

from kseg import checks


@contextlib.contextmanager
def staged(path, overwrite):
    """Yield a temporary path beside `path` that takes the place of `path` when the block ends without an error.

    The temporary name starts with a dot and is no number, so that TensorFlow Serving, which watches the folder for
    version numbers, never loads half a version. After an error neither it nor a folder made for it remains. A file
    written as `<temporary>.parity.json` moves along.

    Args:
        path: str or path, the file or folder to be.
        overwrite: bool, whether an existing `path` may be replaced.
    Raises:
        FileExistsError: if `path` exists and `overwrite` is False, or if it is a folder of other things.
        OSError: with the error sentence, where the disk refuses (no permission, no space).
    """
    path = os.path.abspath(os.fspath(path))
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(checks.sentence(
            "path", "must not exist", path, "Choose another path or pass overwrite=True."))
    _refuse_other_folders(path)
    made = _make_parents(path)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.partial")
    done = False
    try:
        yield temporary
        with refusals(path):
            _replace(temporary, path)
            if os.path.exists(temporary + ".parity.json"):
                os.replace(temporary + ".parity.json", path + ".parity.json")
        done = True
    finally:
        _remove(temporary)
        _remove(temporary + ".parity.json")
        for folder in [] if done else made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def next_version(folder):
    """Return the path of the next version of the model whose versions stand in `folder`, a str: "serving/street/2".

    Args:
        folder: str or path, named as the model is to be served; it need not exist.
    """
    folder = os.fspath(folder)
    taken = [int(name) for name in (os.listdir(folder) if os.path.isdir(folder) else ()) if name.isdecimal()]
    return os.path.join(folder, str(max(taken, default=0) + 1))


@contextlib.contextmanager
def refusals(path):
    """Turn what the operating system and TensorFlow's file system say into the error sentence about `path`."""
    try:
        yield
    except OSError as failure:
        said = failure.strerror or str(failure)
        raise type(failure)(checks.sentence(
            "path", "must be a place that can be written to", path,
            f"The system says: {said}. Free space or choose another folder.")) from failure
    except Exception as failure:
        if not _from_tensorflow_files(failure):
            raise
        raise OSError(checks.sentence(
            "path", "must be a place that can be written to", path,
            f"The system says: {failure.message}. Free space or choose another folder.")) from failure


def _from_tensorflow_files(failure):
    names = ("ResourceExhaustedError", "PermissionDeniedError", "FailedPreconditionError", "NotFoundError",
             "DataLossError", "UnknownError")
    return type(failure).__name__ in names and hasattr(failure, "message")


def _refuse_other_folders(path):
    """Raise FileExistsError if `path` is a folder that holds anything but a SavedModel: its versions, say."""
    if os.path.isdir(path) and os.listdir(path) and not os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise FileExistsError(checks.sentence(
            "path", "must be a SavedModel folder where a folder is to be replaced", path,
            "Name a version inside it, for example serving/street/1."))


def _make_parents(path):
    """Create the folders above `path`; return those that were missing, deepest first."""
    missing, folder = [], os.path.dirname(path)
    while not os.path.exists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    with refusals(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return missing


def _replace(temporary, path):
    """Rename `temporary` to `path`; a folder in the way steps aside first and comes back if the rename fails."""
    if not os.path.isdir(path) or os.path.islink(path):
        os.replace(temporary, path)
        return
    aside = temporary + ".old"
    os.rename(path, aside)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        with contextlib.suppress(OSError):
            os.remove(path)
