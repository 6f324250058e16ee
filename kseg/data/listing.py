"""File lists: which image file and which label file make a pair, for every layout of folders that is known."""

import os
import re

import numpy as np

from kseg import checks
from kseg.labels import LabelSet

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_FOLDERS = {"train": ("train", "training"), "validation": ("validation", "val", "valid"), "test": ("test", "testing")}


def folder_pairs(data_dir, split, image_pattern=None, label_pattern=None, lonely=None):
    """Return [(image, labels)] of a folder: `{split}/images/*` with `{split}/labels/*`, or any two patterns.

    `*` matches within one folder name, `**` across them; a pair is two files whose wildcards match the same text, the
    suffix aside. `{split}` stands for the split's name or a usual short form (val). Files without partner, and all but
    the first of files that differ in their suffix alone, raise, or are added to the list `lonely` as (kind, path,
    message).

    Raises:
        ValueError: if partners are missing or not the only ones.
        FileNotFoundError: if the split has no folder.
    """
    missing = []
    for folder in _FOLDERS[split]:
        images = _matches(data_dir, (image_pattern or "{split}/images/*").replace("{split}", folder), lonely)
        labels = _matches(data_dir, (label_pattern or "{split}/labels/*").replace("{split}", folder), lonely)
        if images or labels:
            return _paired(images, labels, data_dir, lonely)
        missing.append(os.path.join(data_dir, folder))
    expected = (f"Expected {missing[0]}/images and {missing[0]}/labels, or pass image_pattern and label_pattern."
                if image_pattern is None else "Check image_pattern and label_pattern.")
    raise FileNotFoundError(checks.sentence("split", f"must have files below data_dir {str(data_dir)!r}", split,
                                            expected))


def _paired(images, labels, data_dir, lonely):
    both = set(images) & set(labels)
    for here, missing in ((images, "labels"), (labels, "image")):
        alone = [here[key] for key in sorted(here) if key not in both]
        if alone and lonely is None:
            raise ValueError(checks.sentence(
                "data_dir", f"must hold a partner for every file; {len(alone)} of {len(here)} have no {missing} file, "
                f"the first is {alone[0]!r}", str(data_dir),
                "Add the missing files or remove the lonely ones; names must agree up to the suffix."))
        if alone:
            lonely.extend(("missing partner", path, f"{path} has no {missing} file") for path in alone)
    return [(images[key], labels[key]) for key in sorted(both)]


def _matches(data_dir, pattern, lonely):
    """Return {text of the wildcards without suffix: path} of the files below `data_dir` that match `pattern`."""
    root = os.path.join(data_dir, *_fixed_folders(pattern))
    expression = re.compile(_expression(pattern))
    found = {}
    for folder, folders, names in os.walk(root):  # links to folders are not followed, so loops end
        folders.sort()
        if "**" not in pattern and _depth(folder, data_dir) >= pattern.count("/"):
            folders.clear()
        for name in sorted(names):
            path = os.path.join(folder, name)
            match = expression.fullmatch(os.path.relpath(path, data_dir).replace(os.sep, "/"))
            if match and name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                groups = list(match.groups())
                if pattern.endswith("*"):
                    groups[-1] = os.path.splitext(groups[-1])[0]
                first = found.setdefault(tuple(groups), path)
                if first != path:
                    _refuse_second(path, first, data_dir, lonely)
    return found


def _refuse_second(path, first, data_dir, lonely):
    if lonely is None:
        raise ValueError(checks.sentence(
            "data_dir", f"must hold one file of each name, the suffix aside; {path!r} and {first!r} are two",
            str(data_dir), "Remove or rename one of them."))
    lonely.append(("same name", path, f"{path} differs from {first} in its suffix alone, and is left out"))


def _fixed_folders(pattern):
    parts = pattern.split("/")[:-1]
    fixed = []
    for part in parts:
        if "*" in part:
            break
        fixed.append(part)
    return fixed


def _depth(folder, data_dir):
    relative = os.path.relpath(folder, data_dir)
    return 0 if relative == "." else relative.count(os.sep) + 1


def _expression(pattern):
    pieces = re.split(r"(\*\*/|\*)", pattern)
    return "".join({"**/": "((?:.*/)?)", "*": "([^/]*)"}.get(piece, re.escape(piece)) for piece in pieces)


