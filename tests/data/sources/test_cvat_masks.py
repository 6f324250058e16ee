"""CVAT's segmentation masks, against label maps that are known pixel by pixel."""

import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from tests.data.sources import tool_files

COLOURS = {"background": (0, 0, 0), "car": (255, 0, 0), "void": (7, 8, 9), "person": (0, 255, 0)}
WANTED = tool_files.expected((1, 2, 3, 12, 10), (2, 5, 5, 20, 15), (255, 0, 18, 30, 20))
LINES = np.where(WANTED == 255, 2, np.where(WANTED == 2, 3, WANTED)).astype(np.uint8)  # numbers of lines


def export(root, mask, lists=("default",), labelmap=None):
    tool_files.save_text(root, "labelmap.txt", labelmap or "# label:color_rgb:parts:actions\n" + "".join(
        f"{name}:{','.join(map(str, colour))}::\n" for name, colour in COLOURS.items()))
    for name in lists:
        tool_files.save_text(root, f"ImageSets/Segmentation/{name}.txt", f"{name}/a\n\n")
        tool_files.save_image(root, f"JPEGImages/{name}/a.png")
        path = os.path.join(root, "SegmentationClass", name, "a.png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mask.save(path)
    return path


def masks():
    """The same labels in every way in which they may be stored."""
    palette = np.array(list(COLOURS.values()), np.uint8)
    indexed = Image.fromarray(3 - LINES, "P")  # by a palette of its own
    indexed.putpalette(palette[::-1].tobytes())
    return {"RGB": Image.fromarray(palette[LINES]), "RGBA": Image.fromarray(palette[LINES]).convert("RGBA"),
            "indexed": indexed, "grey": Image.fromarray(LINES)}


@pytest.mark.parametrize("kind", masks())
def test_masks_are_read_by_their_colours(tmp_path, kind):
    export(tmp_path, masks()[kind])
    source = sources.source("cvat_masks", data_dir=str(tmp_path))
    assert source.label_set.names == ("background", "car", "person")
    np.testing.assert_array_equal(source.label_set.palette, [(0, 0, 0), (255, 0, 0), (0, 255, 0)])
    pixels, labels = source.read(0)
    assert pixels.shape == (20, 30, 3)
    np.testing.assert_array_equal(labels, WANTED)
    assert kseg.data.check("cvat_masks", data_dir=str(tmp_path)).ok
    chosen = sources.source("cvat_masks", data_dir=str(tmp_path), classes=["background", "person"])
    np.testing.assert_array_equal(chosen.read(0)[1], np.where(WANTED == 255, 255, WANTED == 2))


def test_the_border_of_voc_is_ignored(tmp_path):
    colours = np.array([(0, 0, 0), (255, 0, 0), (224, 224, 192)], np.uint8)
    export(tmp_path, Image.fromarray(colours[np.arange(600).reshape(20, 30) % 3]))
    found = sources.source("cvat_masks", data_dir=str(tmp_path)).read(0)[1]
    np.testing.assert_array_equal(found, np.array([0, 1, 255])[np.arange(600).reshape(20, 30) % 3])


def test_lists_are_the_splits(tmp_path):
    export(tmp_path, masks()["RGB"], ("Train", "Validation", "default"))
    for split, name in (("train", "Train"), ("validation", "Validation")):
        source = sources.source("cvat_masks", split, data_dir=str(tmp_path))
        assert [source.describe(index) for index in range(len(source))] == [
            os.path.join(tmp_path, "JPEGImages", name, "a.png")]
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("cvat_masks", "test", data_dir=str(tmp_path))
    assert str(failure.value) == (f"`data_dir` must hold split 'test' of 'cvat_masks', got data_dir='{tmp_path}'. "
                                  "Expected ImageSets/Segmentation/test.txt below it.")


def test_other_colours_and_files_are_named(tmp_path):
    path = export(tmp_path, Image.fromarray(np.full((20, 30, 3), (250, 1, 2), np.uint8)))
    for mask, rule in (
            (None, f"`labels` must be the colours of labelmap.txt; {path!r} has others, got labels=[(250, 1, 2)]. "),
            (Image.fromarray(LINES + 3), f"`labels` must be numbers of the lines of labelmap.txt; {path!r} has others, "
                                         "got labels=[4, 5, 6]. "),
            (Image.fromarray(LINES[:, :7]), "`labels` must have the height and width of their image ")):
        if mask is not None:
            mask.save(path)
        with pytest.raises(ValueError) as failure:
            sources.source("cvat_masks", data_dir=str(tmp_path)).read(0)
        assert str(failure.value).startswith(rule)
        assert str(failure.value) in {row["message"] for row in kseg.data.check("cvat_masks",
                                                                              data_dir=str(tmp_path)).errors}
    Image.fromarray(LINES).save(path, "JPEG")
    with pytest.raises(ValueError) as failure:
        sources.source("cvat_masks", data_dir=str(tmp_path)).read(0)
    assert str(failure.value) == (f"`labels` must be the path of a PNG file, got labels={path!r}. Export the masks "
                                  "again.")
    os.remove(path)
    with pytest.raises(ValueError, match="must be the path of a PNG file"):
        sources.source("cvat_masks", data_dir=str(tmp_path)).read(0)


@pytest.mark.parametrize("line", ["car", "car:1,2::", "car:1,2,256::", "car:1,2,x::", "car:255,0,0::\nvan:255,0,0::",
                                  "car:1,2,3::\ncar:4,5,6::"])
def test_a_broken_labelmap_is_named(tmp_path, line):
    export(tmp_path, masks()["RGB"], labelmap=f"background:0,0,0::\n{line}\n")
    with pytest.raises(ValueError) as failure:
        sources.source("cvat_masks", data_dir=str(tmp_path))
    path, last = os.path.join(tmp_path, "labelmap.txt"), line.splitlines()[-1]
    assert str(failure.value) == (
        f"`labelmap` must have lines 'label:r,g,b::', each label and each colour once, in {path!r}, got labelmap="
        f"{last!r}. Correct the line or export the masks again.")


def test_missing_images_lists_and_labelmaps_are_named(tmp_path):
    export(tmp_path, masks()["RGB"])
    tool_files.save_text(tmp_path, "ImageSets/Segmentation/default.txt", "default/a\n../../etc/passwd\n")
    with pytest.raises(ValueError) as failure:
        sources.source("cvat_masks", data_dir=str(tmp_path))
    assert str(failure.value) == (
        f"`data_dir` must hold every image of its list in '{tmp_path}/JPEGImages'; '../../etc/passwd' is not there, "
        f"got data_dir='{tmp_path}'. Export the masks with their images, or copy these into that folder.")
    report = kseg.data.check("cvat_masks", data_dir=str(tmp_path))
    assert [row["kind"] for row in report.errors] == ["missing partner"] and report.pairs == 1
    os.remove(tmp_path / "labelmap.txt")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("cvat_masks", data_dir=str(tmp_path))
    assert str(failure.value) == (
        f"`data_dir` must hold labelmap.txt, the colours of the labels, got data_dir='{tmp_path}/labelmap.txt'. Export "
        "the masks as 'Segmentation mask 1.1'.")
