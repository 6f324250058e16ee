"""What is wrong with a dataset, file by file, before a training run is wasted on it."""

import collections
import dataclasses
import hashlib

import numpy as np

from kseg import checks
from kseg.data import decode, label_ids, sources
from kseg.data.reader import failure_sentence, failures
from kseg.labels import IGNORE_CLASS

_VOID_SHARE = 0.5  # more ignored pixels than this is a warning


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
        void_share: float, share of ignored pixels.
        sizes: dict, "HxW" → number of images.
    """

    name: str
    split: str
    pairs: int
    errors: list
    warnings: list
    class_names: list
    class_pixels: list
    class_images: list
    void_share: float
    sizes: dict

    @property
    def ok(self):
        """True if there are no errors."""
        return not self.errors

    def to_dict(self):
        """Return the report as JSON-ready values."""
        return {"ok": self.ok, **dataclasses.asdict(self)}

    def table(self):
        """Return the report as a `rich` renderable: a table of classes, then the findings, most frequent kind first."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text
        table = Table(title=f"{self.name} {self.split}: {self.pairs} pairs, {len(self.errors)} errors, "
                            f"{len(self.warnings)} warnings, {self.void_share:.1%} ignored")
        table.add_column("id", justify="right")
        table.add_column("class")
        for column in ("pixels", "share", "images"):
            table.add_column(column, justify="right")
        total = max(sum(self.class_pixels), 1)
        for index, (name, pixels, images) in enumerate(zip(self.class_names, self.class_pixels, self.class_images)):
            table.add_row(str(index), name, f"{pixels:,}", f"{pixels / total:.2%}", str(images))
        lines = [Text(line) for line in self._finding_lines()]
        return Group(table, *lines)

    def __str__(self):
        head = (f"{self.name} {self.split}: {self.pairs} pairs, {len(self.errors)} errors, {len(self.warnings)} "
                "warnings")
        return "\n".join([head, *self._finding_lines()])

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


def check(name, split=None, *, data_dir=None, other_splits=True, progress=None, **options):
    """Read every pair of a dataset and report what is wrong; nothing raises but arguments and missing folders.

    Looked for: unreadable or truncated files, missing partners, names that differ in their suffix alone, size
    mismatches, ids outside the classes with their counts and likely cause, classes that never occur, images ignored
    everywhere, a large void share, equal images within the split and across splits, EXIF orientation (which is not
    applied).

    Args:
        name: as `kseg.data.load`.
        split: "train", "validation", "test", or None ("train"; of a source: its own).
        data_dir: str or None, where the files are.
        other_splits: bool, whether the other splits' images are compared for duplicates (reads their files).
        progress: None, or a function called with (done, total) after each pair.
        options: further arguments of `kseg.data.source`.
    Returns:
        `CheckReport`.
    Raises:
        ValueError, FileNotFoundError: as `kseg.data.source`, missing and further partners excepted.
    """
    findings = _Findings()
    if isinstance(name, str):
        chosen, options = _lenient_source(name, "train" if split is None else split, data_dir, options, findings)
    else:
        chosen = sources.opened(name, split, data_dir=data_dir, **options)
    split = chosen.split
    classes = len(chosen.label_set)
    pixels, images = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    void = total = 0
    sizes, stored, hashes = collections.Counter(), set(), {}
    for index in range(len(chosen)):
        labels = _read(chosen, index, findings, stored, hashes)
        if labels is not None:
            counts = np.bincount(labels.ravel(), minlength=256)
            pixels += counts[:classes]
            images += counts[:classes] > 0
            void, total = void + int(counts[IGNORE_CLASS]), total + labels.size
            sizes[f"{labels.shape[0]}x{labels.shape[1]}"] += 1
            if counts[IGNORE_CLASS] == labels.size:
                findings.warn("ignored everywhere", chosen.describe(index), "every pixel is ignored")
        if progress is not None:
            progress(index + 1, len(chosen))
    void_share = void / total if total else 0.0
    _judge_set(chosen, findings, pixels, void_share, stored)
    if other_splits and isinstance(name, str):
        _compare_splits(name, split, data_dir, options, hashes, findings)
    return CheckReport(chosen.name, split, len(chosen), findings.errors, findings.warnings,
                       list(chosen.label_set.names), pixels.tolist(), images.tolist(), void_share, dict(sizes))


