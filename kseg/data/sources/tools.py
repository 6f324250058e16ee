"""What the formats of annotation tools share: figures of several kinds, each with the name of its label."""

import abc
import collections
import dataclasses
import typing
from collections.abc import Callable, Iterator

import numpy as np

from kseg import checks
from kseg.data import drawing, filesystems
from kseg.data.sources.base import Findings
from kseg.data.sources.class_names import NamedClasses
from kseg.data.sources.drawn import DrawnSource


class Figure(typing.NamedTuple):
    """One thing that was drawn on an image."""

    kind: str  # as the tool calls it
    label: typing.Any
    record: dict  # its coordinates, as they stand in the file
    where: str  # how messages name it


@dataclasses.dataclass(frozen=True, eq=False)
class ToolSource(DrawnSource):
    """Images with figures; a format says in `figures` what stands in its file, and in `DRAWN` how a kind is drawn.

    Attributes:
        DRAWN: kind → function (record, class_id, height, width, where) that returns the `Region`.
        WITHOUT_AREA: kinds that no pixels belong to; they are left out, and `kseg.data.check` warns of them.
    """

    DRAWN: typing.ClassVar[dict[str, Callable[[dict, int, int, int, str], drawing.Region]]]
    WITHOUT_AREA: typing.ClassVar[tuple[str, ...]] = ()

    overlap: str = "listed"
    classes: NamedClasses | None = None

    @abc.abstractmethod
    def figures(self, index: int) -> tuple[typing.Any, list[Figure]]:
        """Return (stated (height, width) or None, figures from the lowest to the topmost) of image `index`.

        Raises:
            ValueError: if the annotation is broken.
        """

    def identity(self) -> list:
        """Return how figures cover each other, the class of each label, and path, size and time of every file."""
        files = [*(image for image, _ in self.pairs), *dict.fromkeys(file for _, file in self.pairs)]
        return [self.overlap, sorted(map(list, self.classes.ids.items())), [filesystems.stamp(path) for path in files]]

    def regions(self, index: int, height: int, width: int) -> Iterator[drawing.Region]:
        """Yield the figures of image `index`, the lowest first."""
        stated, figures = self.figures(index)
        if stated is not None:
            drawing.check_stated_size(stated, height, width, f"{self.pairs[index][1]!r} of {self.describe(index)!r}")
        for kind, label, record, where in figures:
            if kind in self.WITHOUT_AREA:
                continue
            checks.one_of("kind", kind, self.DRAWN, context=f" of a figure in {where}",
                          advice="Draw its outline instead, or remove it.")
            class_id = self.classes.id_of(label, where)
            if class_id is not None:
                yield self.DRAWN[kind](record, class_id, height, width, where)

    def check(self, index: int, findings: Findings) -> np.ndarray | None:
        """As `FileSource.check`; note figures without an area too."""
        labels = super().check(index, findings)
        if labels is not None:
            kinds = collections.Counter(figure.kind for figure in self.figures(index)[1])
            left_out = {kind: kinds[kind] for kind in self.WITHOUT_AREA if kind in kinds}
            if left_out:
                findings.warn("figures without area", self.describe(index), "left out are "
                              + ", ".join(f"{count} of kind {kind}" for kind, count in left_out.items()))
        return labels