def read_classes(path):
    """Return (`LabelSet`, whether colours were given) from a text file: `name` or `name r g b` a line."""
    names, colours = [], []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.strip():
                match = re.fullmatch(r"(.*?)(?:[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\d+))?\s*", line.strip())
                names.append(match[1])
                colours.append(None if match[2] is None else tuple(int(value) for value in match.groups()[1:]))
    coloured = bool(colours) and None not in colours
    return LabelSet(tuple(names), np.array(colours) if coloured else None), coloured


def camvid_pairs(data_dir, split, lonely=None):
    """Return CamVid's pairs: split folders `train/images`, `train/labels`, or SegNet's `train.txt` lists."""
    for folder in _FOLDERS[split]:
        if os.path.isdir(os.path.join(data_dir, folder, "images")):
            return folder_pairs(data_dir, split, lonely=lonely)
        path = os.path.join(data_dir, folder + ".txt")
        if os.path.isfile(path):
            return [tuple(os.path.join(data_dir, *part.replace("\\", "/").split("/")[-2:]) for part in line.split()[:2])
                    for line in _lines(path)]
    raise _layout_missing("camvid", data_dir, split, "val/images and val/labels, or SegNet's val.txt"
                          if split == "validation" else f"{split}/images and {split}/labels, or SegNet's {split}.txt")


def voc2012_pairs(data_dir, split, lonely=None):
    """Return PASCAL VOC 2012's pairs; "train" takes SBD's `trainaug.txt` with SegmentationClassAug when present."""
    below = (os.path.join(data_dir, "VOCdevkit", "VOC2012"), os.path.join(data_dir, "VOC2012"))
    root = next((folder for folder in below if os.path.isdir(folder)), data_dir)
    lists = os.path.join(root, "ImageSets", "Segmentation")
    masks = "SegmentationClass"
    name = {"train": "train", "validation": "val", "test": "test"}[split]
    if split == "train" and os.path.isdir(os.path.join(root, "SegmentationClassAug")) and os.path.isfile(
            os.path.join(lists, "trainaug.txt")):
        name, masks = "trainaug", "SegmentationClassAug"
    path = os.path.join(lists, name + ".txt")
    if not os.path.isfile(path):
        raise _layout_missing("voc2012", data_dir, split, f"ImageSets/Segmentation/{name}.txt")
    del lonely  # lists name both files; a missing one is found on reading
    stems = [os.path.splitext(os.path.basename(line.split()[0]))[0] for line in _lines(path)]
    return [(os.path.join(root, "JPEGImages", stem + ".jpg"), os.path.join(root, masks, stem + ".png"))
            for stem in stems]


def cityscapes_pairs(data_dir, split, lonely=None):
    """Return Cityscapes' pairs of leftImg8bit and gtFine label ids."""
    folder = {"train": "train", "validation": "val", "test": "test"}[split]
    if not os.path.isdir(os.path.join(data_dir, "leftImg8bit", folder)):
        raise _layout_missing("cityscapes", data_dir, split, f"leftImg8bit/{folder} and gtFine/{folder}")
    return folder_pairs(data_dir, split, f"leftImg8bit/{folder}/*/*_leftImg8bit.png",
                        f"gtFine/{folder}/*/*_gtFine_labelIds.png", lonely)


def ade20k_pairs(data_dir, split, lonely=None):
    """Return ADE20K's pairs (scene parsing benchmark layout)."""
    root = os.path.join(data_dir, "ADEChallengeData2016")
    root = root if os.path.isdir(root) else data_dir
    folder = {"train": "training", "validation": "validation", "test": "testing"}[split]
    if not os.path.isdir(os.path.join(root, "annotations", folder)):
        raise _layout_missing("ade20k", data_dir, split, f"images/{folder} and annotations/{folder}")
    return folder_pairs(root, split, f"images/{folder}/*", f"annotations/{folder}/*", lonely)


def _lines(path):
    with open(path, encoding="utf-8") as file:
        return [line for line in file.read().splitlines() if line.strip()]


def _layout_missing(name, data_dir, split, expected):
    return FileNotFoundError(checks.sentence(
        "data_dir", f"must hold split {split!r} of {name!r}", str(data_dir), f"Expected {expected} below it."))
