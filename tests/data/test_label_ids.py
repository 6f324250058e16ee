"""Tables from stored values to class ids, and the likely cause of a misfit."""

import numpy as np
import pytest

from kseg.data import label_ids


def test_identity_table_knows_classes_and_ignore_only():
    table = label_ids.identity_table(3)
    assert table[[0, 1, 2, 255]].tolist() == [0, 1, 2, 255]
    assert (table[3:255] == label_ids.ILLEGAL).all()


def test_mapped_table_and_its_errors():
    table = label_ids.mapped_table({0: 0, 255: 1, 7: 255}, 2)
    assert table[[0, 255, 7, 1]].tolist() == [0, 1, 255, label_ids.ILLEGAL]
    with pytest.raises(ValueError) as failure:
        label_ids.mapped_table({0: 5}, 2)
    assert str(failure.value) == ("`label_map` must map values 0..255 to class ids 0..1 or 255, got label_map={0: 5}. "
                                  "Raise `classes` or correct the pair.")


@pytest.mark.parametrize("values, classes, expected", [
    ([0, 255], 2, "0/255 masks"), ([1, 2, 3], 3, "off by one"), ([0, 1, 2, 3], 3, "raise `classes` to 4"),
    ([0, 4000], 3, "16-bit"), (range(0, 250, 7), 3, "interpolated"), ([0, 80, 160], 3, "multiples of 80"),
    ([0, 5, 9], 3, "Correct `classes`")])
def test_likely_cause_names_the_cause(values, classes, expected):
    assert expected in label_ids.likely_cause(values, classes)


def test_illegal_ids_are_counted_in_the_sentence():
    with pytest.raises(ValueError) as failure:
        label_ids.to_class_ids(np.array([[0, 9, 9]], np.uint8), label_ids.identity_table(2), "a.png", 2)
    assert str(failure.value) == ("`labels` must hold class ids 0..1 or 255 (ignore); 'a.png' has other pixels by id, "
                                  "got labels={9: 2}. The ids look stretched for viewing (multiples of 9): pass "
                                  "label_map={0: 0, 9: 1, …}.")


def test_legal_ids_are_mapped():
    table = label_ids.mapped_table({0: 255, 1: 0, 2: 1}, 2)
    np.testing.assert_array_equal(label_ids.to_class_ids(np.array([[0, 1], [2, 1]]), table, "a.png", 2),
                                  [[255, 0], [1, 0]])
