"""Label sets paint ids with their palette and survive a round trip."""

import numpy as np
import pytest

from kseg.labels import LabelSet, voc_palette


def test_voc_palette_is_the_published_one():
    palette = voc_palette(21)
    assert palette[[0, 1, 2, 15, 20]].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128]]


def test_colorize_paints_classes_and_ignored_pixels():
    labels = LabelSet(("road", "car"), np.array([[1, 2, 3], [4, 5, 6]]), ignore_color=(9, 9, 9))
    painted = labels.colorize(np.array([[0, 1], [255, 1]], np.int32))
    assert painted.dtype == np.uint8
    assert painted.tolist() == [[[1, 2, 3], [4, 5, 6]], [[9, 9, 9], [4, 5, 6]]]


def test_round_trip_and_length():
    labels = LabelSet(("a", "b", "c"))
    assert len(labels) == 3 and LabelSet.from_dict(labels.to_dict()) == labels


def test_logits_are_refused():
    with pytest.raises(TypeError, match="`label_map` must hold integer class ids, got label_map=dtype"):
        LabelSet(("a",)).colorize(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`palette` must have shape"):
        LabelSet(("a", "b"), np.zeros((3, 3)))


def test_an_ignore_class_beyond_8_bits_is_refused():
    with pytest.raises(ValueError) as caught:
        LabelSet(("a", "b"), ignore_class=-1)
    assert str(caught.value) == ("`ignore_class` must be between 0 and 255, got ignore_class=-1. "
                                 "Labels are stored in 8 bits: map the id, for example to 255.")


def test_notebooks_show_the_classes():
    shown = LabelSet(("<script>alert(1)</script>", "a & b"), np.array([[1, 2, 3], [4, 5, 6]]))._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown and "<script" not in shown and "a &amp; b" in shown
    places = [shown.index(part) for part in (
        "rgb(1,2,3)", ">0<", "rgb(4,5,6)", ">1<", "rgb(224,224,224)", ">255<", "ignored")]
    assert places == sorted(places)
