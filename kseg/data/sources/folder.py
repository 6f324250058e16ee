"""Any folder of images and masks: "folder", with the classes the user gives, `classes.txt` lists, or the masks hold."""

import os
import re
import typing

import numpy as np

from kseg import checks
from kseg.data import decode, label_ids
from kseg.data.sources.file_pairs import FileSource, spread
from kseg.data.sources.patterns import find_pairs
from kseg.labels import LabelSet

_COUNTED = 256  # mask files whose ids are looked at where nobody says how many classes there are
_HIGHEST_LIKELY = 200  # a higher id is more likely a grey value


class FolderSource(FileSource):
    """Files that patterns pair, in classes that are given, listed or counted."""

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: label_ids.Classes | None = None, label_map: dict[int, int] | None = None,
             image_pattern: str | None = None, label_pattern: str | None = None,
             problems: list | None = None) -> typing.Self:
        """Return the source of the files below `data_dir`; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        pairs = find_pairs(data_dir, split, image_pattern, label_pattern, problems)
        listed, coloured = os.path.join(data_dir, "classes.txt"), False
        if classes is not None:
            label_set, coloured = label_ids.label_set_of(classes), isinstance(classes, LabelSet)
        elif os.path.isfile(listed):
            label_set, coloured = read_classes(listed)
        elif label_map is not None:
            label_set = label_ids.label_set_of_map(label_map)
        else:
            label_set = LabelSet.generic(_count_classes(pairs, f"{name} {split}", problems))
        table = label_ids.mapped_table(label_map, len(label_set))
        return cls(name, split, pairs, label_set, table, channels, read_colours=coloured)

    def probe(self) -> None:
        """Read a few pairs; masks of nothing but 0 and 255 raise too, unless a `label_map` says what 255 means."""
        values = self._ids_of_a_few()
        if values == {0, 255} and self.values_are_ids:
            raise ValueError(checks.sentence(
                "labels", "must hold class ids, and 255 only for ignore; the files read so far hold nothing else than",
                sorted(values), label_ids.likely_cause(values, len(self.label_set))))


def read_classes(path: str) -> tuple[LabelSet, bool]:
    """Return (`LabelSet`, whether colours were given) from a text file: one `name` or `name r g b` per line."""
    names, colours = [], []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.strip():
                match = re.fullmatch(r"(.*?)(?:[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\d+))?\s*", line.strip())
                names.append(match[1])
                colours.append(None if match[2] is None else tuple(int(value) for value in match.groups()[1:]))
    coloured = bool(colours) and None not in colours
    return LabelSet(tuple(names), np.array(colours) if coloured else None), coloured


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
