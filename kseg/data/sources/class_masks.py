"""Labels of several classes per pixel: a mask file per class, or one array per image; and masks of 0 and 255."""

import dataclasses
import io
import logging
import os
import typing
import zipfile
from collections.abc import Sequence

import numpy as np

from kseg import checks, tasks
from kseg.data import decode, filesystems, label_ids
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.file_pairs import FileSource, spread
from kseg.data.sources.patterns import find_pairs
from kseg.labels import IGNORE_CLASS, LabelSet

_LOG = logging.getLogger("kseg")
_LOOKED_AT = 256  # mask files whose values are looked at to tell what 255 means
_ARRAYS = (".npy", ".npz")
_MULTILABEL = tasks.of("multilabel")


@dataclasses.dataclass(frozen=True, eq=False)
class ClassMasksSource(FileSource):
    """Pairs of an image and, for each class, whether a pixel has it: 0, 1 or 255, `[H, W, classes]`.

    Of a pair the second path is the first of its label files.
    """

    maps: Sequence[tuple[str, ...]] = ()  # of each pair: a mask file per class, or one array of all

    @classmethod
    def open(cls, name: str, split: str, data_dir: str, channels: int, classes: label_ids.Classes | None, *,
             label_map: dict[int, int] | None, exif: str | None, image_pattern: str | None, label_pattern: str | None,
             problems: list | None) -> typing.Self:
        """Return the source of the files below `data_dir`; arguments as `kseg.data.source`."""
        folders = label_pattern is None and _subfolders(data_dir, "{split}/labels/")
        pattern = label_pattern or ("{split}/labels/{class}/*" if folders else "{split}/labels/*")
        if "{class}" in pattern:
            names = _names(classes, data_dir, pattern)
            found = [find_pairs(data_dir, split, image_pattern, pattern.replace("{class}", one), problems)
                     for one in names]
            images = sorted(set.intersection(*({image for image, _ in pairs} for pairs in found)))
            masks = [dict(pairs) for pairs in found]
            maps = [tuple(of_class[image] for of_class in masks) for image in images]
        else:
            pairs = find_pairs(data_dir, split, image_pattern, pattern, problems)
            images, maps = [image for image, _ in pairs], [(path,) for _, path in pairs]
            names = _numbered(classes, maps)
        label_set = classes if isinstance(classes, LabelSet) else _MULTILABEL.label_set(names)
        files = [path for paths in maps for path in paths]
        label_map = label_ids.read_map(label_map) or foreground_map(files, f"{name} {split}")
        return cls(name, split, [(image, paths[0]) for image, paths in zip(images, maps)], label_set,
                   label_ids.mapped_table(label_map, 2), channels, exif=exif, task=_MULTILABEL.name, maps=maps)

    def identity(self) -> list:
        return [*super().identity(), [[filesystems.stamp(path) for path in paths] for paths in self.maps]]

    def read_labels(self, index: int) -> np.ndarray:
        """Return the labels of pair `index` alone, uint8 `[H, W, classes]`."""
        paths = self.maps[index]
        maps = [self._map(path) for path in paths]
        for path, one in zip(paths, maps):
            if one.shape != maps[0].shape:
                raise ValueError(checks.sentence(
                    "labels", f"must have one size for all classes of an image, {maps[0].shape[:2]} of {paths[0]!r}; "
                    f"{path!r} differs", one.shape[:2], "Write the masks again from their source."))
        labels = maps[0] if maps[0].ndim == 3 else np.stack(maps, axis=-1)
        if labels.shape[-1] != len(self.label_set):
            raise ValueError(checks.sentence(
                "labels", f"must be an array [H, W, {len(self.label_set)}], one map per class; {paths[0]!r} is not",
                labels.shape, "Write all arrays with the same classes, or correct `classes`."))
        return labels

    def _map(self, path):
        stored = stored_values(path)
        try:
            return label_ids.to_class_ids(stored, self.table, path, 2)
        except label_ids.IllegalIds as failure:
            raise foreground_failure(failure, self.table, path) from failure


