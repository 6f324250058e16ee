"""What is said about a folder whose layout is not recognised: what it holds, and patterns that would fit."""

import collections
import itertools
import os

from kseg import checks
from kseg.data.sources.affixes import globs, has_label_word
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.division import FRACTIONS
from kseg.data.sources.patterns import LABEL_SUFFIXES, files_below

_FOLDERS = 24  # with most files, that are compared
_LOSSY = (".jpg", ".jpeg")
_SPLIT_WORDS = tuple(itertools.chain(*SPLIT_NAMES.values()))


def nothing_recognised(data_dir: str) -> FileNotFoundError:
    """Return the error about a folder without pairs."""
    files = collections.defaultdict(lambda: collections.defaultdict(list))  # folder → suffix → names
    for path in files_below(data_dir):
        folder, name = os.path.split(os.path.relpath(path, data_dir))
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in LABEL_SUFFIXES:
            files[folder.replace(os.sep, "/")][suffix].append(stem)
    advice = ("Expected images/ and masks/, train/images and train/masks, images/train and masks/train, or a.jpg "
              "beside a_mask.png.")
    if not files:
        return FileNotFoundError(checks.sentence("data_dir", "must hold images and label files; none is below it",
                                                 str(data_dir), advice))
    places = [(folder, suffix, names) for folder, row in files.items() for suffix, names in row.items()]
    places = sorted(places, key=lambda place: -len(place[2]))[:_FOLDERS]
    held = ", ".join(f"{len(names)} {suffix} in {folder or '.'} ({names[0]}{suffix})"
                     for folder, suffix, names in places[:6])
    return FileNotFoundError(checks.sentence(
        "data_dir", f"must hold images and label files in a layout that kseg knows; there are {held}", str(data_dir),
        _fitting(places) or advice + " Or pass image_pattern and label_pattern."))


def _fitting(places):
    """Return the sentence about the patterns that pair most files, or None if none pair any."""
    best = (0, None, None)
    for one, other in itertools.combinations(places, 2):
        images, labels = (other, one) if _rather_labels(one, other) else (one, other)
        for image, label, count in globs(images[2], labels[2])[:1]:
            if count > best[0]:
                best = count, _pattern(images, image), _pattern(labels, label)
    for folder, suffix, names in places:
        labels = [name for name in names if has_label_word(name)]
        for image, label, count in globs(set(names) - set(labels), labels)[:1]:
            if count > best[0]:
                best = count, _pattern((folder, suffix), image), _pattern((folder, suffix), label)
    count, image_pattern, label_pattern = best
    if not count:
        return None
    shares = "" if "{split}" in image_pattern else f", split_fractions={FRACTIONS}"
    return f"Pass image_pattern={image_pattern!r}, label_pattern={label_pattern!r}{shares}; {count} names fit."


def _rather_labels(one, other):
    """Return whether of two (folder, suffix, names) rather the first are labels."""
    def likelihood(place):
        named = has_label_word(place[0].replace("/", "_")) or has_label_word(place[2][0])
        return named, place[1].lower() not in _LOSSY
    return likelihood(one) > likelihood(other)


def _pattern(place, glob):
    folder, suffix = place[:2]
    parts = ["{split}" if part in _SPLIT_WORDS else part for part in folder.split("/")] if folder else []
    return "/".join([*parts, f"{glob}{suffix}"])
