"""Datasets by name: which image belongs to which label file, what the ids mean, how one pair is read.

A source gives random access (`len`, `read(index)`), so that order, cache and shards belong to `pipeline` alone.
"""

import dataclasses
import os

import numpy as np

from kseg import checks
from kseg.data import decode, label_ids, label_sets, listing, shapes
from kseg.labels import LabelSet

SPLITS = ("train", "validation", "test")
NAMES = ("shapes", "folder", "camvid", "voc2012", "cityscapes", "ade20k", "records")


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource:
    """Pairs of image and label files.

    Args:
        name: str, the dataset's name.
        split: "train", "validation" or "test".
        pairs: list of (image path, label path).
        label_set: `LabelSet`.
        table: int16 `[256]`, stored value → class id (`kseg.data.label_ids`).
        channels: 1 or 3, of the pixels.
        read_colours: bool, whether RGB masks are read by the label set's palette.
    """

    name: str
    split: str
    pairs: list
    label_set: LabelSet
    table: np.ndarray
    channels: int = 3
    read_colours: bool = True

    def __len__(self):
        return len(self.pairs)

    def describe(self, index):
        """Return how pair `index` is named in messages: its image's path."""
        return self.pairs[index][0]

    def read(self, index, strict=False):
        """Return pair `index`: pixels uint8 `[H, W, channels]` and labels uint8 `[H, W]` (255 = ignore).

        Raises:
            ValueError: if a file is unreadable (`strict` as `decode.read_pixels`), the sizes differ, or an id is no
                class; the file is named.
        """
        pixels = decode.read_pixels(self.pairs[index][0], self.channels, strict)
        labels = self.read_labels(index)
        if pixels.shape[:2] != labels.shape:
            raise ValueError(checks.sentence(
                "labels", f"must have the height and width of their image {self.pairs[index][0]!r}, "
                f"{pixels.shape[:2]}; {self.pairs[index][1]!r} differs", labels.shape,
                "Pair the right files, or resize the mask by nearest neighbour."))
        return pixels, labels

    def read_labels(self, index):
        """Return the labels of pair `index` alone, uint8 `[H, W]`."""
        palette = self.label_set.palette.tobytes() if self.read_colours else None
        return decode.read_labels(self.pairs[index][1], self.table, len(self.label_set), palette)


@dataclasses.dataclass(frozen=True, eq=False)
class ShapesSource:
    """The procedural shapes (`kseg.data.shapes`) behind the same interface; `image_size` is drawn, not resized."""

    split: str
    image_size: tuple = shapes.DEFAULT_SIZE
    channels: int = 3
    seed: int = 0
    name: str = "shapes"

    @property
    def label_set(self):
        """The `LabelSet` of the shapes."""
        return shapes.label_set()

    def __len__(self):
        return shapes.COUNTS[self.split]

    def describe(self, index):
        """Return how image `index` is named in messages."""
        return f"shapes/{self.split}/{index}"

    def read(self, index):
        """Return image `index`: pixels uint8 `[H, W, channels]`, labels uint8 `[H, W]`."""
        pixels, labels = shapes.generate(self.split, index, self.image_size, self.seed)
        if self.channels == 1:
            grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
            pixels = np.rint(grey).astype(np.uint8)[..., None]  # [H, W, 1]
        return pixels, labels

    def read_labels(self, index):
        """Return the labels of image `index` alone, uint8 `[H, W]`."""
        return self.read(index)[1]


def source(name, split="train", *, data_dir=None, image_size=None, classes=None, channels=None, label_map=None,
           image_pattern=None, label_pattern=None, lonely=None):
    """Return the source of a dataset by name: `len(source)`, `source.read(index)`, `source.label_set`.

    Args:
        name: one of `NAMES` ("records": what `write_records` wrote), or "tfds:NAME" for a segmentation set of
            TensorFlow Datasets.
        split: "train", "validation" (a folder `val` counts) or "test".
        data_dir: str or None, where the files are; the embedded "shapes" needs none.
        image_size: (height, width) or None; only "shapes" uses it, to draw at that size.
        classes: int, sequence of names, or `LabelSet`; only for "folder" and "tfds:". None: `classes.txt` in
            `data_dir` (a name, optionally `name r g b`, a line), else counted from the label files.
        channels: 1 (grey) or 3 (RGB), of the pixels; None for 3, of records for what was written.
        label_map: dict or None, stored value → class id or 255; only for "folder" and "tfds:".
        image_pattern, label_pattern: str or None, only for "folder": globs below `data_dir`, `{split}` is replaced;
            files whose wildcards match alike are a pair. Default "{split}/images/*" and "{split}/labels/*".
        lonely: list or None; takes (kind, path, message) of files that make no pair, which otherwise raise.
    Raises:
        ValueError: if a name or split is unknown, or no pair is found.
        FileNotFoundError: if `data_dir` is missing.
    """
    checks.one_of("split", split, SPLITS)
    if channels is not None or name != "records":
        channels = checks.one_of("channels", 3 if channels is None else channels, (1, 3))
    if isinstance(name, str) and name.startswith("tfds:"):
        from kseg.data import tfds_source
        return tfds_source.TfdsSource.open(name[5:], split, data_dir, channels, classes, label_map)
    checks.one_of("name", name, NAMES)
    _only_for_folder(name, classes=classes, label_map=label_map, image_pattern=image_pattern,
                     label_pattern=label_pattern)
    if name == "shapes":
        return ShapesSource(split, shapes.DEFAULT_SIZE if image_size is None else checks.image_size(image_size),
                            channels)
    if name == "records":
        from kseg.data import records
        return records.RecordsSource.open(data_dir, split, channels)
    checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
    if name != "folder":
        pairs = getattr(listing, f"{name}_pairs")(data_dir, split, lonely)
        label_set, table = getattr(label_sets, name)()
        return FileSource(name, split, pairs, label_set, table, channels)
    pairs = listing.folder_pairs(data_dir, split, image_pattern, label_pattern, lonely)
    label_set, colours = _folder_label_set(data_dir, classes, pairs, label_map)
    table = (label_ids.identity_table(len(label_set)) if label_map is None
             else label_ids.mapped_table(label_map, len(label_set)))
    return FileSource(name, split, pairs, label_set, table, channels, read_colours=colours)


