"""What a job of many images has done, kept so that any process may be killed at any time and the job goes on.

`OUTPUT/manifest/job.json` says which job it is. Beside it every worker has a file of its own, to which it appends one
line per image, after the image's labels have appeared under their name: what is done is the union of these files, and
of the labels that are there, for a worker may be killed between the two. A line that a kill cut short is no line.
"""

import contextlib
import csv
import fcntl
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from kseg import checks, files

FOLDER, LABELS, PARTS, ERRORS = "manifest", "labels", "parquet", "errors.csv"
WORK = "work"  # below the manifest: what is being written; each worker has its own folder in it
Outcome = tuple[str, str | None, bool]  # an image's key, its error or None, whether it was segmented then
_JOB, _LINES = "job.json", ".jsonl"


class Manifest:
    """The manifest of a job in an output folder; the program's side.

    Args:
        output: the folder.
        job: what the results depend on, JSON-ready.
        overwrite: whether what another job has written there is deleted when this one begins.
    Raises:
        FileExistsError: if the folder holds the results of another job, or of none that is known.
    """

    def __init__(self, output: str, job: dict[str, Any], overwrite: bool = False):
        self.output, self._folder = output, os.path.join(output, FOLDER)
        self._path, self._job, self._overwrite = os.path.join(self._folder, _JOB), json.dumps(job, indent=1), overwrite
        if not os.path.isfile(self._path):
            there = next((name for name in (LABELS, PARTS) if os.path.lexists(os.path.join(output, name))), None)
            if there is not None:
                raise FileExistsError(checks.sentence(
                    "output", f"must not hold a folder {there} that is of no job", output, "Choose another folder."))
        elif not overwrite:
            with open(self._path, encoding="utf-8") as file:
                earlier = json.load(file)
            job = json.loads(self._job)
            other = [name for name in {**earlier, **job} if earlier.get(name) != job.get(name)]
            if other:
                raise FileExistsError(checks.sentence(
                    "output", f"must be a new folder or that of the same job, not of another {' and '.join(other)}",
                    output, "Choose another folder, repeat the call that began this one, or pass overwrite=True."))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Begin the job, or go on with it; within the block no other program may.

        Raises:
            OSError: if nothing can be written there.
            FileExistsError: if a running program works on it.
        """
        with contextlib.ExitStack() as opened:
            with files.refusals(self.output):
                os.makedirs(self._folder, exist_ok=True)
                lock = opened.enter_context(open(os.path.join(self._folder, ".held"), "w"))  # and can be written to
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise FileExistsError(checks.sentence(
                        "output", "must not be worked on by another program at the same time", self.output,
                        "Wait for its end, or end it.")) from None
                if self._overwrite:
                    self._clear()
                if not os.path.isfile(self._path):
                    files.write_text(self._path, self._job)
            yield  # what the job raises is not about writing here
        shutil.rmtree(os.path.join(self._folder, WORK), ignore_errors=True)  # not after an error: workers may still run

    def _clear(self):
        """Delete what an earlier job wrote; killed within, it still is that job, with less done."""
        for name in os.listdir(self._folder):
            if name.endswith(_LINES):
                os.remove(os.path.join(self._folder, name))
        for name in (LABELS, PARTS):
            shutil.rmtree(os.path.join(self.output, name), ignore_errors=True)
        if os.path.isfile(self._path):
            os.remove(self._path)

    def outcomes(self) -> dict[str, str | None]:
        """Return what became of each image: key → None if its labels are there, else the error."""
        found: dict[str, str | None] = {}
        for name in sorted(os.listdir(self._folder)) if os.path.isdir(self._folder) else []:
            if name.endswith(_LINES):
                for key, error in _lines(os.path.join(self._folder, name)):
                    found[key] = None if found.get(key, error) is None else error
        for key in _keys_in(os.path.join(self.output, PARTS)):
            found[key] = None
        return found

    def write_errors(self, outcomes: dict[str, str | None]) -> str | None:
        """Write the images that could not be segmented, and why, as `errors.csv`; return its path, None without any."""
        path = os.path.join(self.output, ERRORS)
        errors = sorted((key, error) for key, error in outcomes.items() if error is not None)
        if not errors:
            if os.path.exists(path):  # of an earlier try
                os.remove(path)
            return None
        with files.draft(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("image", "error"), *errors])
        return path


class Log:
    """The lines of one worker; its file, named after machine and process, appears with the first."""

    def __init__(self, output: str):
        self._path = os.path.join(output, FOLDER, f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}{_LINES}")

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Append what became of images, in one write, which a killed process has made or not."""
        lines = "".join(json.dumps(outcome) + "\n" for outcome in outcomes).encode()
        with files.refusals(self._path):
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                while lines:
                    lines = lines[os.write(file, lines):]
            finally:
                os.close(file)


def _lines(path):
    """Yield (key, error or None) of each whole line."""
    with open(path, "rb") as file:
        for line in file:
            try:
                key, error, _ = json.loads(line)
            except ValueError:  # cut short
                continue
            yield key, error


def _keys_in(folder):
    """Yield the keys in the Parquet files of labels in a folder."""
    if not os.path.isdir(folder):
        return
    from pyarrow import parquet

    for name in sorted(os.listdir(folder)):
        if name.endswith(".parquet") and not name.startswith("."):
            yield from set(parquet.read_table(os.path.join(folder, name), columns=["key"])["key"].to_pylist())
