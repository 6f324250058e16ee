"""A job killed again and again at random moments, then left to end: the result is that of one never killed.

A job is a file of `tests/campaigns/jobs` with

    def prepare(inputs): ...       # write what every run reads into the folder `inputs`; once
    def work(inputs, output): ...  # do the job; called anew after each kill, as a user types a command again

Each start is a process of its own, forked from one that has TensorFlow loaded and never used, with a folder of its own
for temporary files. Half of the kills come after a random time, half before a random one of the job's openings for
writing, renamings, makings and removals of files: moments too short for chance to find.
"""

import collections
import importlib
import json
import os
import pathlib
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from tests.campaigns.contents import Half, contents, left_behind

LONGEST = 120.0  # seconds that a start may take
MOST_KILLS = 3  # of one run
# "right"; "half": a file with a finished name is not whole; "refused": a start after a kill fails; "wrong": the
# result differs; "leftover": temporary files remain; "hang"
OUTCOMES = ("right", "half", "refused", "wrong", "leftover", "hang")
# TensorFlow's, a page of Python each, removed by processes that exit; ONNX Runtime's, one for ever
_TEMPORARY_OF_OTHERS = ("__autograph_generated_file", ".ses")
_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink")


def job(name):
    """Return the job's module."""
    return importlib.import_module(f"tests.campaigns.jobs.{name}")


def job_names():
    """Return the names of the jobs."""
    return sorted(module.name for module in pkgutil.iter_modules([str(pathlib.Path(__file__).parent / "jobs")]))


def load_tensorflow():
    """Load what the jobs need before the first fork. Nothing of it may be used here: threads are not forked."""
    for module in ("keras", "tensorflow", "matplotlib.pyplot", "kseg.training.run", "kseg.training.staged",
                   "kseg.export.web_page", "kseg.inference.file_prediction"):
        importlib.import_module(module)


def run(name, runs, seed, output, report=None):
    """Do the runs up to number `runs` that an earlier call has not done; return the counts of outcomes and "kills".

    `output` holds `state.json`, what the job reads, the result of the job left alone, and the folder and the log of
    each fault. `report(done, counts)` is called after each.
    """
    folder = pathlib.Path(output) / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "state.json"
    state = json.loads(path.read_text()) if path.exists() else {"seed": seed, "next": 0, "counts": {}}
    if state["seed"] != seed:
        raise SystemExit(f"{path} is of seed {state['seed']}: choose another folder")
    counts = collections.Counter(state["counts"])
    undisturbed = Undisturbed.of(name, folder)
    while state["next"] < runs:
        outcome, kills = _one(name, folder, undisturbed, random.Random(f"{seed} {state['next']}"), state["next"])
        counts[outcome] += 1
        counts["kills"] += kills
        state.update(next=state["next"] + 1, counts=dict(counts))
        _write(path, state)
        if report is not None:
            report(state["next"], counts)
    return counts


class Undisturbed:
    """The job left alone: its result, the moments it has, and which files two such runs have different."""

    def __init__(self, folder, times, result, loose):
        self.inputs, self.times, self.result, self.loose = folder / "inputs", times, result, loose

    @classmethod
    def of(cls, name, folder):
        """Return that of an earlier call, or run the job twice."""
        times, inputs = folder / "whole.json", folder / "inputs"
        if not times.exists():
            for part in ("inputs", "whole", "again"):
                shutil.rmtree(folder / part, ignore_errors=True)
            inputs.mkdir()
            Start(folder, lambda: job(name).prepare(str(inputs))).expect_success("prepare")
            for part in ("whole", "again"):
                start = start_of(name, inputs, folder / part)
                start.expect_success(part)
            one, other = contents(folder / "whole"), contents(folder / "again")
            if one.keys() != other.keys():
                raise SystemExit(f"{name}: two runs left alone write different files: {one.keys() ^ other.keys()}")
            _write(times, {**start.facts(), "loose": [path for path in one if one[path] != other[path]]})
            shutil.rmtree(folder / "again")
        kept = json.loads(times.read_text())
        return cls(folder, kept, contents(folder / "whole"), kept["loose"])

    def differences(self, folder):
        """Return what differs in `folder` from the result: paths."""
        other = contents(folder)
        return sorted({*(self.result.keys() ^ other.keys()),
                       *(path for path in self.result.keys() & other.keys()
                         if path not in self.loose and self.result[path] != other[path])})


def _one(name, folder, undisturbed, chance, number):
    """Return the outcome of one run and how many kills it took."""
    work = folder / "run"
    shutil.rmtree(work, ignore_errors=True)
    target, log, kills = work / "output", [], 0
    work.mkdir()
    outcome = None
    for _ in range(chance.randint(1, MOST_KILLS)):
        start = _killed_start(name, undisturbed, target, chance)
        log.append(start.told())
        if start.status == 0:
            break
        kills += start.status == -signal.SIGKILL
        outcome = _looked_at(target, start, log)
        if outcome is not None:
            break
    if outcome is None:
        start = start_of(name, undisturbed.inputs, target)
        start.wait(LONGEST)
        log.append(start.told())
        outcome = _judged(name, undisturbed, target, start, log)
    if outcome != "right":
        (work / "log.txt").write_text("\n".join(log))
        (folder / "faults").mkdir(exist_ok=True)
        shutil.move(work, folder / "faults" / f"{number}.{outcome}")
    return outcome, kills


