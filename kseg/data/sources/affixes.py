"""How the names of label files are made from those of their images: `a_mask` from `a`, `mask_1` from `img_1`."""

import collections
import os
import re
from collections.abc import Collection, Iterable

LABEL_WORDS = ("mask", "masks", "label", "labels", "gt", "seg", "segmentation", "annotation", "annotations", "annot",
               "anno", "groundtruth", "matte", "labelids", "trainids")
_WORD = re.compile(rf"(?:^|[_\-. ])(?:{'|'.join(LABEL_WORDS)})(?=$|[_\-. \d])", re.IGNORECASE)
_SEPARATOR = re.compile(r"[_\-. ]")


def has_label_word(stem: str) -> bool:
    """Return whether a name says that its file holds labels: `a_mask`, `gt-3`, `a_label_2`."""
    return _WORD.search(os.path.basename(stem)) is not None


def image_of(stem: str, images: Collection[str]) -> tuple[str, str, str] | None:
    """Return (image, what stands before it, what after it) in a label file's name, the longest of `images`, or None.

    Image and the rest are parted by one of `_-. `.
    """
    folder, name = os.path.split(stem)
    cuts = [match.start() for match in _SEPARATOR.finditer(name)]
    for cut in reversed(cuts):
        image = os.path.join(folder, name[:cut])
        if image in images:
            return image, "", name[cut:]
    for cut in cuts:
        image = os.path.join(folder, name[cut + 1:])
        if image in images:
            return image, name[:cut + 1], ""
    return None


def globs(images: Collection[str], labels: Collection[str]) -> list[tuple[str, str, int]]:
    """Return (pattern of images, pattern of labels, pairs) of each way in which names fit, most pairs first.

    Args:
        images, labels: the names of the files, suffixes aside, with the folders above them that they share.
    """
    equal = len(set(images) & set(labels))
    if equal:
        return [("*", "*", equal)]
    images, found = set(images), collections.Counter()
    for stem in labels:
        part = image_of(stem, images)
        if part is not None:
            found[part[1:]] += 1
    if found:
        ways = sorted(found.items(), key=lambda way: (-way[1], way[0]))
        return [("*", f"{before}*{after}", count) for (before, after), count in ways]
    (image_start, image_end), (label_start, label_end) = _shared(images), _shared(labels)
    cores = {_core(stem, image_start, image_end) for stem in images}
    pairs = len(cores & {_core(stem, label_start, label_end) for stem in labels})
    if not pairs or (image_start, image_end) == (label_start, label_end):
        return []
    return [(f"{image_start}*{image_end}", f"{label_start}*{label_end}", pairs)]


def _shared(stems: Iterable[str]) -> tuple[str, str]:
    """Return what all names begin and end with, up to a separator: ("img_", "") of img_01 and img_02."""
    names = [os.path.basename(stem) for stem in stems]
    start = re.match(r"(.*[_\-. ])?", os.path.commonprefix(names))[0]
    ends = [name[len(start):][::-1] for name in names]
    end = re.match(r"(.*[_\-. ])?", os.path.commonprefix(ends))[0][::-1]
    return start, end


def _core(stem, start, end):
    folder, name = os.path.split(stem)
    return os.path.join(folder, name[len(start):len(name) - len(end)])
