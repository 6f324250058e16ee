"""Layouts of images and masks that are recognised, in this order of preference: `{split}` is train, val, test, ….

1. `{split}/images` with `{split}/masks`          4. images and masks in one folder `{split}`: `a.jpg`, `a_mask.png`
2. `images/{split}` with `masks/{split}`          5. lists `{split}.txt` of what 6 or 7 hold, or of pairs of paths
3. `{split}` (or `{split}_images`) with           6. `images` with `masks`, without splits
   `{split}_masks`                                7. images and masks in `data_dir` itself

`IMAGE_FOLDERS` and `LABEL_FOLDERS` say which names stand for `images` and `masks`; files may lie in folders below them.
Label files are named as their images, or with the same words before or after (`a_mask.png`). Two readings of one kind
are an error that shows both (`kseg.data.sources.layouts`).
"""

import itertools
import os

from kseg.data.sources.affixes import globs, has_label_word
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.patterns import IMAGE_SUFFIXES, LABEL_SUFFIXES, files_below

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "photos")
LABEL_FOLDERS = ("labels", "label", "masks", "mask", "annotations", "annotation", "annot", "segmentationclass", "gt",
                 "groundtruth", "ground_truth")
_OF_IMAGES, _OF_LABELS = (".jpg", ".jpeg", ".webp", ".tif", ".tiff"), (".png", ".npy", ".npz")  # of one name
_SPLIT_WORDS = tuple(itertools.chain(*SPLIT_NAMES.values()))


def split_folders(*parts):
    """Return the names of folders that are named after a split."""
    return [name for name in _SPLIT_WORDS if os.path.isdir(os.path.join(*parts, name))]


def _folders(parent, names):
    """Return the folders below `parent` of these names, whatever their case, in order of the names."""
    there = sorted(entry.name for entry in os.scandir(parent) if entry.is_dir())
    return [folder for name in names for folder in there if folder.lower() == name]


def _in_split_folders(data_dir, label_pattern):
    """1: `{split}/images` with `{split}/masks`."""
    splits = split_folders(data_dir)
    images, labels = (list(dict.fromkeys(folder for split in splits for folder in
                                         _folders(os.path.join(data_dir, split), names)))
                      for names in (IMAGE_FOLDERS, LABEL_FOLDERS))
    for image, label in itertools.product(images, labels):
        yield from _readings(data_dir, f"{{split}}/{image}", f"{{split}}/{label}", splits, label_pattern)


def _of_split_folders(data_dir, label_pattern):
    """2: `images/{split}` with `masks/{split}`."""
    for image, label in itertools.product(_folders(data_dir, IMAGE_FOLDERS), _folders(data_dir, LABEL_FOLDERS)):
        splits = split_folders(data_dir, image)
        yield from _readings(data_dir, f"{image}/{{split}}", f"{label}/{{split}}", splits, label_pattern)


def _named_after_splits(data_dir, label_pattern):
    """3: `{split}` with `{split}_masks`."""
    def endings(words):
        wanted = {f"{split}{mark}{word}": f"{mark}{word}" for split in _SPLIT_WORDS for word in words for mark in "_- "}
        wanted |= {f"{split}{word}": word for split in _SPLIT_WORDS for word in words}
        return list(dict.fromkeys(wanted[folder] for folder in wanted if os.path.isdir(os.path.join(data_dir, folder))))

    splits = [split for split in _SPLIT_WORDS if any(
        name.startswith(split) for name in os.listdir(data_dir))]
    for image, label in itertools.product([*endings(IMAGE_FOLDERS), *([""] if split_folders(data_dir) else [])],
                                          endings(LABEL_FOLDERS)):
        yield from _readings(data_dir, f"{{split}}{image}", f"{{split}}{label}", splits, label_pattern)


def _beside_in_split_folders(data_dir, label_pattern):
    """4: images and masks in one folder `{split}`."""
    yield from _readings(data_dir, "{split}", "{split}", split_folders(data_dir), label_pattern)


def _without_splits(data_dir, label_pattern):
    """6: `images` with `masks`."""
    for image, label in itertools.product(_folders(data_dir, IMAGE_FOLDERS), _folders(data_dir, LABEL_FOLDERS)):
        yield from _readings(data_dir, image, label, [""], label_pattern)


def _beside(data_dir, label_pattern):
    """7: images and masks in `data_dir` itself."""
    yield from _readings(data_dir, "", "", [""], label_pattern)


WITHOUT_SPLITS = (_without_splits, _beside)
LEVELS = (_in_split_folders, _of_split_folders, _named_after_splits, _beside_in_split_folders, *WITHOUT_SPLITS)


def _readings(data_dir, image_folder, label_folder, splits, label_pattern):
    """Yield (image pattern, label pattern) of the ways in which the files of two folders fit, of the first split there.

    A label pattern that is given stands for all ways in which labels may be named.
    """
    for split in splits:
        images, labels = (_stems(data_dir, folder.replace("{split}", split), suffixes) for folder, suffixes in (
            (image_folder, IMAGE_SUFFIXES), (label_folder, LABEL_SUFFIXES)))
        if image_folder == label_folder:
            same = _same_stem(images, labels)
            if same and label_pattern is None:
                yield tuple(_below(image_folder, pattern) for pattern in same)
                return
            images, labels = _parted(images, labels)
        if not images or not labels:
            continue
        deep = "**/" if any(os.sep in stem for stem in images) else ""
        fitting = [("*", "*", 0)] if label_pattern is not None else globs(images, labels) or (
            [("*", "*", 0)] if image_folder != label_folder else [])
        for image, label, _ in fitting:
            label = label if label == "*" or label_pattern is not None else f"{label}.*"
            image = image if image == "*" else f"{image}.*"
            yield _below(image_folder, deep + image), _below(label_folder, deep + label)
        return


def _below(folder, pattern):
    return f"{folder}/{pattern}" if folder else pattern


def _stems(data_dir, folder, suffixes):
    """Return {name without suffix: suffixes} of the files in a folder, or if it has none in the folders below."""
    place, found = os.path.join(data_dir, folder), {}
    for pattern in ("*", "**/*") if folder else ("*",):
        for path in files_below(place, pattern):
            stem, suffix = os.path.splitext(os.path.relpath(path, place))
            if suffix.lower() in suffixes:
                found.setdefault(stem, []).append(suffix)
        if found:
            break
    return found


def _parted(images, labels):
    """Return the images and the labels among files of one folder."""
    words = {stem for stem in labels if has_label_word(stem)}
    return {stem: images[stem] for stem in images if stem not in words}, {stem: labels[stem] for stem in words}


def _same_stem(images, labels):
    """Return the two patterns where image and label differ in their suffix alone: `a.jpg`, `a.png`; else None."""
    found = {(image, label) for stem in images for image in images[stem] for label in labels.get(stem, ())
             if image.lower() in _OF_IMAGES and label.lower() in _OF_LABELS}
    return next(((f"*{image}", f"*{label}") for image, label in found), None) if len(found) == 1 else None
