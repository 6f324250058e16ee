"""Transforms of Albumentations and layers of KerasCV as `augment`: aligned, no new ids, reproducible where they can be.

Every pixel's red channel is 20 times its class id plus 20, so that pixels and labels show whether they moved together.
"""

import re

import cv2
import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.data import from_arrays

IDS = np.kron(np.random.default_rng(0).choice([1, 3, 4, 255], (6, 6, 8)), np.ones((8, 8), int)).astype(np.uint8)
PIXELS = np.stack([np.where(IDS == 255, 120, IDS.astype(int) * 20 + 20)] * 3, -1).astype(np.uint8)


def loaded(augment, **options):
    return [tuple(part.numpy() for part in batch) for batch in from_arrays(
        PIXELS, IDS, **{"classes": 5, "augment": augment, "seed": 3, "batch_size": 3, **options})]


def misplaced(pixels, labels):
    """Return the share of pixels that do not show their class, where neither borders nor ignored pixels are."""
    shown = np.where(labels == 255, 120, labels * 20 + 20)
    return (np.abs(pixels[..., 0].astype(int) - shown)[labels != 255] > 10).mean()


@pytest.fixture
def albumentations():
    return pytest.importorskip("albumentations")


def test_albumentations_moves_both_and_passes_are_reproducible(albumentations):
    A = albumentations
    transform = A.Compose([
        A.Rotate(40, cv2.INTER_NEAREST, p=1.0, fill=200, fill_mask=255), A.RandomCrop(32, 40), A.HorizontalFlip(),
        A.OneOf([A.GaussianBlur(sigma_limit=(0.1, 0.2)), A.RandomBrightnessContrast(0.01, 0.01)])])
    first, second = loaded(transform), loaded(transform)
    for one, other in zip(first, second, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    assert any((one[0] != other[0]).any() for one, other in zip(first, loaded(transform, seed=4)))
    assert any((one[0] != other[0]).any() for one, other in zip(first, loaded(transform, epoch=1)))
    for pixels, labels in first:
        assert pixels.shape == (3, 32, 40, 3) and pixels.dtype == np.uint8 and labels.dtype == np.int32
        assert set(np.unique(labels)) <= {1, 3, 4, 255} and (labels == 255).any()
        assert misplaced(pixels, labels) < 0.01  # a little blur


def test_a_single_transform_of_albumentations_and_a_size(albumentations):
    flipped = loaded(albumentations.HorizontalFlip(p=1.0), image_size=(24, 32), shuffle=False)
    plain = loaded(False, image_size=(24, 32), shuffle=False)
    np.testing.assert_array_equal(flipped[0][0], plain[0][0][:, :, ::-1])
    np.testing.assert_array_equal(flipped[0][1], plain[0][1][:, :, ::-1])


def blended(mask, **_):
    return np.where(mask == 1, 2, mask).astype(np.uint8)


def test_what_albumentations_must_not_do(albumentations):
    A = albumentations
    with pytest.raises(tf.errors.InvalidArgumentError, match="`augment` must return pixels as it gets them, uint8"):
        loaded(A.Compose([A.Normalize()]))
    with pytest.warns(kseg.DataWarning, match="labels pixels 0 in an image that has no class 0.*fill_mask=255"):
        loaded(A.Rotate(limit=(30, 40), p=1.0))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must not make new ids; Lambda made some"):
        loaded(A.Lambda(mask=blended, p=1.0))


class Old:
    __module__ = "albumentations.old"

    def __call__(self, image, mask):
        return {"image": image, "mask": mask}


def test_an_albumentations_without_seeds_is_refused():
    with pytest.raises(TypeError, match=re.escape("`augment` must be a transform that has `set_random_seed`, got "
                                                  "augment='Old'. Install albumentations 2 or newer.")):
        loaded(Old())


layers = keras_cv.layers
MOVING = {
    "flip": lambda: layers.RandomFlip("horizontal"),
    "rotation": lambda: layers.RandomRotation(0.1, fill_mode="constant", segmentation_classes=6),
    "translation": lambda: layers.RandomTranslation(0.2, 0.2, fill_mode="constant", interpolation="nearest"),
    "zoom": lambda: layers.RandomZoom((-0.3, 0.3), fill_mode="constant", interpolation="nearest"),
    "shear": lambda: layers.RandomShear(0.2, 0.2, fill_mode="constant"),
    "crop and resize": lambda: layers.RandomCropAndResize((48, 64), (0.5, 1.0), (0.9, 1.1)),
    "jittered resize": lambda: layers.JitteredResize((48, 64), (0.5, 1.5)),
    "several": lambda: layers.Augmenter([layers.RandomFlip(), layers.RandomZoom(0.3, fill_mode="constant")]),
}


@pytest.mark.parametrize("make", MOVING.values(), ids=list(MOVING))
def test_layers_of_keras_cv_move_both_and_make_no_ids(make):
    batches = loaded(make())
    for pixels, labels in batches:
        assert pixels.shape == (3, 48, 64, 3) and pixels.dtype == np.uint8 and labels.dtype == np.int32
        assert set(np.unique(labels)) <= {1, 3, 4, 255}
        assert misplaced(pixels, labels) < 0.12  # borders, which pixels blend and labels do not
    plain = loaded(False)
    assert any((one[1] != other[1]).any() for one, other in zip(batches, plain))


@pytest.mark.parametrize("make", [lambda: layers.RandomColorJitter((0, 255), 0.2, 0.2, 0.2, 0.2),
                                  lambda: layers.RandomGaussianBlur(5, 0.5), lambda: layers.GridMask()])
def test_layers_of_keras_cv_that_move_nothing_leave_labels_alone(make):
    for (pixels, labels), (plain, ids) in zip(loaded(make()), loaded(False), strict=True):
        np.testing.assert_array_equal(labels, ids)
        assert pixels.dtype == np.uint8 and (pixels != plain).any()


def test_layers_of_keras_are_refused():
    with pytest.raises(TypeError, match=re.escape(
            "`augment` must not be a layer of Keras, which paints the labels of what it uncovers as class 0, got "
            "augment='RandomFlip'. Take a recipe of kseg, or the layer of the same name in keras_cv.layers.")):
        loaded(keras.layers.RandomFlip())


def test_labels_with_an_axis_of_classes_are_refused(albumentations):
    masks = np.stack([IDS == 1, IDS == 3], -1).astype(np.uint8)
    for augment, name in ((albumentations.HorizontalFlip(), "HorizontalFlip"),
                          (keras_cv.layers.RandomFlip("horizontal"), "RandomFlip")):
        with pytest.raises(ValueError) as caught:
            from_arrays(PIXELS, masks, classes=2, task="multilabel", augment=augment)
        assert str(caught.value) == (
            "`augment` must be a recipe of kseg or a function for task='multilabel', whose labels are [H, W, classes], "
            f"got augment='{name}'. Write for example augment=\"default\".")


def test_an_augmentation_for_own_pipelines_is_refused():
    with pytest.raises(TypeError) as caught:
        from_arrays(PIXELS, IDS, classes=5, augment=kseg.data.Augmentation("deeplab"))
    assert str(caught.value) == (
        "`augment` must be a recipe, a function or an object of another library, not a kseg.data.Augmentation, got "
        "augment='Augmentation'. Pass the recipe that it holds: augment=augmentation.recipe.")
