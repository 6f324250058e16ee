"""CVAT's XML for images, against label maps that are known pixel by pixel."""

import math
import os

import numpy as np
import pytest

import kseg
from kseg.data import sources
from tests.data.sources import tool_files

expected = tool_files.expected
LABELS = (("car", "#ff0000"), ("person", "#00ff00"), ("void", "#0000ff"), ("background", "#000000"))


def export(root, *figures, labels=LABELS, **image):
    """Write one image with figures, texts; return the path of the annotations."""
    tool_files.save_image(root, "images/0.png")
    return tool_files.save_text(root, "annotations.xml", tool_files.cvat_xml(
        [tool_files.cvat_image(0, figures, **image)], labels))


def box(label, left, top, right, bottom, more=""):
    return f'<box label="{label}" occluded="0" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" {more}></box>'


def labels(root, **options):
    return sources.source("cvat", data_dir=str(root), **options).read(0)[1]


def test_figures_of_every_kind(tmp_path):
    export(tmp_path, '<polygon label="person" points="2.00,3.00;12.00,3.00;12.00,10.00;2.00,10.00" z_order="0">'
                     '<attribute name="pose">standing</attribute></polygon>',
           box("car", 5, 5, 20, 15), '<mask label="person" rle="0, 2, 3, 1" left="22" top="4" width="3" height="2"/>',
           '<ellipse label="car" cx="22.00" cy="14.00" rx="6.00" ry="3.00" rotation="30.00"/>',
           box("void", 0, 18, 30, 20), box("background", 0, 19, 3, 30))
    wanted = expected((2, 2, 3, 12, 10), (1, 5, 5, 20, 15), (2, 22, 4, 24, 5), (2, 24, 5, 25, 6))
    wanted[4:6, 22:25] = [[2, 2, 0], [0, 0, 2]]
    angle = math.radians(30)
    for row in range(20):
        for column in range(30):
            x, y = column + 0.5 - 22, row + 0.5 - 14
            along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
            if (along / 6) ** 2 + (across / 3) ** 2 <= 1:
                wanted[row, column] = 1
    wanted[18:], wanted[19:, :3] = 255, 0
    np.testing.assert_array_equal(labels(tmp_path), wanted)


def test_a_box_turns_about_its_centre(tmp_path):
    export(tmp_path, box("car", 5, 5, 15, 9, 'rotation="90.00"'))
    np.testing.assert_array_equal(labels(tmp_path), expected((1, 8, 2, 12, 12)))


def test_the_order_of_depth_decides_who_covers_whom(tmp_path):
    export(tmp_path, box("car", 2, 2, 10, 10, 'z_order="1"'), box("person", 5, 5, 15, 15, 'z_order="0"'),
           box("person", 8, 8, 9, 20, 'z_order="1"'), box("car", 14, 14, 20, 20, 'z_order="-2"'))
    wanted = expected((1, 14, 14, 20, 20), (2, 5, 5, 15, 15), (1, 2, 2, 10, 10), (2, 8, 8, 9, 20))
    np.testing.assert_array_equal(labels(tmp_path), wanted)
    smaller = expected((2, 5, 5, 15, 15), (1, 2, 2, 10, 10), (1, 14, 14, 20, 20), (2, 8, 8, 9, 20))
    np.testing.assert_array_equal(labels(tmp_path, overlap="smaller_on_top"), smaller)


def test_labels_are_in_the_order_and_colours_of_the_file_and_may_be_chosen(tmp_path):
    export(tmp_path, box("car", 2, 2, 10, 10), box("person", 5, 5, 15, 15))
    label_set = kseg.data.label_set("cvat", data_dir=str(tmp_path))
    assert label_set.names == ("background", "car", "person")
    np.testing.assert_array_equal(label_set.palette, [(0, 0, 0), (255, 0, 0), (0, 255, 0)])
    chosen = {"classes": ["background", "person"]}
    assert kseg.data.label_set("cvat", data_dir=str(tmp_path), **chosen).names == ("background", "person")
    np.testing.assert_array_equal(labels(tmp_path, **chosen), expected((1, 5, 5, 15, 15)))
    with pytest.raises(ValueError) as failure:
        labels(tmp_path, classes=["background", "persons"])
    assert str(failure.value) == ("`classes` must be one of ('car', 'person'), the labels of the dataset, got "
                                  "classes='persons'. Did you mean 'person'?")


def test_parts_of_skeletons_are_no_labels_and_figures_without_area_are_left_out(tmp_path):
    xml = tool_files.cvat_xml([tool_files.cvat_image(0, [
        box("car", 2, 2, 10, 10), '<polyline label="car" points="1,1;5,5"/>', '<points label="car" points="1,1"/>',
        '<skeleton label="body"><points label="nose" points="3,3"/></skeleton>', '<tag label="car"/>'])])
    xml = xml.replace("</labels>", "<label><name>body</name><color>#010203</color><type>skeleton</type></label><label>"
                      "<name>nose</name><color>#010203</color><type>points</type><parent>body</parent></label></labels>")
    tool_files.save_image(tmp_path, "images/0.png")
    tool_files.save_text(tmp_path, "annotations.xml", xml)
    np.testing.assert_array_equal(labels(tmp_path), expected((1, 2, 2, 10, 10)))
    report = kseg.data.check("cvat", data_dir=str(tmp_path))
    assert report.ok and report.class_names == ["background", "car", "person", "body"]
    assert [row["message"].partition(": ")[2] for row in report.warnings if row["kind"] == "figures without area"] == [
        "left out are 1 of kind polyline, 1 of kind points, 1 of kind skeleton, 1 of kind tag"]


