"""Any folder of images and masks: "folder", with the classes the user gives, `classes.txt` lists, or the masks hold."""

import dataclasses
import logging
import os
from collections.abc import Sequence

import numpy as np

from kseg import checks, tasks
from kseg.data import decode, label_ids
from kseg.data.sources.class_masks import ClassMasksSource, foreground_failure, foreground_map
from kseg.data.sources.class_options import ClassOptions, class_options, read_classes
from kseg.data.sources.division import Division
from kseg.data.sources.file_pairs import PROBED, FileSource, spread
from kseg.data.sources.layouts import laid_out_pairs
from kseg.labels import LabelSet

_LOG = logging.getLogger("kseg")
_COUNTED = 256  # mask files whose ids are looked at where nobody says how many classes there are
_HIGHEST_LIKELY = 200  # a higher id is more likely a grey value


class FolderSource(FileSource):
    """Files that patterns pair, in classes that are given, listed or counted."""

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: label_ids.Classes | None = None, label_map: dict[label_ids.Key, int] | None = None,
             nearest_colour: float | None = None, image_pattern: str | None = None, label_pattern: str | None = None,
             split_fractions: Sequence[float] | None = None, split_groups: str | None = None,
             split_seed: int | None = None, split_lists: str | dict[str, str] | None = None, exif: str | None = None,
             task: str = "multiclass", problems: list | None = None) -> "FolderSource | ClassMasksSource":
        """Return the source of the files below `data_dir`; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        kind, listed = tasks.of(task), os.path.join(data_dir, "classes.txt")
        if kind.stacked:
            _refuse_for_stacked(task, nearest_colour=nearest_colour, split_fractions=split_fractions,
                                split_groups=split_groups, split_seed=split_seed, split_lists=split_lists)
            if classes is None and os.path.isfile(listed):
                label_set, colours = read_classes(listed)
                classes = label_set if colours else label_set.names
            return ClassMasksSource.open(name, split, data_dir, channels, classes, label_map=label_map, exif=exif,
                                         image_pattern=image_pattern, label_pattern=label_pattern, problems=problems)
        if kind.background:
            classes = _with_background(kind, classes, listed)
        division = Division.of_options(split_fractions, split_groups, split_seed, split_lists)
        said = class_options(classes, label_map, nearest_colour, listed)
        pairs = laid_out_pairs(data_dir, split, image_pattern, label_pattern, division, problems)
        if said is None:
            label_set = LabelSet.generic(_count_classes(pairs, f"{name} {split}", problems))
            said = ClassOptions(label_set, label_ids.mapped_table(label_ids.read_map(label_map), len(label_set)), None)
        elif kind.background and label_map is None:
            found = foreground_map([path for _, path in pairs], f"{name} {split}")
            said = dataclasses.replace(said, table=label_ids.mapped_table(found, len(said.label_set)))
        return cls(name, split, pairs, said.label_set, said.table, channels, said.colours, exif, task=task)

    def read_labels(self, index: int) -> np.ndarray:
        try:
            return super().read_labels(index)
        except label_ids.IllegalIds as failure:
            if not tasks.of(self.task).background:
                raise
            raise foreground_failure(failure, self.table, self.pairs[index][1]) from failure

    def probe(self) -> None:
        """Read a few pairs; masks of nothing but 0 and 255 raise too, unless a `label_map` says what 255 means."""
        values = self._ids_of_a_few()
        if values == {0, 255} and self.values_are_ids:
            raise ValueError(checks.sentence(
                "labels", "must hold class ids, and 255 only for ignore; the files read so far hold nothing else than",
                sorted(values), label_ids.likely_cause(values, len(self.label_set))))
        self._tell_of_colours()

    def _tell_of_colours(self):
        """Log how many pixels in a few masks are not exactly of a named colour."""
        some = spread(len(self), PROBED)
        near, strange, pixels = (sum(counts) for counts in zip(*(self._inexact(self.pairs[one][1]) for one in some)))
        if near or strange:
            _LOG.warning("%s %s: in %d label files looked at, %.2f%% of the pixels take the class of the nearest named "
                         "colour, and %.2f%% are of none and become %s; kseg.data.check counts those of each file",
                         self.name, self.split, len(some), 100 * near / pixels, 100 * strange / pixels,
                         self.colours.id_of_others)


def _with_background(kind, classes, listed):
    """Return an argument `classes` of a task with a background, whose name may be left out, or both."""
    if classes is None and os.path.isfile(listed):
        label_set, colours = read_classes(listed)
        return None if colours or len(label_set) > 1 else list(kind.label_set(label_set.names).names)
    if isinstance(classes, str) or (isinstance(classes, LabelSet) and len(classes) > 1):
        return classes
    classes = 1 if classes is None else classes
    return list(kind.label_set(classes if isinstance(classes, int) else label_ids.label_set_of(classes).names).names)


def _refuse_for_stacked(task, **options):
    for name, value in options.items():
        if value is not None:
            raise ValueError(checks.sentence(name, f"must be None for task={task!r}", value,
                                             "Masks of each class are 0 and 1, or 0 and 255, in folders of splits."))


def _count_classes(pairs, where, problems):
    """Return the number of classes by the stored ids of a few label files.

    Where they are not likely to be ids, that is an error, or the first of `problems`; the classes are then two.
    """
    values = {0}
    for index in spread(len(pairs), _COUNTED):
        try:
            values.update(np.unique(decode.read_stored_values(pairs[index][1])).tolist())
        except (ValueError, OSError):
            continue  # whoever reads the pair says what is wrong with it
    highest = max(value for value in values if value < 255)
    if values != {0, 255} and max(values) <= 255 and highest <= _HIGHEST_LIKELY:
        return highest + 1
    message = checks.sentence("labels", "must hold class ids (0, 1, …) and 255 for ignore", sorted(values)[:8],
                              label_ids.likely_cause(values, 2 if values <= {0, 255} else 20))
    if problems is None:
        raise ValueError(message)
    problems.insert(0, ("0/255 masks" if values == {0, 255} else "illegal ids", where, f"{where}: {message}"))
    return 2
