"""Files and folders that appear complete or not at all; the one owner of writing to a temporary name and moving."""

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator

from kseg import checks

_ASIDE = ".old"
_ABANDONED = 600.0  # seconds after its last change
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # what NumPy says of a full disk
_REFUSAL = "must be a place that can be written to"
_UNIQUE_DRAFT = re.compile(r"\..*\.[0-9a-f]{8}\.part(\.[^.]*)?")


@contextlib.contextmanager
def draft(path: str | os.PathLike, *, overwrite: bool = True, unique: bool = False,
          folder_with: str | None = None) -> Iterator[str]:
    """Yield a temporary path beside `path` that takes the place of `path` when the block ends without an error.

    The temporary name begins with a dot and keeps the ending of `path`, by which libraries choose a format. After an
    error, neither it nor a folder made for it remains; what a killed process leaves is never taken for whole.

    Args:
        path: the file or folder to be; missing folders above it are made.
        overwrite: whether an existing `path` may be replaced.
        unique: whether other processes may write the same `path` at the same time. The temporary name is then a new
            one every time, so that a killed process leaves its own behind, for `sweep`; otherwise the next draft takes
            its place.
        folder_with: a folder in the way is replaced only if it is empty or holds a file of this name.
    Raises:
        FileExistsError: if `path` exists and `overwrite` is False, or if it is a folder of other things.
        OSError: with the error sentence, where the disk refuses (no permission, no space).
    """
    path = os.path.abspath(os.fspath(path))
    temporary = _temporary_name(path, unique)
    _finish_replacing(temporary, path)
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(checks.sentence(
            "path", "must not exist", path, "Choose another path or pass overwrite=True."))
    if os.path.isdir(path) and os.listdir(path) and not (
            folder_with and os.path.isfile(os.path.join(path, folder_with))):
        raise FileExistsError(checks.sentence(
            "path", f"must not be a folder that holds other things{f' than {folder_with}' if folder_with else ''}",
            path, "Choose another path."))
    made = _make_parents(path)
    done = False
    try:
        _remove(temporary)
        try:
            yield temporary
        except OSError as failure:
            if not _disk_refused(failure, temporary):
                raise
            raise type(failure)(refusal(path, _said(failure))) from failure
        with refusals(path):
            _replace(temporary, path)
        done = True
    finally:
        _remove(temporary)
        for folder in [] if done else made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to the file `path` as UTF-8, whole or not at all."""
    with draft(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def discard(path: str | os.PathLike) -> None:
    """Remove the file `path` if there is one."""
    with refusals(path), contextlib.suppress(FileNotFoundError):
        os.remove(path)


def sweep(folder: str | os.PathLike) -> None:
    """Remove the `unique` drafts that killed processes left in `folder`: those that nobody wrote to for ten minutes."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # where nothing can be removed, nothing is lost
        for entry in entries:
            if _UNIQUE_DRAFT.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _ABANDONED:
                _remove(entry.path)


@contextlib.contextmanager
def refusals(path: str | os.PathLike) -> Iterator[None]:
    """Turn what the operating system and TensorFlow's file system say into the error sentence about `path`."""
    try:
        yield
    except OSError as failure:
        if _in_words(failure):
            raise
        raise type(failure)(refusal(path, _said(failure))) from failure
    except Exception as failure:
        if not _from_tensorflow_files(failure):
            raise
        raise OSError(refusal(path, _said(failure))) from failure


def _in_words(failure):
    """Return whether an error is a sentence of its own, not the refusal of a draft in a draft."""
    return failure.errno is None and str(failure).startswith("`") and not str(failure).startswith(f"`path` {_REFUSAL}")


def _said(failure):
    while failure.__cause__ is not None:
        failure = failure.__cause__
    message = getattr(failure, "message", "").rpartition("; ")[2]  # TensorFlow's: "path; reason"
    return getattr(failure, "strerror", None) or message or str(failure)


def _disk_refused(failure, temporary):
    """Return whether an error is that `temporary` cannot be written, not that something else cannot be read."""
    if failure.errno is None:
        return _SHORT_WRITE.search(str(failure)) is not None
    names = [os.fsdecode(name) for name in (failure.filename, failure.filename2) if isinstance(name, (str, bytes))]
    return failure.errno in _DISK_ERRORS and all(name.startswith(temporary) for name in names)


def refusal(path: str | os.PathLike, said: str) -> str:
    """Return the error sentence about a `path` of which the system says that it cannot be written."""
    return checks.sentence("path", _REFUSAL, os.fspath(path),
                           f"The system says: {said}. Free space or choose another folder.")


def _from_tensorflow_files(failure):
    names = ("ResourceExhaustedError", "PermissionDeniedError", "FailedPreconditionError", "NotFoundError",
             "DataLossError", "UnknownError")
    return type(failure).__name__ in names and hasattr(failure, "message")


def _temporary_name(path, unique):
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    return os.path.join(folder, f".{stem}.{uuid.uuid4().hex[:8] + '.' if unique else ''}part{ending}")


def _make_parents(path):
    """Create the folders above `path`; return those that were missing, deepest first."""
    missing, folder = [], os.path.dirname(path)
    while not os.path.exists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    with refusals(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return missing


def _finish_replacing(temporary, path):
    """Do what a process did not that was killed in `_replace`: bring the old folder back, or remove it."""
    aside = temporary + _ASIDE
    if os.path.lexists(path):
        _remove(aside)
    elif os.path.lexists(aside):
        with refusals(path):
            os.rename(aside, path)


def _replace(temporary, path):
    """Rename `temporary` to `path`; a folder in the way steps aside first and comes back if the rename fails."""
    if not os.path.isdir(path) or os.path.islink(path):
        os.replace(temporary, path)
        return
    aside = temporary + _ASIDE
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
