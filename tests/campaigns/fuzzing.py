"""Thousands of damaged inputs through one reader: an answer or the sentence, and nothing else.

A target is a file of `tests/campaigns/targets` with

    def seeds(folder): ...            # bytes of valid inputs, made in `folder`
    def read(content, folder): ...    # give the bytes to kseg; return what it answers
    damage = mutations.damaged        # may be left out
    refusals = (ServingError,)        # may be left out: errors other than the sentence that are legal
    def check(answer, content): ...   # may be left out: raise AssertionError if the answer is silently wrong
    SHARE = 60                        # may be left out: inputs that the suite takes, fewer if they are slow

The reader runs in a process of its own, which is watched: one that dies, computes for `HANG` seconds, stands still for
`STILL`, or comes to hold `MEMORY` more bytes than before is a fault, as is every error that is not kseg's sentence.
"""

import collections
import importlib
import json
import multiprocessing
import os
import pathlib
import pkgutil
import re
import tempfile
import time
import traceback

import numpy as np

HANG = 5.0  # seconds of the processor: other programs may take it away for longer
STILL = 120.0  # seconds
MEMORY = 2**30  # bytes
BATCH = 200  # inputs between two writings of the state
# "`name` rule, got name=value. advice": see `kseg.checks.sentence`.
SENTENCE = re.compile(r"`[^`]+` .*got .*", re.DOTALL)


def target(name):
    """Return the target's module."""
    return importlib.import_module(f"tests.campaigns.targets.{name}")


def target_names():
    """Return the names of the targets."""
    return sorted(module.name for module in pkgutil.iter_modules([str(pathlib.Path(__file__).parent / "targets")]))


def run(name, inputs, seed, output, report=None):
    """Run inputs up to number `inputs` that an earlier call has not run; return the counts of all outcomes.

    `output` holds `state.json`, and the input and the traceback of each fault. `report(done, counts)` is called now and
    then.
    """
    output = pathlib.Path(output) / name
    (output / "faults").mkdir(parents=True, exist_ok=True)
    state = _State(output / "state.json", seed)
    worker = None
    try:
        while state.next < inputs:
            if worker is None:
                worker = _Worker(name, seed)
            outcome, detail = worker.ask(state.next)
            if outcome not in ("answered", "refused"):
                _keep(output / "faults", state.next, worker.content(state.next), outcome, detail)
            if outcome in ("crash", "hang", "memory"):
                worker.stop()
                worker = None
            state.count(outcome)
            if state.next % BATCH == 0 or state.next == inputs:
                state.write()
                if report is not None:
                    report(state.next, state.counts)
    finally:
        state.write()
        if worker is not None:
            worker.stop()
    return state.counts


def outcome_of(module, content, folder):
    """Return `(outcome, detail)` of one input: "answered", "refused", "error" or "wrong"."""
    try:
        answer = module.read(content, folder)
    except Exception as failure:
        if SENTENCE.match(str(failure)) or isinstance(failure, getattr(module, "refusals", ())):
            return "refused", str(failure)
        return "error", traceback.format_exc()
    try:
        getattr(module, "check", lambda answer, content: None)(answer, content)
    except AssertionError:
        return "wrong", traceback.format_exc()
    return "answered", ""


class _State:
    def __init__(self, path, seed):
        self.path, self.seed, self.next, self.counts = path, seed, 0, collections.Counter()
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["seed"] != seed:
                raise SystemExit(f"{path} is of seed {kept['seed']}: choose another folder")
            self.next, self.counts = kept["next"], collections.Counter(kept["counts"])

    def count(self, outcome):
        self.counts[outcome] += 1
        self.next += 1

    def write(self):
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"seed": self.seed, "next": self.next, "counts": self.counts}))
        os.replace(new, self.path)


class _Worker:
    """The process that reads."""

    def __init__(self, name, seed):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.folder = tempfile.TemporaryDirectory()
        self.process = context.Process(target=_serve, args=(name, seed, self.folder.name, theirs), daemon=True)
        self.process.start()
        theirs.close()
        seeds = self.pipe.recv()
        if isinstance(seeds, str):
            raise SystemExit(seeds)
        self.inputs = Inputs(target(name), seed, seeds)
        self.held = _resident(self.process.pid)

    def content(self, number):
        return self.inputs[number]

    def ask(self, number):
        """Return `(outcome, detail)` of input `number`."""
        try:
            self.pipe.send(number)
            end, computed = time.monotonic() + STILL, _computed(self.process.pid)
            while not self.pipe.poll(0.02):
                if not self.process.is_alive():
                    return "crash", f"exit code {self.process.exitcode}"
                if time.monotonic() > end or _computed(self.process.pid) - computed > HANG:
                    return "hang", f"no answer after {_computed(self.process.pid) - computed} s of the processor"
                if _resident(self.process.pid) - self.held > MEMORY:
                    return "memory", f"{_resident(self.process.pid) - self.held} bytes more than before"
            outcome, detail, highest = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join(5)
            return "crash", f"exit code {self.process.exitcode}"
        if highest > MEMORY:
            return "memory", f"{highest} bytes more than before"
        return outcome, detail

    def stop(self):
        self.process.kill()
        self.process.join()
        self.folder.cleanup()


class Inputs:
    """Input `number`: the same for the same seed, whatever was run before."""

    def __init__(self, module, seed, seeds):
        self.damage = getattr(module, "damage", importlib.import_module("tests.campaigns.mutations").damaged)
        self.seed, self.seeds = seed, seeds

    def __getitem__(self, number):
        random = np.random.default_rng((self.seed, number))
        return self.damage(self.seeds[int(random.integers(len(self.seeds)))], self.seeds, random)


def _serve(name, seed, folder, pipe):
    os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"})
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C complain there
    module = target(name)
    seeds = list(module.seeds(folder))
    for content in seeds:  # each is valid, and what is loaded on first use is loaded
        outcome, detail = outcome_of(module, content, folder)
        if outcome != "answered":
            pipe.send(f"a seed of {name} is {outcome}: {detail}")
            return
    inputs = Inputs(module, seed, seeds)
    pipe.send(seeds)
    while True:
        number = pipe.recv()
        before = _resident(os.getpid())
        _forget_the_highest()
        outcome, detail = outcome_of(module, inputs[number], folder)
        pipe.send((outcome, detail, _highest() - before))


def _computed(process):
    """Return the seconds of the processor that a process has had, 0 if it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(process):
    """Return the bytes that a process holds in memory now, 0 if it is gone."""
    try:
        return int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _forget_the_highest():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def _highest():
    """Return the most bytes that this process has held since `_forget_the_highest`."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def _keep(folder, number, content, outcome, detail):
    (folder / f"{number}.{outcome}").write_bytes(content)
    (folder / f"{number}.{outcome}.txt").write_text(detail)
