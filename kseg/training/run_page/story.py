"""What the files of a run's folder tell, old and half-finished ones too; no weights are read."""

import csv
import dataclasses
import json
import os
import shlex
import time
import typing

import numpy as np

from kseg.pages import data_uris
from kseg.training.callbacks import kept_panels
from kseg.training.run_folder import RunFolder, read_report

_RECENT = 10  # epochs by which the time left is judged
_LEAST_SILENCE = 300.0  # seconds without news after which a run may be thought dead
_FIRST_SILENCE = 3600.0  # before the first epoch is done


@dataclasses.dataclass(frozen=True)
class Story:
    """A run as its files tell it.

    Attributes:
        folder: `RunFolder`.
        report: dict, `run.json`.
        history: one dict per finished epoch, finite numbers only.
        per_class: (epoch, one score or None per class) of each validation; empty for runs of an earlier kseg.
        written: seconds since 1970, when the run itself last said something.
    """

    folder: RunFolder
    report: dict[str, typing.Any]
    history: list[dict[str, float]]
    per_class: list[tuple[int, list[float | None]]]
    written: float

    @classmethod
    def read(cls, folder: RunFolder) -> "Story":
        """Return the story of the run in `folder`."""
        history = [{name: float(value) for name, value in row.items() if value and np.isfinite(float(value))}
                   for row in map(dict, _table(folder.history))]
        rows = _rows(folder.classes)[1:]
        per_class = [(int(row[0]), [float(value) if value else None for value in row[1:]]) for row in rows]
        return cls(folder, read_report(folder.report), history, [one for one in per_class if one[0] <= len(history)],
                   os.path.getmtime(folder.report))

    @property
    def name(self) -> str:
        """The name of the folder."""
        return os.path.basename(os.path.abspath(self.folder.path))

    @property
    def epochs(self) -> int:
        """Epochs to train."""
        return int(self.report.get("length", {}).get("epochs") or self.report["recipe"].get("epochs")
                   or len(self.history))

    @property
    def running(self) -> bool:
        """Whether the run said that it goes on; one that was killed could not say otherwise."""
        return self.report.get("status") == "running"

    @property
    def status(self) -> str:
        """What the run is: "running", "finished", "stopped early" or "interrupted"."""
        status = self.report.get("status", "interrupted")
        return "stopped early" if status == "finished" and len(self.history) < self.epochs else status

    @property
    def seconds_left(self) -> float | None:
        """The time that the epochs left will take, by the last ones; None without an epoch."""
        recent = [row["seconds"] for row in self.history[-_RECENT:] if "seconds" in row]
        return float(np.mean(recent)) * (self.epochs - len(self.history)) if recent else None

    @property
    def longest_silence(self) -> float:
        """Seconds without news after which the run may be thought dead."""
        longest = max((row.get("seconds", 0.0) for row in self.history), default=None)
        return _FIRST_SILENCE if longest is None else max(_LEAST_SILENCE, 5 * longest)

    @property
    def best(self) -> dict[str, typing.Any] | None:
        """`epoch` and `mean_iou` of the best validation, or None."""
        rows = [row for row in self.history if "val_mean_iou" in row]
        if not rows:
            return None
        best = max(rows, key=lambda row: row["val_mean_iou"])
        return {"epoch": int(best["epoch"]), "mean_iou": best["val_mean_iou"]}

    @property
    def commands(self) -> dict[str, str]:
        """The command lines that go on with the run and that repeat it, by "resume" and "repeat"."""
        return {"resume": shlex.join(["kseg", "train", "--resume", self.folder.path]),
                "repeat": shlex.join(["kseg", "train", "--recipe", self.folder.report, "--output", "runs/again"])}

    def classes(self) -> list[dict[str, typing.Any]]:
        """Return a dict per class: `name`, `colour` or None, `best` and `last` score, `change`, all `scores`."""
        data = self.report.get("data", {})
        names, palette = data.get("classes", []), data.get("palette", [])
        best_epoch = self.best["epoch"] if self.best else 0
        stored = self.report.get("best", {}).get("per_class_iou", {})
        best = dict(self.per_class).get(best_epoch) or [stored.get(name) for name in names]
        last = self.per_class[-1][1] if self.per_class else [None] * len(names)
        found = []
        for index, name in enumerate(names):
            one, other = best[index], last[index]
            found.append({"name": name, "colour": palette[index] if palette else None, "best": one, "last": other,
                          "change": None if one is None or other is None else other - one,
                          "scores": [scores[index] for _, scores in self.per_class]})
        return found

    def panels(self) -> dict[str, typing.Any] | None:
        """Return the kept pictures as addresses: `epochs`, and `rows` of `image`, `truth`, `predictions`; or None."""
        folder, done = self.folder.panels, len(self.history)
        there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        places = range(1, sum(name.startswith("image-") for name in there) + 1)
        epochs = [epoch for epoch in kept_panels.epochs(folder)  # not one that a full disk cut short
                  if epoch <= done and {f"epoch-{epoch:04d}-{place}.png" for place in places} <= there]
        if not epochs:
            return None

        def address(name):
            return data_uris.of_file(os.path.join(folder, name))

        rows = [{"image": address(f"image-{place}.jpg"), "truth": address(f"truth-{place}.png"),
                 "predictions": [address(f"epoch-{epoch:04d}-{place}.png") for epoch in epochs]}
                for place in places if f"truth-{place}.png" in there]
        scores = {int(row["epoch"]): row.get("val_mean_iou") for row in self.history}
        return {"epochs": [{"epoch": epoch, "mean_iou": scores.get(epoch)} for epoch in epochs], "rows": rows}

    def old_panel(self) -> str | None:
        """Return the latest panel, of a run that kept none of its epochs, as an address; or None."""
        return data_uris.of_file(self.folder.panel) if os.path.exists(self.folder.panel) else None

    def recipe(self) -> list[tuple[str, str]]:
        """Return the options of the recipe that are set, as text."""
        return recipe_text(self.report["recipe"])

    def machine(self) -> list[tuple[str, str]]:
        """Return what the run ran on, as text."""
        facts = {**self.report.get("machine", {}), **self.report.get("versions", {})}
        return [(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
                for name, value in facts.items() if value is not None]


def recipe_text(recipe: dict[str, typing.Any]) -> list[tuple[str, str]]:
    """Return the options of a recipe that are set, as text."""
    return [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for name, value in recipe.items() if value is not None and value != {}]


def clock(seconds: float) -> str:
    """Return seconds since 1970 as local date and time with the zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))


def _rows(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _table(path):
    names, *rows = _rows(path) or [[]]
    return [zip(names, row) for row in rows]