def test_the_subset_of_an_image_is_its_split(tmp_path):
    images = [(None, "a.png", "a.png"), ("Train", "deep/b.png", "Train/deep/b.png"),
              ("Validation", "b.png", "Validation/b.png"), ("default", "c.png", "default/c.png")]
    rows = []
    for number, (subset, name, path) in enumerate(images):
        tool_files.save_image(tmp_path, f"images/{path}")
        rows.append(tool_files.cvat_image(number, [box("car", number, 0, 20, 20)], name, subset))
    tool_files.save_text(tmp_path, "annotations.xml", tool_files.cvat_xml(rows))
    for split, numbers in (("train", (0, 1, 3)), ("validation", (2,))):
        source = sources.source("cvat", split, data_dir=str(tmp_path))
        assert [os.path.relpath(source.describe(index), tmp_path) for index in range(len(source))] == [
            f"images/{images[number][2]}" for number in numbers]
        for index, number in enumerate(numbers):
            np.testing.assert_array_equal(source.read(index)[1], expected((1, number, 0, 20, 20)))
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("cvat", "test", data_dir=str(tmp_path))
    path = os.path.join(tmp_path, "annotations.xml")
    assert str(failure.value) == (f"`split` must be a subset of the images in {path!r}, got split='test'. There are "
                                  "['Train', 'Validation', 'default']; images without one are 'train'.")
    rows.append(tool_files.cvat_image(9, [], "d.png", "holdout"))
    tool_files.save_text(tmp_path, "annotations.xml", tool_files.cvat_xml(rows))
    with pytest.raises(ValueError) as failure:
        sources.source("cvat", data_dir=str(tmp_path))
    assert str(failure.value) == (f"`subset` must be Train, Validation or Test where an image has one of these, in "
                                  f"{path!r}, got subset='holdout'. Rename the subset in CVAT, or divide the file.")


def test_a_split_may_have_a_file_of_its_own(tmp_path):
    for split, label in (("train", "car"), ("val", "person")):
        export(tmp_path / split, box(label, 2, 2, 10, 10))
    for split, class_id in (("train", 1), ("validation", 2)):
        source = sources.source("cvat", split, data_dir=str(tmp_path))
        assert len(source) == 1
        np.testing.assert_array_equal(source.read(0)[1], expected((class_id, 2, 2, 10, 10)))
    given = sources.source("cvat", "validation", data_dir=str(tmp_path), annotations="{split}/annotations.xml")
    assert given.read(0)[1].max() == 2
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("cvat", "test", data_dir=str(tmp_path))
    assert str(failure.value).startswith(f"`data_dir` must hold split 'test' of 'cvat', got data_dir='{tmp_path}'. "
                                         "Expected one of ['test/annotations.xml', ")


@pytest.mark.parametrize("figure, rule", [
    (box("cra", 1, 1, 9, 9), "`label` must be one of ('background', 'car', 'person') in {where} (box), got "
                             "label='cra'. Did you mean 'car'?"),
    ('<box label="car" ytl="1" xbr="9" ybr="9"/>', "`xtl` must be an attribute in {where} (box), got xtl=None. "),
    (box("car", "one", 1, 9, 9), "`xtl` must be a number between -1e9 and 1e9 in {where} (box), got xtl='one'. "),
    (box("car", "nan", 1, 9, 9), "`xtl` must be a number between -1e9 and 1e9 in {where} (box), got xtl='nan'. "),
    (box("car", 1, 1, "inf", 9), "`xbr` must be a number between -1e9 and 1e9 in {where} (box), got xbr='inf'. "),
    (box("car", 1, 1, 9, 9, 'z_order="top"'), "`z_order` must be a number between -1e9 and 1e9 in {where} (box), "),
    (box("car", 100, 1, 109, 9), "`polygon` must have a part of the picture, which is 20 pixels high and 30 wide, in "),
    ('<polygon label="car" points="1,1;2,2"/>', "`polygon` must have at least three corners, in {where} (polygon), "),
    ('<polygon label="car" points="1,1;2;3,3"/>', "`polygon` must have numbers alone, x and y of each corner, in "),
    ('<polygon label="car" points=""/>', "`polygon` must have "),
    ('<polygon label="car"/>', "`points` must be an attribute in {where} (polygon), got points=None. "),
    ('<ellipse label="car" cx="1" cy="1" rx="-3" ry="4"/>', "`radii` must be above 0 in {where} (ellipse), got "),
    ('<mask label="car" rle="1" left="0" top="0" width="60000" height="60000"/>',
     "`mask` must be no larger than the picture, (20, 30), in {where} (mask), got mask=(60000, 60000). "),
    ('<mask label="car" rle="1,99999999999" left="0" top="0" width="4" height="3"/>',
     "`counts` must be run lengths that add up to 4 × 3 = 12 pixels, in {where} (mask), got "),
    ('<mask label="car" rle="12" left="40" top="0" width="4" height="3"/>', "`mask` must have a part of the picture, "),
    ('<blob label="car"/>', "`kind` must be one of ('polygon', 'box', 'ellipse', 'mask') of a figure in {where} "
                            "(blob), got kind='blob'. Draw its outline instead, or remove it."),
])
def test_a_broken_figure_is_named_and_found(tmp_path, figure, rule):
    path = export(tmp_path, figure)
    with pytest.raises(ValueError) as failure:
        labels(tmp_path)
    assert str(failure.value).startswith(rule.replace("{where}", f"{path!r}, image '0.png', figure number 0"))
    report = kseg.data.check("cvat", data_dir=str(tmp_path))
    assert [row["message"] for row in report.errors] == [str(failure.value)]


