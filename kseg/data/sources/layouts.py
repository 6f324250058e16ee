"""From a folder of images and masks to the pairs of a split, by patterns that are given or recognised."""

import dataclasses
import os

from kseg import checks
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.division import Division, tell_of_equal_splits
from kseg.data.sources.patterns import find_pairs
from kseg.data.sources.recognition import LEVELS, WITHOUT_SPLITS, split_folders
from kseg.data.sources.split_lists import automatic_lists, listed_pairs
from kseg.data.sources.suggestion import nothing_recognised


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the files of a dataset are.

    Args:
        image_pattern, label_pattern: globs below `data_dir`, perhaps with `{split}`.
        lists: path with `{split}` or dict of paths, of text files that say what a split holds, or None.
        divided: bool, whether files that no folder and no list gives to a split are divided in shares.
    """

    image_pattern: str | None
    label_pattern: str | None
    lists: str | dict[str, str] | None = None
    divided: bool = True

    @property
    def by_folder(self) -> bool:
        """Whether folders or names say which split a file belongs to."""
        return "{split}" in f"{self.image_pattern}{self.label_pattern}"


def laid_out_pairs(data_dir: str, split: str, image_pattern: str | None, label_pattern: str | None,
                   division: Division, problems: list | None) -> list[tuple[str, str]]:
    """Return [(image path, label path)] of a split; arguments as `kseg.data.source`.

    Patterns without `{split}` give all files to every split, unless `division` says otherwise.

    Raises:
        ValueError: if several readings of the folder are possible, files are unpaired, or options contradict.
        FileNotFoundError: if no layout is recognised, with the patterns that would fit; or the split is not there.
    """
    if image_pattern is not None and label_pattern is not None:
        layout = Layout(image_pattern, label_pattern, division.lists, division.shares_asked)
    else:
        layout = recognised(data_dir, image_pattern, label_pattern, division.lists)
    if layout.lists is not None:
        division.refuse_shares(f"where the lists {layout.lists!r} say which split a file belongs to")
        return listed_pairs(data_dir, split, layout.lists, layout.image_pattern, layout.label_pattern)
    if layout.by_folder:
        division.refuse_shares(f"where folders are named after splits ({layout.image_pattern})")
    elif not layout.divided:
        tell_of_equal_splits(data_dir, layout.image_pattern)
    advice = None if image_pattern is not None else _advice(data_dir, split, layout)
    pairs = find_pairs(data_dir, split, layout.image_pattern, layout.label_pattern, problems, advice)
    return division.part(pairs, split, data_dir) if layout.divided and not layout.by_folder else pairs


def recognised(data_dir: str, image_pattern: str | None = None, label_pattern: str | None = None,
               lists: str | dict[str, str] | None = None) -> Layout:
    """Return the layout of the files below `data_dir`; patterns and lists that are given hold."""
    automatic = automatic_lists(data_dir) if lists is None else lists
    for candidates in LEVELS if lists is None else WITHOUT_SPLITS:
        found = list(dict.fromkeys((image_pattern or images, label_pattern or labels)
                                   for images, labels in candidates(data_dir, label_pattern)))
        if len(found) > 1:
            raise ValueError(_several(data_dir, found))
        if found:
            return Layout(*found[0], automatic if candidates in WITHOUT_SPLITS else None)
    if automatic is not None:
        return Layout(image_pattern, label_pattern, automatic)  # of lines that name both files
    if image_pattern is not None or label_pattern is not None:
        return Layout(image_pattern or "{split}/images/*", label_pattern or "{split}/labels/*")
    raise nothing_recognised(data_dir)


def _several(data_dir, found):
    readings = "; ".join(f"image_pattern={image!r}, label_pattern={label!r}" for image, label in found[:6])
    differ = [name for name, patterns in zip(("image_pattern", "label_pattern"), zip(*found)) if len(set(patterns)) > 1]
    return checks.sentence(
        "data_dir", f"must hold one label file for each image; there are several readings: {readings}", str(data_dir),
        f"Pass the {' and the '.join(differ)} you mean.")


def _advice(data_dir, split, layout):
    """Return what to do where a split has no files in a layout of other splits."""
    folder = SPLIT_NAMES[split][0]
    expected = (os.path.join(data_dir, os.path.dirname(pattern).replace("{split}", folder).replace("**", "…"))
                for pattern in (layout.image_pattern, layout.label_pattern))
    advice = f"Expected {' and '.join(expected)}, or pass image_pattern and label_pattern."
    only = split_folders(data_dir)
    if len(only) == 1 and f"{layout.image_pattern}{layout.label_pattern}".count("{split}/") == 2:
        advice += f" To divide the files of {only[0]!r}, pass data_dir={os.path.join(data_dir, only[0])!r}."
    return advice