def _killed_start(name, undisturbed, target, chance):
    times = undisturbed.times
    if times["events"] and chance.random() < 0.5:  # TensorFlow's own files are not seen
        start = start_of(name, undisturbed.inputs, target, chance.randint(1, times["events"]))
        start.wait(LONGEST)
    else:
        whole = not target.exists()
        start = start_of(name, undisturbed.inputs, target)
        start.wait(chance.uniform(0.8 * times["first"], times["seconds"]))
        if whole and start.status == 0:  # the machine is faster than it was: later kills must come sooner
            ratio = (time.monotonic() - start.began) / times["seconds"]
            times.update(first=ratio * times["first"], seconds=ratio * times["seconds"])
    return start


def _looked_at(target, start, log):
    """Return the fault that is seen after a kill, or None."""
    if start.status != -signal.SIGKILL:
        return "refused"
    try:
        contents(target)
    except Half as half:
        log.append(str(half))
        return "half"
    return None


def _judged(name, undisturbed, target, start, log):
    if start.status != 0:
        return "hang" if start.status == -signal.SIGKILL else "refused"
    try:
        differences = undisturbed.differences(target)
    except Half as half:
        log.append(str(half))
        return "half"
    left = left_behind(target)
    if not hasattr(job(name), "MOCKED"):  # which has temporary files of its own
        left += [path.name for path in start.scratch.rglob("*")
                 if path.is_file() and not path.name.startswith(_TEMPORARY_OF_OTHERS)]
    log.append(f"differences: {differences}\nleft behind: {left}")
    return "wrong" if differences else "leftover" if left else "right"


def start_of(name, inputs, target, stop_at=None):
    """Start the job into the folder `target`; it kills itself before its change of files number `stop_at`."""
    target.mkdir(parents=True, exist_ok=True)
    return Start(target.parent, lambda: job(name).work(str(inputs), str(target)), str(target), stop_at)


class Start:
    """A process, forked, that does `work` with its temporary files in `folder/scratch`."""

    def __init__(self, folder, work, watched=None, stop_at=None):
        self.folder, self.scratch, self.status = pathlib.Path(folder), pathlib.Path(folder) / "scratch", None
        self.scratch.mkdir(exist_ok=True)
        self.began = time.monotonic()
        self.process = os.fork()
        if self.process == 0:
            self._do(work, watched, stop_at)

    def _do(self, work, watched, stop_at):
        status = 1
        try:
            os.setsid()
            log = os.open(self.folder / "told.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            tempfile.tempdir = os.environ["TMPDIR"] = str(self.scratch)
            changes = _Changes((watched, str(self.scratch)), stop_at)
            sys.addaudithook(changes)
            status = work() or 0
            changes.stop_at = None
            # A job whose files are TensorFlow's own has no event: it may be killed at any time.
            _write(self.folder / "facts.json", {"events": changes.count, "first": (changes.first or self.began)
                                                - self.began, "seconds": time.monotonic() - self.began})
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)

    def wait(self, seconds):
        """Wait for the end, at most so long, then kill the process and all that it started."""
        while self.status is None and time.monotonic() < self.began + seconds:
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.005)
        if self.status is None:
            os.kill(self.process, signal.SIGKILL)  # it may not have come to os.setsid
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        try:
            os.killpg(self.process, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def expect_success(self, what):
        """Wait, and raise if the process failed."""
        self.wait(LONGEST)
        if self.status != 0:
            raise SystemExit(f"{what}: status {self.status}\n{self.told()}")

    def told(self):
        """Return what the process wrote to its terminal, and its status."""
        path = self.folder / "told.txt"
        return f"{path.read_text(errors='replace') if path.exists() else ''}\n[status {self.status}]"

    def facts(self):
        """Return how many changes of files there were, seconds until the first, and seconds in all."""
        return json.loads((self.folder / "facts.json").read_text())


class _Changes:
    """Counts changes of files below the folders, and kills the process before number `stop_at`."""

    def __init__(self, folders, stop_at):
        self.folders, self.stop_at = tuple(folder for folder in folders if folder), stop_at
        self.count, self.first = 0, None

    def __call__(self, event, arguments):
        if event in _CHANGES or (event == "open" and isinstance(arguments[2], int)
                                 and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if str(arguments[0]).startswith(self.folders):
                self.count += 1
                self.first = self.first or time.monotonic()
                if self.count == self.stop_at:
                    os.killpg(0, signal.SIGKILL)


def _write(path, values):
    new = path.with_suffix(".new")
    new.write_text(json.dumps(values))
    os.replace(new, path)