def stored_values(path: str) -> np.ndarray:
    """Return what a label file stores: integers `[H, W]` of a mask, `[H, W, classes]` of an array."""
    if not path.lower().endswith(_ARRAYS):
        return decode.read_stored_values(path)
    try:
        array = np.load(io.BytesIO(filesystems.read_bytes(path)), allow_pickle=False)
        array = array if isinstance(array, np.ndarray) else array[array.files[0]]
    except (ValueError, EOFError, OSError, IndexError, zipfile.BadZipFile) as failure:
        raise ValueError(decode.unreadable("labels", path, failure)) from failure
    if array.ndim != 3 or array.dtype.kind not in "uib":
        raise ValueError(checks.sentence("labels", f"must be an array of integers [H, W, classes]; {path!r} is not",
                                         f"{array.dtype}{list(array.shape)}", "Save 0, 1 and 255 as uint8."))
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def foreground_map(paths: Sequence[str], where: str) -> dict[int, int] | None:
    """Return the label map that reads 255 as 1 if the mask files hold nothing but 0 and 255; else None.

    The log says so. Many files are looked at, not all: one that holds another value fails when it is read
    (`foreground_failure`).
    """
    values = set()
    for index in spread(len(paths), _LOOKED_AT) if paths else ():
        try:
            values.update(np.unique(stored_values(paths[index])).tolist())
        except (ValueError, OSError):
            continue  # whoever reads the pair says what is wrong with it
    if IGNORE_CLASS not in values or not values <= {0, IGNORE_CLASS}:
        return None
    _LOG.warning("%s: the masks hold nothing but 0 and 255, which are read as background and foreground", where)
    return {0: 0, IGNORE_CLASS: 1}


def foreground_failure(failure: label_ids.IllegalIds, table: np.ndarray, path: str) -> label_ids.IllegalIds:
    """Return `failure`, or where `table` reads 255 as foreground what it means for the file at `path`."""
    if table[IGNORE_CLASS] == IGNORE_CLASS:
        return failure
    found = np.unique(stored_values(path)).tolist()
    return label_ids.IllegalIds(checks.sentence(
        "labels", f"must hold nothing but 0 and 255 (foreground), as other files of the split do; {path!r} has other "
        "values", found[:8],
        "Correct the file; or pass label_map={0: 0, 1: 1} if 1 is foreground and 255 means ignore."))


def _subfolders(data_dir, prefix):
    """Return the sorted names of the folders at `prefix` in any split: classes keep their order in all of them."""
    places = {os.path.join(data_dir, prefix.replace("{split}", name)) for names in SPLIT_NAMES.values()
              for name in names}
    return sorted({entry.name for place in places if os.path.isdir(place) for entry in os.scandir(place)
                   if entry.is_dir() and not entry.name.startswith(".")})


def _names(classes, data_dir, pattern):
    """Return the names of the classes: given, or else the folders that `{class}` in the pattern stands for."""
    if classes is not None and not isinstance(classes, int):
        return label_ids.label_set_of(classes).names
    before, _, after = pattern.partition("{class}")
    names = _subfolders(data_dir, before) if before.endswith("/") and after.startswith("/") else []
    if not names or classes not in (None, len(names)):
        raise ValueError(checks.sentence(
            "classes", f"must be the names that stand for {{class}} in {pattern!r}; folders of {len(names)} were found",
            classes, 'Write for example classes=["crack", "stain"].'))
    return names


def _numbered(classes, maps):
    """Return the classes of arrays: given, or else as many as the first array has maps."""
    picture = next((path for path, in maps if not path.lower().endswith(_ARRAYS)), None)
    if picture is not None:
        raise ValueError(checks.sentence(
            "labels", "must be arrays [H, W, classes] (.npy, .npz), or masks in a folder for each class", picture,
            "Move the masks into labels/CLASS, or pass label_pattern with {class}."))
    if classes is not None:
        return label_ids.label_set_of(classes).names
    return tuple(f"class {index}" for index in range(stored_values(maps[0][0]).shape[-1] if maps else 1))
