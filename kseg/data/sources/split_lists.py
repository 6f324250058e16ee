"""Text files that list what a split holds: one name, image path, or pair of paths per line."""

import os
import re

from kseg import checks
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.patterns import LABEL_SUFFIXES, find_pairs
from kseg.data.sources.untrusted import lines

_PLACES = ("{split}.txt", "lists/{split}.txt", "splits/{split}.txt", "ImageSets/Segmentation/{split}.txt")


def automatic_lists(data_dir: str) -> str | None:
    """Return the path, with `{split}`, of the lists that are in `data_dir` in a usual place, or None."""
    return next((place for place in _PLACES if any(
        _path(data_dir, place, split) is not None for split in ("train", "validation"))), None)


def listed_pairs(data_dir: str, split: str, lists: str | dict[str, str], image_pattern: str | None,
                 label_pattern: str | None) -> list[tuple[str, str]]:
    """Return [(image path, label path)] of the lines of a split's list, in their order.

    A line is a name without suffix or the path of an image, of files that the patterns pair; or the paths of image and
    labels below `data_dir`, parted by spaces, a tab or a comma. Lines that are blank or begin with `#` are left out.

    Raises:
        FileNotFoundError: if there is no list of the split.
        ValueError: if lines name no pair, or a name is that of several.
    """
    path = _path(data_dir, lists, split)
    if path is None:
        raise FileNotFoundError(checks.sentence("split_lists", f"must hold a list of split {split!r} below "
                                                f"{str(data_dir)!r}", lists, "Check the path."))
    rows = [line.strip() for line in lines(path, "split_lists") if not line.startswith("#")]
    pairs, known = [], None
    for line in rows:
        pair = _pair_of_paths(data_dir, line)
        if pair is None and known is None:
            known = _by_name(data_dir, image_pattern, label_pattern)
        pairs.append(pair or known.get(_stem(line)))
    wrong = [line for line, pair in zip(rows, pairs) if not pair or pair == _SEVERAL]
    if wrong:
        several = known.get(_stem(wrong[0])) == _SEVERAL
        raise ValueError(checks.sentence(
            "split_lists", f"must name one image with a label file per line; {len(wrong)} of {len(rows)} lines of "
            f"{path!r} do not, the first {'is the name of several' if several else 'names none'}", wrong[0],
            "Write paths below data_dir." if several else
            "Correct the list, or pass image_pattern and label_pattern of the files it names."))
    return pairs


_SEVERAL = ("", "")  # in the place of a pair: the name is not one image's alone


def _path(data_dir, lists, split):
    """Return the path of a split's list, or None if there is none."""
    if isinstance(lists, dict):
        paths = [lists[name] for name in SPLIT_NAMES[split] if name in lists]
    else:
        paths = [lists.replace("{split}", name) for name in SPLIT_NAMES[split]]
    return next(filter(os.path.isfile, (os.path.join(data_dir, path) for path in paths)), None)


def _pair_of_paths(data_dir, line):
    parts = re.split(r"\s*[\t,]\s*|\s+", line)
    paths = [os.path.join(data_dir, part) for part in parts]
    return tuple(paths) if len(paths) == 2 and all(map(os.path.isfile, paths)) else None


def _by_name(data_dir, image_pattern, label_pattern):
    """Return {path or bare name of an image, suffix aside: pair} of all files that the patterns pair."""
    if image_pattern is None or label_pattern is None:
        return {}
    found = {}
    for pair in find_pairs(data_dir, "train", image_pattern, label_pattern, problems=[]):
        stem = _stem(os.path.relpath(pair[0], data_dir))
        found[stem] = pair
        name = stem.split("/")[-1]
        if name != stem:
            found[name] = _SEVERAL if name in found else pair
    return found


def _stem(path):
    path = path.replace("\\", "/").removeprefix("./")
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in LABEL_SUFFIXES else path