def opened(name, split=None, channels=None, image_size=None, **options):
    """Return the source of a name, None being "train"; or a source itself, given instead of a name.

    Raises:
        ValueError: as `source`; and if an argument comes with a source, which it would not change.
    """
    if isinstance(name, str):
        return source(name, "train" if split is None else split, channels=channels, image_size=image_size, **options)
    own = {argument: getattr(name, argument) for argument in ("split", "channels") if hasattr(name, argument)}
    for argument, value in {"split": split, "channels": channels, **options}.items():
        if value is not None and value != own.get(argument):
            legal = f"None or {own[argument]!r}" if argument in own else "None"
            raise ValueError(checks.sentence(argument, f"must be {legal} where a source is given", value,
                                             "Pass it to kseg.data.source, which makes the source."))
    return name


def label_set(name, data_dir=None, **options):
    """Return the `LabelSet` of a dataset: class names, palette, ignore id.

    Args:
        name: as in `source`.
        data_dir: str or None; needed by "folder" and "records".
        options: further arguments of `source`, for "folder", and `split` for records without "train".
    """
    if name in ("camvid", "voc2012", "cityscapes", "ade20k") and not options:
        return getattr(label_sets, name)()[0]
    return source(name, data_dir=data_dir, **options).label_set


def _only_for_folder(name, **arguments):
    for argument, value in arguments.items():
        if value is not None and name != "folder":
            raise ValueError(checks.sentence(
                argument, f"must be None for {name!r}, whose files and classes are known", value,
                "Leave it out, or read the files as 'folder'."))


def _folder_label_set(data_dir, classes, pairs, label_map):
    """Return (`LabelSet`, whether RGB masks may be read by its palette)."""
    if isinstance(classes, LabelSet):
        return classes, True
    if isinstance(classes, (list, tuple)):
        return LabelSet(tuple(classes)), False
    if classes is not None:
        count = checks.positive_integer("classes", classes, "Pass the number of classes, their names or a LabelSet.")
        return LabelSet.generic(count), False
    path = os.path.join(data_dir, "classes.txt")
    if os.path.isfile(path):
        return listing.read_classes(path)
    if label_map is not None:
        return LabelSet.generic(max(int(value) for value in label_map.values() if int(value) != 255) + 1), False
    return LabelSet.generic(_highest_id(pairs) + 1), False


def _highest_id(pairs, most=256):
    """Return the highest stored id below 255 in up to `most` label files, spread over the list."""
    highest, seen = 0, {0}
    for index in np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int)):
        try:
            values = np.unique(decode.read_stored_values(pairs[index][1]))
        except (ValueError, OSError):
            continue  # whoever reads the pair says what is wrong with it
        seen.update(values.tolist())
        highest = max([highest, *values[values < 255].tolist()])
    if seen == {0, 255} or max(seen) > 255 or highest > 200:
        raise ValueError(checks.sentence(
            "labels", "must hold class ids (0, 1, …) and 255 for ignore", sorted(seen)[:8],
            label_ids.likely_cause(seen, 2 if seen <= {0, 255} else 20)))
    return highest


def reads_ids_as_stored(chosen):
    """Return whether a `FileSource` takes stored values for class ids, and 255 for ignore."""
    return np.array_equal(chosen.table, label_ids.identity_table(len(chosen.label_set)))


def probe(chosen, most=8):
    """Read up to `most` pairs spread over a source, so that a wrong dataset fails at once and by itself.

    Raises:
        ValueError: if a pair cannot be read, or a folder's masks hold nothing but 0 and 255.
    """
    if len(chosen) == 0:
        raise ValueError(checks.sentence("split", f"must hold at least one pair of {chosen.name!r}", chosen.split,
                                         "Check the list of this split."))
    if not isinstance(chosen, FileSource):
        return
    values = set()
    for index in np.unique(np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)):
        values.update(np.unique(chosen.read(index, strict=True)[1]).tolist())
    if chosen.name == "folder" and values == {0, 255} and reads_ids_as_stored(chosen):
        raise ValueError(checks.sentence(
            "labels", "must hold class ids, and 255 only for ignore; the files read so far hold nothing else than",
            sorted(values), label_ids.likely_cause(values, len(chosen.label_set))))