def test_a_size_that_is_not_the_images_raises(tmp_path):
    path = export(tmp_path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for size, rule in (("90000", "`size` must be that of the image, (height, width) = (20, 30), in "),
                       ("x", "`width` must be a number between -1e9 and 1e9 in ")):
        tool_files.save_text(tmp_path, "annotations.xml", text.replace('width="30"', f'width="{size}"'))
        with pytest.raises(ValueError) as failure:
            labels(tmp_path)
        assert str(failure.value).startswith(rule)


BOMB = ('<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        "<annotations><version>&b;</version></annotations>")
FILES = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><annotations>&f;</annotations>'
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><annotations></annotations>'


@pytest.mark.parametrize("text, rule", [
    (BOMB, "must have no document type, in which an XML file may define entities, got annotations={path!r}. CVAT "
           "writes none: do not trust this file. It begins <!DOCTYPE lolz>."),
    (FILES, "must have no document type, in which an XML file may define entities, got annotations={path!r}. "),
    (OUTSIDE, "must have no document type, in which an XML file may define entities, got annotations={path!r}. "),
    ("<annotations>&lol;</annotations>", "must be a whole XML file, got annotations={path!r}. The parser says: "),
    ('<?xml version="1.0" encoding="none"?><a/>', "must be CVAT's XML, in <annotations>, got annotations={path!r}. "),
    ('<?xml version="1.0" encoding="gbk"?><a/>', "must be CVAT's XML, in <annotations>, got annotations={path!r}. "),
    ("<annotations><image>", "must be a whole XML file, got annotations={path!r}. The parser says: "),
    ("", "must be a whole XML file, got annotations={path!r}. The parser says: "),
    ("\0\1\2", "must be a whole XML file, got annotations={path!r}. The parser says: "),
    ("<dataset></dataset>", "must be CVAT's XML, in <annotations>, got annotations={path!r}. "),
    ("<annotations>" + "<a>" * 100000, "must be CVAT's XML, in <annotations>, got annotations={path!r}. "),
    ("<annotations><track id='0'></track></annotations>", "must be CVAT's XML for images; this has tracks of a video"),
    ("<annotations></annotations>", "must list its labels in <meta>, got annotations={path!r}. "),
    ("<annotations><meta><labels><label></label></labels></meta></annotations>", "must list its labels in <meta>, "),
])
def test_a_file_that_is_no_export_or_a_trap_is_refused(tmp_path, text, rule):
    path = tool_files.save_text(tmp_path, "annotations.xml", text)
    with pytest.raises(ValueError) as failure:
        sources.source("cvat", data_dir=str(tmp_path))
    assert str(failure.value).startswith("`annotations` " + rule.replace("{path!r}", repr(path)))


def test_images_that_are_missing_or_outside_are_named(tmp_path):
    tool_files.save_image(tmp_path, "secret.png")
    root = tmp_path / "set"
    for name in ("../../secret.png", str(tmp_path / "secret.png"), "nowhere.png"):
        export(root, name=name)
        with pytest.raises(ValueError) as failure:
            sources.source("cvat", data_dir=str(root))
        assert str(failure.value).startswith("`data_dir` must hold every image that ")
        report = kseg.data.check("cvat", data_dir=str(root))
        assert [row["kind"] for row in report.errors] == ["missing partner", "no pairs"]
    tool_files.save_text(root, "annotations.xml", tool_files.cvat_xml(['<image id="0" width="30" height="20"/>']))
    with pytest.raises(ValueError) as failure:
        sources.source("cvat", data_dir=str(root))
    path = os.path.join(root, "annotations.xml")
    assert str(failure.value) == (f"`name` must be an attribute in {path!r}, image number 0, got name=None. Export the "
                                  "annotations as 'CVAT for images 1.1'.")
