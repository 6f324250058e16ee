"""Any folder of images and masks: "folder", with the classes the user gives, `classes.txt` lists, or the masks hold."""

import logging
import os
import typing
from collections.abc import Sequence

import numpy as np

from kseg import checks
from kseg.data import decode, label_ids
from kseg.data.sources.class_options import ClassOptions, class_options
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
             problems: list | None = None) -> typing.Self:
        """Return the source of the files below `data_dir`; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        division = Division.of_options(split_fractions, split_groups, split_seed, split_lists)
        said = class_options(classes, label_map, nearest_colour, os.path.join(data_dir, "classes.txt"))
        pairs = laid_out_pairs(data_dir, split, image_pattern, label_pattern, division, problems)
        if said is None:
            label_set = LabelSet.generic(_count_classes(pairs, f"{name} {split}", problems))
            said = ClassOptions(label_set, label_ids.mapped_table(label_ids.read_map(label_map), len(label_set)), None)
        return cls(name, split, pairs, said.label_set, said.table, channels, said.colours, exif)

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