class _Findings:
    def __init__(self):
        self.errors, self.warnings = [], []

    def error(self, kind, path, message):
        self.errors.append({"kind": kind, "path": path, "message": message})

    def warn(self, kind, path, message):
        self.warnings.append({"kind": kind, "path": path, "message": f"{path}: {message}"})


def _lenient_source(name, split, data_dir, options, findings):
    """Return the source and its options.

    For folders, files without partner become findings instead of an exception, and so do masks whose classes cannot
    be counted: they are then read as ids of two classes.
    """
    lonely = []
    try:
        chosen = sources.source(name, split, data_dir=data_dir, lonely=lonely, **options)
    except ValueError as failure:
        if not str(failure).startswith("`labels` must hold class ids"):
            raise
        kind = "0/255 masks" if "0/255 masks" in str(failure) else "illegal ids"
        findings.error(kind, f"{name} {split}", f"{name} {split}: {failure}")
        lonely.clear()
        options = {**options, "classes": 2}
        chosen = sources.source(name, split, data_dir=data_dir, lonely=lonely, **options)
    for finding in lonely:
        findings.error(*finding)
    return chosen, options


def _read(chosen, index, findings, stored, hashes):
    """Return the labels of a pair or None; note what is wrong."""
    path = chosen.describe(index)
    if not isinstance(chosen, sources.FileSource):
        try:
            return chosen.read(index)[1]
        except failures() as failure:
            return findings.error("unreadable", path, failure_sentence(failure) or str(failure))
    image_path, label_path = chosen.pairs[index]
    shape = labels = None
    try:
        data = decode.read_bytes(image_path)
        digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        if digest in hashes:
            findings.warn("duplicate image", image_path, f"holds the same bytes as {hashes[digest]}")
        hashes[digest] = image_path
        shape = decode.read_pixels(image_path, chosen.channels, strict=True).shape[:2]
        if decode.exif_orientation(data) not in (None, 1):
            findings.warn("EXIF orientation", image_path, "is to be shown turned; kseg reads it as it is stored")
    except (ValueError, OSError) as failure:
        findings.error("unreadable image", image_path, str(failure))
    try:
        palette = chosen.label_set.palette.tobytes() if chosen.read_colours else None
        values = decode.read_stored_values(label_path, palette)
        stored.update(np.unique(values).tolist())
        labels = label_ids.to_class_ids(values, chosen.table, label_path, len(chosen.label_set))
    except (ValueError, OSError) as failure:
        kind = "illegal ids" if "must hold class ids" in str(failure) else "unreadable labels"
        findings.error(kind, label_path, str(failure))
    if shape is not None and labels is not None and labels.shape != shape:
        findings.error("different size", label_path, checks.sentence(
            "labels", f"must have the height and width of their image {image_path!r}, {shape}; {label_path!r} differs",
            labels.shape, "Pair the right files, or resize the mask by nearest neighbour."))
        return None
    return labels


def _judge_set(chosen, findings, pixels, void_share, stored):
    where = f"{chosen.name} {chosen.split}"
    told = any(finding["kind"] == "0/255 masks" for finding in findings.errors)
    if stored == {0, 255} and len(chosen.label_set) > 1 and sources.reads_ids_as_stored(chosen) and not told:
        findings.error("0/255 masks", where, f"{where}: the label files hold nothing but 0 and 255. "
                       + label_ids.likely_cause(stored, len(chosen.label_set)))
    for index in np.flatnonzero(pixels == 0):
        findings.warn("empty class", where, f"class {index} ({chosen.label_set.names[index]}) never occurs")
    if void_share > _VOID_SHARE:
        findings.warn("much void", where, f"{void_share:.0%} of the pixels are ignored")
    if len(chosen) == 0:
        findings.error("no pairs", where, f"{where}: there is no pair of files")


def _compare_splits(name, split, data_dir, options, hashes, findings):
    for other in sources.SPLITS:
        if other == split or not hashes:
            continue
        try:
            chosen = sources.source(name, other, data_dir=data_dir, lonely=[], **options)
        except (ValueError, OSError):
            continue
        for image_path, _ in getattr(chosen, "pairs", ()):
            try:
                digest = hashlib.sha1(decode.read_bytes(image_path), usedforsecurity=False).hexdigest()
            except OSError:
                continue
            if digest in hashes:
                findings.warn("duplicate across splits", image_path,
                              f"({other}) holds the same bytes as {hashes[digest]} ({split})")
