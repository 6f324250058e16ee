"""What is wrong with a dataset, file by file, before a training run is wasted on it."""

import collections
import dataclasses
import typing
from collections.abc import Callable

import numpy as np

from kseg.data import class_balance, label_ids, sources, split_comparison
from kseg.data.sources.base import Findings
from kseg.labels import IGNORE_CLASS

if typing.TYPE_CHECKING:
    import rich.console

_VOID_SHARE = 0.5  # more ignored pixels than this is a warning
_IMBALANCE = 20  # so is a class of so many times fewer pixels than another,
_ENOUGH = 4  # in a split of at least so many pairs


@dataclasses.dataclass
class CheckReport:
    """Result of `check`.

    Args:
        name, split: the dataset.
        pairs: int, number of pairs looked at.
        errors: list of dict with "kind", "path" and "message"; training would fail on each.
        warnings: list of dict likewise; training would run, but perhaps not as meant.
        class_names: list of str.
        class_pixels: list of int, pixels of each class over the readable pairs.
        class_images: list of int, number of images with the class.
        class_weights: list of float, suggested weights of the loss: median frequency, 0 for classes that never occur
            (`kseg.data.class_weights`).
        void_share: float, share of ignored pixels.
        sizes: dict, "HxW" → number of images.
    """

    name: str
    split: str
    pairs: int
    errors: list[dict]
    warnings: list[dict]
    class_names: list[str]
    class_pixels: list[int]
    class_images: list[int]
    class_weights: list[float]
    void_share: float
    sizes: dict[str, int]

    @property
    def ok(self) -> bool:
        """True if there are no errors."""
        return not self.errors

    def to_dict(self) -> dict:
        """Return the report as JSON-ready values."""
        return {"ok": self.ok, **dataclasses.asdict(self)}

    def table(self) -> "rich.console.Group":
        """Return the report as a `rich` renderable: a table of classes, then the findings, most frequent kind first."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text
        table = Table(title=f"{self._head()}, {self.void_share:.1%} ignored")
        table.add_column("id", justify="right")
        table.add_column("class")
        for column in ("pixels", "share", "images", "weight"):
            table.add_column(column, justify="right")
        total = max(sum(self.class_pixels), 1)
        for index, (name, pixels, images, weight) in enumerate(zip(
                self.class_names, self.class_pixels, self.class_images, self.class_weights)):
            table.add_row(str(index), name, f"{pixels:,}", f"{pixels / total:.2%}", str(images), f"{weight:.3g}")
        lines = [Text(line) for line in self._finding_lines()]
        return Group(table, *lines)

    def __str__(self) -> str:
        return "\n".join([self._head(), *self._finding_lines()])

    def _head(self):
        return (f"{self.name} {self.split}: {_counted(self.pairs, 'pair')}, "
                f"{_counted(len(self.errors), 'error')}, {_counted(len(self.warnings), 'warning')}")

    def _finding_lines(self, most=5):
        lines = []
        for title, findings in (("error", self.errors), ("warning", self.warnings)):
            kinds = collections.Counter(finding["kind"] for finding in findings)
            for kind, count in kinds.most_common():
                chosen = [finding for finding in findings if finding["kind"] == kind]
                lines.append(f"{title}: {kind} ({count})")
                lines.extend(f"  {finding['message']}" for finding in chosen[:most])
                if count > most:
                    lines.append(f"  … and {count - most} more")
        return lines


def check(name: str | sources.Source, split: str | None = None, *, data_dir: str | None = None,
          other_splits: bool = True, progress: Callable[[int, int], None] | None = None,
          **options: typing.Any) -> CheckReport:
    """Read every pair of a dataset and report what is wrong; nothing raises but arguments and missing folders.

    Looked for: unreadable or truncated files, unpaired files, names that differ in their suffix alone, size
    mismatches, ids outside the classes with their counts and likely cause, classes that never occur, images ignored
    everywhere, a large void share, classes so rare that the loss should weigh them, equal images within the split and
    across splits, images across splits that look alike (`kseg.data.near_duplicates`; mirrored ones are not found),
    colours that are not exactly the named ones, EXIF orientation (and whether it is applied, or cannot be decided).

    Args:
        name: as `kseg.data.load`.
        split: "train", "validation", "test", or None ("train"; of a source: its own).
        data_dir: str or None, where the files are.
        other_splits: bool, whether the other splits' images are compared for duplicates (reads them whole).
        progress: None, or a function called with (done, total) after each pair, split by split.
        options: further arguments of `kseg.data.source`.
    Returns:
        `CheckReport`.
    Raises:
        ValueError, FileNotFoundError: as `kseg.data.source`, missing and further partners excepted.
    """
    findings, problems = Findings(), []
    source = sources.opened(name, split, data_dir=data_dir, problems=problems, **options)
    for problem in problems:
        findings.error(*problem)
    by_name = source is not name  # of a source that is given nobody knows the other splits
    others = split_comparison.other_splits(
        source, name, data_dir=data_dir, **options) if other_splits and by_name else []
    counts, progress = _Counts(len(source.label_set)), progress or (lambda done, total: None)
    for index in range(len(source)):
        labels = source.check(index, findings)
        if labels is not None and counts.add(labels) == labels.size:
            findings.warn("ignored everywhere", source.describe(index), "every pixel is ignored")
        progress(index + 1, len(source))
    _judge(source, findings, counts)
    for other in others:
        split_comparison.compare(findings, source, other, progress)
    return CheckReport(source.name, source.split, len(source), findings.errors, findings.warnings,
                       list(source.label_set.names), counts.pixels.tolist(), counts.images.tolist(),
                       counts.weights.tolist(), counts.void_share, dict(counts.sizes))


class _Counts:
    """Pixels and images of each class, and sizes, of the pairs that training can use."""

    def __init__(self, classes):
        self.pixels, self.images, self.present = (np.zeros(classes, np.int64) for _ in range(3))
        self.labels, self.void, self.sizes = 0, 0, collections.Counter()

    def add(self, labels):
        """Count the labels of a pair; return how many of them are ignored."""
        classes = class_balance.pixels_of_classes(labels, len(self.pixels))
        ignored = int((labels == IGNORE_CLASS).sum())
        self.pixels += classes
        self.images += classes > 0
        self.present += (classes > 0) * (labels.shape[0] * labels.shape[1])
        self.labels += labels.size
        self.void += ignored
        self.sizes[f"{labels.shape[0]}x{labels.shape[1]}"] += 1
        return ignored

    @property
    def weights(self):
        """Weights of the classes by median frequency, float32, 0 if there are no pixels."""
        return (class_balance.weights_from_counts(self.pixels, self.present) if self.pixels.any()
                else np.zeros(len(self.pixels), np.float32))

    @property
    def void_share(self):
        """Share of ignored pixels, 0 if there are none at all."""
        return self.void / max(self.labels, 1)


def _judge(source, findings, counts):
    """Note what is wrong with the split as a whole."""
    where = f"{source.name} {source.split}"
    told = any(finding["kind"] in ("0/255 masks", "illegal ids") for finding in findings.errors)
    only_0_and_255 = counts.void and counts.pixels[0] and len(counts.pixels) > 1 and not counts.pixels[1:].any()
    if only_0_and_255 and source.values_are_ids and not told:
        findings.error("0/255 masks", where, f"{where}: the label files hold nothing but 0 and 255. "
                       + label_ids.likely_cause({0, 255}, len(counts.pixels)))
    for index in np.flatnonzero(counts.pixels == 0):
        findings.warn("empty class", where, f"class {index} ({source.label_set.names[index]}) never occurs")
    names, occurring = source.label_set.names, np.flatnonzero(counts.pixels)
    if len(occurring) and len(source) >= _ENOUGH:
        most, least = occurring[counts.pixels[occurring].argmax()], occurring[counts.pixels[occurring].argmin()]
        ratio = counts.pixels[most] / counts.pixels[least]
        if ratio > _IMBALANCE:
            weights = [float(f"{weight:.3g}") for weight in counts.weights]
            findings.warn("class imbalance", where, f"class {least} ({names[least]}) has {ratio:.0f} times fewer "
                          f"pixels than class {most} ({names[most]}); weigh them in the loss, for example "
                          f"class_weights={weights} or --class-weights median_frequency")
    if counts.void_share > _VOID_SHARE:
        findings.warn("much void", where, f"{counts.void_share:.0%} of the pixels are ignored")
    if len(source) == 0:
        findings.error("no pairs", where, f"{where}: there is no pair of files")


def _counted(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
