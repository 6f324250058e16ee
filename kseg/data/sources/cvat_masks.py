"""CVAT's "Segmentation mask 1.1" ("cvat_masks"): masks in the colours that `labelmap.txt` gives to the labels."""

import dataclasses
import os
import re
import typing

import numpy as np

from kseg import checks
from kseg.data import decode, filesystems
from kseg.data.label_ids import Classes, IllegalIds, identity_table
from kseg.data.mask_values import PNG_SIGNATURE
from kseg.data.sources import annotation_files
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.class_names import NamedClasses
from kseg.data.sources.file_pairs import FileSource
from kseg.data.sources.patterns import IMAGE_SUFFIXES
from kseg.data.sources.published import layout_missing
from kseg.data.sources.untrusted import lines
from kseg.labels import IGNORE_CLASS

_BORDER = (224, 224, 192)  # VOC's, which means ignore


@dataclasses.dataclass(frozen=True, eq=False)
class CvatMaskSource(FileSource):
    """Images in `JPEGImages` with masks in `SegmentationClass`; class 0 is the background, then labels as listed.

    Masks are read by their colours, indexed ones by those of their own palette; grey ones hold the number of a line of
    `labelmap.txt`. `background` and `_background_` are class 0; `ignore`, `__ignore__`, `void` and VOC's border
    (224, 224, 192) become 255. Of a label that `classes` leaves out, nothing is drawn.

    The images of a split are listed in `ImageSets/Segmentation/Train.txt` and so on, those of "train" else in
    `default.txt`.

    Example:
        >>> train = kseg.data.load("cvat_masks", "train", data_dir="street", image_size=(256, 256))
    """

    listed_colours: tuple[tuple[tuple[int, int, int], int], ...] = ()  # (colour, class id), in the order of the lines

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, exif: str | None = None, problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        path = os.path.join(data_dir, "labelmap.txt")
        listed = read_labelmap(path)
        named = NamedClasses.of(listed, listed)
        named = named if classes is None else NamedClasses.chosen(classes, named)
        colours = {colour: named.id_of(label, path) or 0 for label, colour in listed.items()}
        stems = [line.strip() for line in lines(_list(name, data_dir, split))]
        images = _images(data_dir, stems, problems)
        pairs = [(image, os.path.join(data_dir, "SegmentationClass", stem + ".png"))
                 for stem, image in zip(stems, images) if image is not None]
        return cls(name, split, pairs, named.label_set, identity_table(len(named.label_set)), channels,
                   exif=exif, listed_colours=tuple(colours.items()))

    @property
    def values_are_ids(self) -> bool:
        """False: colours tell the classes."""
        return False

    def identity(self) -> list:
        """Return the class of each colour, and path, size and time of every file."""
        return [[[list(colour), class_id] for colour, class_id in self.listed_colours], *super().identity()]

    def read_labels(self, index: int) -> np.ndarray:
        path = self.pairs[index][1]
        data = filesystems.read_bytes(path) if os.path.isfile(path) else b""
        if not data.startswith(PNG_SIGNATURE):
            raise ValueError(checks.sentence("labels", "must be the path of a PNG file", path,
                                             "Export the masks again."))
        ids = [class_id for _, class_id in self.listed_colours]
        if data[25:26] == b"\0":  # grey
            return _looked_up(decode.read_stored_values(data, shown=path), {255: IGNORE_CLASS, **dict(enumerate(ids))},
                              "numbers of the lines of labelmap.txt", path)
        table = {_number(colour): class_id for colour, class_id in self.listed_colours}
        pixels = decode.read_pixels(data, strict=True, shown=path).astype(np.int32)
        packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
        return _looked_up(packed, {_number(_BORDER): IGNORE_CLASS, 0: 0, **table}, "the colours of labelmap.txt", path)


def read_labelmap(path: str) -> dict[str, tuple[int, int, int]]:
    """Return {label: (r, g, b)} of the lines `label:r,g,b:parts:actions`, in their order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is another, or two labels have one name or colour.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(checks.sentence("data_dir", "must hold labelmap.txt, the colours of the labels", path,
                                                "Export the masks as 'Segmentation mask 1.1'."))
    found = {}
    for line in lines(path):
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"(.+?):(\d{1,3}),(\d{1,3}),(\d{1,3})(?::[^:]*){0,2}", line.strip())
        colour = None if match is None else tuple(int(value) for value in match.groups()[1:])
        if colour is None or max(colour) > 255 or match[1] in found or colour in found.values():
            raise ValueError(checks.sentence(
                "labelmap", f"must have lines 'label:r,g,b::', each label and each colour once, in {path!r}", line,
                "Correct the line or export the masks again."))
        found[match[1]] = colour
    return found


def _list(name, data_dir, split):
    """Return the path of the list of a split's images."""
    folder = os.path.join(data_dir, "ImageSets", "Segmentation")
    files = {os.path.splitext(file)[0].casefold(): file for file in sorted(os.listdir(folder))
             if file.endswith(".txt")} if os.path.isdir(folder) else {}
    for word in (*SPLIT_NAMES[split], *(("default",) if split == "train" else ())):
        if word in files:
            return os.path.join(folder, files[word])
    raise layout_missing(name, data_dir, split, f"ImageSets/Segmentation/{SPLIT_NAMES[split][0]}.txt"
                         + " or default.txt" * (split == "train"))


def _images(data_dir, stems, problems):
    """Return the path of the image of each stem, which may have folders, or None where it is missing."""
    folder, images = os.path.join(data_dir, "JPEGImages"), {}
    for where, _, files in os.walk(folder):
        for file in sorted(files):
            stem, suffix = os.path.splitext(os.path.relpath(os.path.join(where, file), folder).replace(os.sep, "/"))
            if suffix.lower() in IMAGE_SUFFIXES:
                images.setdefault(stem, os.path.join(where, file))
    for stem in stems:
        if stem not in images:
            annotation_files.report(problems, "missing partner", os.path.join(folder, stem), checks.sentence(
                "data_dir", f"must hold every image of its list in {folder!r}; {stem!r} is not there", data_dir,
                "Export the masks with their images, or copy these into that folder."))
    return [images.get(stem) for stem in stems]


def _number(colour):
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _looked_up(stored, table, rule, path):
    """Return the class ids, uint8 `[H, W]`, of values, integers `[H, W]`, that are keys of `table`."""
    keys = np.array(sorted(table))
    places = np.minimum(np.searchsorted(keys, stored), len(keys) - 1)
    wrong = keys[places] != stored
    if wrong.any():
        values = np.unique(stored[wrong])[:4].tolist()
        shown = [(value >> 16, value >> 8 & 255, value & 255) for value in values] if max(keys) > 255 else values
        raise IllegalIds(checks.sentence("labels", f"must be {rule}; {path!r} has others", shown,
                                         "Export the masks again, with the labelmap.txt that belongs to them."))
    return np.array([table[key] for key in keys.tolist()], np.uint8)[places]
