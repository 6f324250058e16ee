"""The XML of "CVAT for images 1.1", read by expat in one pass; anyone may have written it.

CVAT writes no document type. A file with one is refused as soon as it begins, and with it all entities: those that
grow without end, and those that name other files. So no further package is needed for it.
"""

import dataclasses
import typing
import xml.parsers.expat

from kseg import checks
from kseg.data import filesystems

_AGAIN = "Export the annotations as 'CVAT for images 1.1'."
_DEEPEST = 64  # elements within each other; CVAT nests 7


@dataclasses.dataclass
class Image:
    """An `<image>`: its attributes, and (element, attributes) of its figures in the order of the file."""

    attributes: dict[str, str]
    figures: list[tuple[str, dict[str, str]]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Document:
    """What a file says: the labels, dicts of "name", "color", "parent" and other texts, and the images."""

    labels: list[dict[str, str]] = dataclasses.field(default_factory=list)
    images: list[Image] = dataclasses.field(default_factory=list)


def read(path: str) -> Document:
    """Return the content of an annotation file.

    Raises:
        ValueError: if it is no XML, has a document type, or is not CVAT's for images.
    """
    reading = _Reading(path)
    try:
        reading.parser.Parse(filesystems.read_bytes(path), True)
    except (xml.parsers.expat.ExpatError, OSError) as failure:
        raise ValueError(checks.sentence("annotations", "must be a whole XML file", path,
                                         f"The parser says: {failure}. {_AGAIN}")) from failure
    return reading.document


class _Reading:
    """The handlers of expat, which fill a `Document`."""

    def __init__(self, path):
        self.path, self.document = path, Document()
        self._open: list[str] = []  # the elements around the place
        self._text = ""
        self.parser = xml.parsers.expat.ParserCreate("utf-8")  # as CVAT writes it, whatever encoding is declared
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _doctype(self, name, *_):
        raise ValueError(checks.sentence(
            "annotations", "must have no document type, in which an XML file may define entities", self.path,
            f"CVAT writes none: do not trust this file. It begins <!DOCTYPE {name[:40]}>."))

    def _start(self, name, attributes):
        self._open.append(name)
        if self._open[0] != "annotations" or len(self._open) > _DEEPEST or name == "track":
            raise ValueError(checks.sentence(
                "annotations", "must be CVAT's XML for images; this has tracks of a video" if name == "track" else
                "must be CVAT's XML, in <annotations>", self.path, _AGAIN))
        if name == "label" and self._open[-2:-1] == ["labels"]:
            self.document.labels.append({})
        elif self._open == ["annotations", "image"]:
            self.document.images.append(Image(attributes))
        elif self._open[:-1] == ["annotations", "image"]:
            self.document.images[-1].figures.append((name, attributes))
        self._text = ""

    def _characters(self, text):
        if self._in_label():
            self._text += text

    def _end(self, name):
        if self._in_label():
            self.document.labels[-1][name] = self._text.strip()
        self._open.pop()

    def _in_label(self):
        return self._open[-3:-1] == ["labels", "label"]


def value(attributes: dict[str, str], key: str, where: str) -> typing.Any:
    """Return an attribute, which must be there."""
    if key not in attributes:
        raise ValueError(checks.sentence(key, f"must be an attribute in {where}", None, _AGAIN))
    return attributes[key]
