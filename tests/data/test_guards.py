"""What guards say and, as important, what they do not: rules on arrays with known answers."""

import warnings

import cv2
import numpy as np
import pytest

import kseg
from kseg.data import guards, windows
from kseg.data.sources import shapes
from tests.conftest import structured_image

PHOTO = structured_image(20, 30)


@pytest.mark.parametrize(("pixels", "kind"), [
    (PHOTO, None), (PHOTO.astype("float32"), None), ((PHOTO > 127).astype("uint8"), "divided by 255"),
    (PHOTO / 255, "divided by 255"),
    (PHOTO / 127.5 - 1, "normalised"), ((PHOTO / 255 - 0.45) / 0.225, "normalised"),
    (PHOTO.astype("float32") - [103.9, 116.8, 123.7], "normalised"), (PHOTO.astype("uint16") * 257, "range"),
    (np.zeros_like(PHOTO), None), (PHOTO // 100, None), (PHOTO.astype("float32") * 1.15 - 15, None),
    (np.full((4, 4, 3), "a"), None), (np.zeros((0, 4, 3)), None), (np.full((4, 4, 3), np.nan), None)])
def test_pixels(pixels, kind):
    assert list(guards.of_pixels([pixels])) == ([] if kind is None else [kind])


def test_pixels_are_judged_together():
    assert not guards.of_pixels([np.zeros_like(PHOTO), PHOTO / 255, PHOTO.astype("float32")])


def test_messages_say_what_to_do():
    assert guards.of_pixels([np.linspace(0, 1, 12).reshape(2, 2, 3)]) == {"divided by 255": (
        "`pixels` are pixels from 0 to 255, and these look divided by 255 already, got pixels=(0.0, 1.0). Multiply "
        "them by 255: the model normalises by itself.")}
    ids = np.full((20, 30), 255)
    ids[:, :10] = 0
    assert guards.of_labels([ids], [PHOTO]) == {"0/255 masks": (
        "`labels` are class ids, of which 255 is ignored, and the first 1 images hold no other class than 0, got "
        "labels=[0, 255]. If 255 marks a class, store it as 1 (label_map={0: 0, 255: 1} in kseg.data.load): now it is "
        "left out of loss and scores.")}


def test_masks_of_0_and_255():
    ids = np.full((20, 30), 255)
    ids[:, :10] = 0
    assert list(guards.of_labels([ids, ids], [PHOTO, PHOTO])) == ["0/255 masks"]
    assert not guards.of_labels([ids, np.ones_like(ids)], [PHOTO, PHOTO])  # there is a class
    assert not guards.of_labels([np.zeros_like(ids)], [PHOTO])  # nothing is ignored
    assert not guards.of_labels([np.full_like(ids, 255)], [PHOTO])  # all is
    padded = np.where((ids == 255)[..., None], 117, PHOTO)
    assert not guards.of_labels([ids], [padded])  # augmentation uncovered it: one colour
    several = np.stack([ids, np.zeros_like(ids)], -1)  # of two classes that may overlap
    assert list(guards.of_labels([several], [PHOTO])) == ["0/255 masks"]


@pytest.mark.parametrize("size", [(96, 96), (64, 64), (43, 57), (192, 200)])
def test_interpolated_labels(size):
    labels = [shapes.generate("train", index)[1] for index in range(8)]
    nearest = [windows.cut_labels(ids, windows.whole(ids.shape, size), size) for ids in labels]
    assert not guards.of_labels(nearest)
    for kind in (cv2.INTER_LINEAR, cv2.INTER_CUBIC) + ((cv2.INTER_AREA,) if size[0] < 128 else ()):
        resized = [cv2.resize(ids.astype(np.float32), size[::-1], interpolation=kind) for ids in labels]
        assert list(guards.of_labels(resized)) == ["interpolated"]  # fractions
        whole = [np.clip(ids.round(), 0, 4).astype(np.uint8) for ids in resized]
        assert list(guards.of_labels(whole)) == ["interpolated"]
        before, between, after = eval(guards.of_labels(whole)["interpolated"].split("got labels=")[1].split(". R")[0])
        assert before < between < after or before > between > after


def test_noise_thin_lines_and_ignored_borders_are_not_taken_for_interpolation():
    random = np.random.default_rng(0)
    for classes in (3, 21, 150):
        assert not guards.of_labels(list(random.integers(0, classes, (4, 32, 32))))
    lines = np.zeros((60, 60), np.uint8)
    lines[:, 30:] = 5
    lines[::10], lines[:, ::7] = 9, 9  # above all others, and one pixel wide
    assert not guards.of_labels([lines])
    borders = np.kron(random.integers(0, 12, (6, 6)), np.ones((10, 10), int))
    borders[::10] = borders[:, ::10] = 255
    assert not guards.of_labels([borders])


def test_classes_that_never_occur():
    assert not guards.of_absent_classes(np.array([3, 1]), ["sky", "road"])
    assert not guards.of_absent_classes(np.array([0, 0]), ["sky", "road"])  # nothing was labelled
    assert guards.of_absent_classes(np.array([3, 0, 9]), ["sky", "pole", "road"]) == {"absent class": (
        "`classes` should each occur in the training labels, and 1 of 3 were at no pixel of the first epoch, got "
        "classes=['1 (pole)']. They cannot be learnt: see with kseg.data.check how the label files store them, or "
        "leave them out.")}


class Owner:
    pass


def test_each_kind_is_told_once_per_model_at_the_line_of_the_caller():
    first, second = Owner(), Owner()
    with pytest.warns(kseg.DataWarning, match="^one$") as caught:
        guards.warn(first, {"a": "one"})
    assert caught[0].filename == __file__
    with pytest.warns(kseg.DataWarning, match="^three$"):
        guards.warn(first, {"a": "two", "b": "three"})
    with pytest.warns(kseg.DataWarning, match="^one$"):
        guards.warn(second, {"a": "one"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guards.warn(first, {"a": "one", "b": "three"})
