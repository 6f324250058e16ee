"""Label sets: what the class ids of a dataset mean and how they are drawn. NumPy only."""

import dataclasses
import html
from typing import Any

import numpy as np
import numpy.typing as npt

from kseg import checks

IGNORE_CLASS = 255  # the one id that no loss and no metric counts; readers map their void to it


def voc_palette(count: int) -> npt.NDArray[np.uint8]:
    """Return the PASCAL VOC colour map, uint8 `[count, 3]`: the bits of the id, spread over red, green and blue."""
    ids = np.arange(count, dtype=np.int64)
    palette = np.zeros((count, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((ids >> (3 * bit + channel)) & 1) << (7 - bit)
    return palette.astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """Class names, palette and ignore id of a dataset.

    Args:
        names: sequence of str, one per class; the position is the class id.
        palette: uint8 `[classes, 3]` RGB or None (the PASCAL VOC colours; id 0 is black).
        ignore_class: int from 0 to 255, the id that is not a class. Default 255.
        ignore_color: three ints, how ignored pixels are drawn. Default white-grey (224, 224, 224).
    """

    names: tuple[str, ...]
    palette: np.ndarray | None = None
    ignore_class: int = IGNORE_CLASS
    ignore_color: tuple[int, int, int] = (224, 224, 224)

    def __post_init__(self):
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        if not 1 <= len(self.names) <= 255:
            raise ValueError(checks.sentence(
                "names", "must hold between 1 and 255 class names", list(self.names),
                "Ids are stored in 8 bits and 255 means ignore."))
        if not 0 <= self.ignore_class <= 255:
            raise ValueError(checks.sentence("ignore_class", "must be between 0 and 255", self.ignore_class,
                                             "Labels are stored in 8 bits: map the id, for example to 255."))
        palette = voc_palette(len(self.names)) if self.palette is None else np.asarray(self.palette)
        if palette.shape != (len(self.names), 3):
            raise ValueError(checks.sentence(
                "palette", f"must have shape ({len(self.names)}, 3), one RGB colour per class", palette.shape,
                "Give one colour for each name."))
        object.__setattr__(self, "palette", palette.astype(np.uint8))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelSet) and self.to_dict() == other.to_dict()

    __hash__ = None

    @classmethod
    def generic(cls, classes: int) -> "LabelSet":
        """Return a set of `classes` numbered classes with VOC colours, for models whose dataset is not known."""
        return cls(tuple(f"class {index}" for index in range(classes)))

    def to_dict(self) -> dict[str, Any]:
        """Return the set as JSON-ready values."""
        return {"names": list(self.names), "palette": self.palette.tolist(),
                "ignore_class": self.ignore_class, "ignore_color": list(self.ignore_color)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "LabelSet":
        """Return the set that `to_dict` described."""
        return cls(tuple(values["names"]), np.asarray(values["palette"], np.uint8), values["ignore_class"],
                   tuple(values["ignore_color"]))

    def _repr_html_(self) -> str:
        """Return the classes as notebooks show them: colour, id, name, and the ignored id last."""
        rows = [*enumerate(zip(self.palette.tolist(), self.names)), (self.ignore_class, (self.ignore_color, "ignored"))]
        return ('<div style="display:flex;flex-wrap:wrap;gap:.2em 1.2em;line-height:1.6">' + "".join(
            f'<span style="white-space:nowrap"><span style="display:inline-block;width:.9em;height:.9em;margin-right:'
            f'.4em;border:1px solid #8888;border-radius:3px;vertical-align:-.1em;background:rgb'
            f'({",".join(str(int(value)) for value in colour)})"></span><span style="opacity:.65">{number}</span> '
            f"{html.escape(name)}</span>" for number, (colour, name) in rows) + "</div>")

    def lookup_table(self) -> npt.NDArray[np.uint8]:
        """Return the colours of all 256 ids, uint8 `[256, 3]`; ids that are no class get the ignore colour."""
        table = np.tile(np.asarray(self.ignore_color, np.uint8), (256, 1))
        table[:len(self)] = self.palette
        return table

    def colorize(self, label_map: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return `label_map` (integers `[..., H, W]`) painted with the palette, uint8 `[..., H, W, 3]` RGB.

        Raises:
            TypeError: if `label_map` is not of an integer dtype.
            ValueError: if an id is outside 0..255.
        """
        label_map = np.asarray(label_map)
        if not np.issubdtype(label_map.dtype, np.integer):
            raise TypeError(checks.sentence(
                "label_map", "must hold integer class ids", label_map.dtype,
                "Pass class ids, not logits or probabilities: take the argmax over the last axis first."))
        if label_map.size and (label_map.min() < 0 or label_map.max() > 255):
            raise ValueError(checks.sentence(
                "label_map", "must hold ids between 0 and 255", (int(label_map.min()), int(label_map.max())),
                "Map the ids first."))
        return self.lookup_table()[label_map]
