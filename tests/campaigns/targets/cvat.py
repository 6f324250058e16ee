"""CVAT's XML for images: polygons, boxes, ellipses and masks."""

import xml.etree.ElementTree

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import tool_files
from tests.data.sources.test_hostile_tools import FIGURES


def told(file, content):
    """Return of each image its attributes, its figures and the labels."""
    del file
    document = xml.etree.ElementTree.fromstring(content)
    labels = [(element.tag, (element.text or "").strip()) for element in document.iter() if element.tag != "image"]
    images = [(image.get("name"), [(element.tag, element.attrib) for element in image.iter()])
              for image in document.findall("image")]
    names = [name for name, _ in images]
    return {name: [labels, figures] for name, figures in images if names.count(name) == 1}


_set = FileSet("cvat", told)
read, check = _set.read, _set.check


def seeds(folder):
    tool_files.write_cvat(folder)
    tool_files.save_text(folder, "annotations.xml", tool_files.cvat_xml(
        [tool_files.cvat_image(index, FIGURES, subset="Train") for index in range(3)]))
    return _set.seeds(folder, "annotations.xml")
