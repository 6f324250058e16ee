"""Pairs by patterns of file names: an image and a label file whose wildcards match the same text."""

import itertools
import os
import re
from collections.abc import Iterator

from kseg import checks
from kseg.data.sources.affixes import has_label_word, image_of
from kseg.data.sources.base import SPLIT_NAMES

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
IMAGE_SUFFIXES = (*PICTURE_SUFFIXES, ".npy", ".dcm", ".nii", ".nii.gz")
LABEL_SUFFIXES = (*PICTURE_SUFFIXES, ".gif", ".npy", ".npz", ".nii", ".nii.gz")


def find_pairs(data_dir: str, split: str, image_pattern: str | None = None, label_pattern: str | None = None,
               problems: list | None = None, advice: str | None = None) -> list[tuple[str, str]]:
    """Return [(image path, label path)]: `{split}/images/*` with `{split}/labels/*`, or any two patterns.

    `*` matches within one folder name, `**` across them, a final `.*` any suffix; a pair is two files whose wildcards
    match the same text, the suffix aside. `{split}` stands for the split's name or a usual short form (val). Of files
    in one folder those are no images that are labels, or are named as another image with a word for labels
    (`a_mask_2`). Unpaired files, and all but the first of files that differ in their suffix alone, raise, or are added
    to the list `problems` as (kind, path, message).

    Raises:
        ValueError: if files are unpaired or not the only ones of their name.
        FileNotFoundError: if the split has no folder; `advice`, if given, ends the sentence.
    """
    missing, patterns = [], (image_pattern or "{split}/images/*", label_pattern or "{split}/labels/*")
    beside = os.path.dirname(patterns[0]) == os.path.dirname(patterns[1])
    for folder in SPLIT_NAMES[split]:
        images, labels = (pattern.replace("{split}", folder) for pattern in patterns)
        labels = _matches(data_dir, labels, LABEL_SUFFIXES, problems)
        images = _matches(data_dir, images, IMAGE_SUFFIXES, problems, set(labels.values()) if beside else None)
        if images or labels:
            return _paired(images, labels, data_dir, problems)
        missing.append(os.path.join(data_dir, folder))
    if advice is None:
        advice = (f"Expected {missing[0]}/images and {missing[0]}/labels, or pass image_pattern and label_pattern."
                  if image_pattern is None else "Check image_pattern and label_pattern.")
    raise FileNotFoundError(checks.sentence("split", f"must have files below data_dir {str(data_dir)!r}", split,
                                            advice))


def _paired(images, labels, data_dir, problems):
    both = set(images) & set(labels)
    for here, missing in ((images, "labels"), (labels, "image")):
        unpaired = [here[key] for key in sorted(here) if key not in both]
        if unpaired and problems is None:
            raise ValueError(checks.sentence(
                "data_dir", f"must hold a partner for every file; {len(unpaired)} of {len(here)} have no {missing} "
                f"file, the first is {unpaired[0]!r}", str(data_dir),
                "Add the missing files or remove the unpaired ones; names must agree up to the suffix."))
        if unpaired:
            problems.extend(("missing partner", path, f"{path} has no {missing} file") for path in unpaired)
    return [(images[key], labels[key]) for key in sorted(both)]


def _matches(data_dir, pattern, suffixes, problems, labels=None):
    """Return {text of the wildcards without suffix: path} of the files below `data_dir` that match `pattern`.

    `labels` are paths of label files in the same folders, None if there are none.
    """
    found = {}
    paths = [path for path in files_below(data_dir, pattern) if path.lower().endswith(suffixes)]
    if labels is not None:
        paths = _without_labels(paths, labels)
    any_suffix = pattern.endswith("*")
    expression = _expression(pattern)
    for path in paths:
        match = expression.fullmatch(os.path.relpath(path, data_dir).replace(os.sep, "/"))
        if match:
            groups = list(match.groups())
            if any_suffix and not pattern.endswith(".*"):
                groups[-1] = os.path.splitext(groups[-1])[0]
            first = found.setdefault(tuple(groups), path)
            if first != path:
                _refuse_second(path, first, data_dir, problems)
    return found


def _without_labels(paths, labels):
    """Return the image files among files of the same folders."""
    stems = {os.path.splitext(path)[0] for path in paths if path not in labels}
    return [path for path in paths if path not in labels and not (
        has_label_word(os.path.splitext(path)[0]) and image_of(os.path.splitext(path)[0], stems))]


def _expression(pattern):
    """Return the regular expression of a pattern; its groups are what the wildcards match, but for a final `.*`."""
    pattern, suffix = (pattern[:-2], r"\.[^./]*") if pattern.endswith(".*") else (pattern, "")
    return re.compile("".join({"**/": "((?:.*/)?)", "*": "([^/]*)"}.get(piece, re.escape(piece))
                              for piece in re.split(r"(\*\*/|\*)", pattern)) + suffix)


def files_below(data_dir: str, pattern: str = "**/*") -> Iterator[str]:
    """Yield the paths of files below `data_dir` in folders where `pattern` may match, in order; no hidden ones."""
    folders_of_pattern = pattern.split("/")[:-1]
    fixed = list(itertools.takewhile(lambda name: "*" not in name, folders_of_pattern))
    for folder, folders, names in os.walk(os.path.join(data_dir, *fixed)):  # follows no links to folders: loops end
        folders.sort()
        depth = os.path.relpath(os.path.join(folder, "file"), data_dir).count(os.sep)
        if "**" not in pattern and depth >= len(folders_of_pattern):
            folders.clear()
        yield from (os.path.join(folder, name) for name in sorted(names) if not name.startswith("."))


def _refuse_second(path, first, data_dir, problems):
    if problems is None:
        raise ValueError(checks.sentence(
            "data_dir", f"must hold one file of each name, the suffix aside; {path!r} and {first!r} are two",
            str(data_dir), "Remove or rename one of them."))
    problems.append(("same name", path, f"{path} differs from {first} in its suffix alone, and is left out"))
