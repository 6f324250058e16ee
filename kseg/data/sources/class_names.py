"""From the names that annotation tools give labels to class ids.

Class 0 is the background, then come the labels in the order of the format. `background` and `_background_` are class 0
wherever they are drawn; `ignore`, `__ignore__` and `void` become 255, unless they are chosen as classes. Case does not
matter to these five.
"""

import dataclasses
import re
import typing
from collections.abc import Iterable, Mapping

import numpy as np

from kseg import checks
from kseg.labels import IGNORE_CLASS, LabelSet

BACKGROUND = ("background", "_background_")
IGNORED = ("ignore", "__ignore__", "void")


@dataclasses.dataclass(frozen=True)
class NamedClasses:
    """A label set, and the class of each label."""

    label_set: LabelSet
    ids: dict[str, int | None]  # None: known, but not drawn

    @classmethod
    def of(cls, labels: Iterable[str], colours: Mapping[str, tuple] | None = None) -> typing.Self:
        """Return the classes of labels in their order; with a colour (r, g, b) for each, these are the palette."""
        drawn = [label for label in dict.fromkeys(labels) if _special(label) is None]
        names = ("background", *drawn)
        if len(names) > IGNORE_CLASS:
            raise ValueError(checks.sentence(
                "classes", f"must choose at most {IGNORE_CLASS - 1} of the {len(drawn)} labels", None,
                "Pass classes=['background', …] with the names of those that are meant."))
        colours = {"background": (0, 0, 0), **(colours or {})}
        palette = np.array([colours[name] for name in names]) if set(names) <= set(colours) else None
        return cls(LabelSet(names, palette), {name: index for index, name in enumerate(drawn, 1)})

    @classmethod
    def chosen(cls, classes: typing.Any, listed: typing.Self | None = None) -> typing.Self:
        """Return the classes of an argument `classes`, names or a `LabelSet` with the background first.

        Args:
            listed: the classes of the labels that the format lists, of which those not chosen are not drawn; None
                where it lists none: then every label must be one of the chosen.
        Raises:
            TypeError: if `classes` is neither.
            ValueError: if the background is not first, or a name is no listed label.
        """
        if not isinstance(classes, (list, tuple, LabelSet)):
            raise TypeError(checks.sentence(
                "classes", "must be the names of the classes, or a LabelSet", classes,
                "Write for example classes=['background', 'car'], or leave it out for all labels."))
        label_set = classes if isinstance(classes, LabelSet) else LabelSet(tuple(classes))
        check_background_first(label_set)
        ids = {} if listed is None else dict.fromkeys(listed.ids)
        for index, name in enumerate(label_set.names[1:], 1):
            if listed is not None and _special(name) is None:
                checks.one_of("classes", name, listed.ids, context=", the labels of the dataset")
            ids[name] = index
        return cls(label_set, ids)

    def id_of(self, label: typing.Any, where: str) -> int | None:
        """Return the class id of a label, 255 for ignore, or None where it is not drawn.

        Raises:
            ValueError: if it is no known label; the nearest name is suggested.
        """
        if isinstance(label, str) and label in self.ids:
            return self.ids[label]
        special = _special(label)
        if special is not None:
            return special
        return checks.one_of("label", label, dict.fromkeys((*self.label_set.names, *self.ids)), context=f" in {where}")


def check_background_first(label_set: LabelSet) -> None:
    """Raise ValueError unless the first of chosen classes is the background: class 0 is what nobody has drawn."""
    if _special(label_set.names[0]) != 0:
        raise ValueError(checks.sentence(
            "classes", "must begin with the background, which is what nobody has drawn", list(label_set.names),
            f"Write classes={['background', *label_set.names][:4]}."))


def _special(label):
    """Return 0 or 255 for a label of such a meaning, None for any other."""
    plain = label.strip().casefold() if isinstance(label, str) else None
    return 0 if plain in BACKGROUND else IGNORE_CLASS if plain in IGNORED else None


def colour_of(text: typing.Any) -> tuple[int, int, int] | None:
    """Return (r, g, b) of a colour "#rrggbb", or None if it is none: a colour is worth no error."""
    match = re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text) if isinstance(text, str) else None
    return None if match is None else tuple(int(part, 16) for part in match.groups())
