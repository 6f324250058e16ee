"""Labels of annotation tools to class ids."""

import numpy as np
import pytest

import kseg
from kseg.data.sources.class_names import NamedClasses, colour_of


def test_labels_follow_the_background_in_their_order_and_five_names_have_a_meaning():
    named = NamedClasses.of(["car", "void", "_background_", "person", "Ignore", "car", "__ignore__", "Background"])
    assert named.label_set == kseg.LabelSet(("background", "car", "person"))
    assert [named.id_of(label, "here") for label in (
        "car", "person", "background", "_background_", "BACKGROUND", "void", "ignore", "__ignore__")] == [
            1, 2, 0, 0, 0, 255, 255, 255]


def test_colours_are_the_palette_if_every_label_has_one():
    named = NamedClasses.of(["car", "person"], {"car": (255, 0, 0), "person": (0, 0, 9)})
    np.testing.assert_array_equal(named.label_set.palette, [(0, 0, 0), (255, 0, 0), (0, 0, 9)])
    assert NamedClasses.of(["car", "person"], {"car": (255, 0, 0)}).label_set == kseg.LabelSet(
        ("background", "car", "person"))
    assert colour_of("#01Ff7a") == (1, 255, 122)
    assert [colour_of(text) for text in ("red", "#12345", "#1234567", None, 7)] == [None] * 5


def test_chosen_classes_are_as_given():
    listed = NamedClasses.of(["car", "person", "road"])
    chosen = NamedClasses.chosen(["background", "road", "car"], listed)
    assert chosen.label_set.names == ("background", "road", "car")
    assert [chosen.id_of(label, "here") for label in ("car", "person", "road", "void")] == [2, None, 1, 255]
    void = NamedClasses.chosen(kseg.LabelSet(("_background_", "void")), listed)
    assert void.id_of("void", "here") == 1 and void.id_of("car", "here") is None


def test_wrong_classes_and_labels_raise_with_the_nearest_name():
    listed = NamedClasses.of(["car", "person"])
    with pytest.raises(ValueError) as failure:
        NamedClasses.chosen(["background", "persn"], listed)
    assert str(failure.value) == ("`classes` must be one of ('car', 'person'), the labels of the dataset, got "
                                  "classes='persn'. Did you mean 'person'?")
    with pytest.raises(ValueError) as failure:
        NamedClasses.chosen(["car", "person"], listed)
    assert str(failure.value) == (
        "`classes` must begin with the background, which is what nobody has drawn, got classes=['car', 'person']. "
        "Write classes=['background', 'car', 'person'].")
    with pytest.raises(TypeError) as failure:
        NamedClasses.chosen(3)
    assert str(failure.value) == (
        "`classes` must be the names of the classes, or a LabelSet, got classes=3. Write for example "
        "classes=['background', 'car'], or leave it out for all labels.")
    for label, end in (("cra", "got label='cra'. Did you mean 'car'?"),
                       (None, "got label=None. Did you mean 'person'?"),
                       (7, "got label=7. Choose one of ('background', 'car', 'person')."),
                       (["car"], "got label=['car']. Did you mean 'car'?")):
        with pytest.raises(ValueError) as failure:
            NamedClasses.chosen(["background", "car", "person"]).id_of(label, "here")
        assert str(failure.value) == f"`label` must be one of ('background', 'car', 'person') in here, {end}"
    with pytest.raises(ValueError) as failure:
        NamedClasses.of([f"label {number}" for number in range(300)])
    assert str(failure.value) == ("`classes` must choose at most 254 of the 300 labels, got classes=None. Pass "
                                  "classes=['background', …] with the names of those that are meant.")
