"""The recipes in users' own pipelines give what `kseg.data.load` gives, reproducibly."""

import re

import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.data import Augmentation, augment
from kseg.data.draws import key
from tests.conftest import structured_image

IMAGE = structured_image(24, 32)
IDS = np.kron([[0, 1], [2, 255]], np.ones((12, 16), int)).astype(np.uint8)


def wanted(recipe, size, seed, number, epoch=0):
    image, ids = augment.augment_example(tf.constant(IMAGE), tf.constant(IDS), key(seed, epoch, number),
                                         augment.recipe(recipe), size)
    return image.numpy(), ids.numpy()


@pytest.mark.parametrize("recipe", ["default", "pspnet", "unet"])
def test_a_call_equals_the_pipeline_of_the_same_number(recipe):
    augmentation = Augmentation(recipe, (20, 20), seed=5)
    for number in range(3):
        result = augmentation(image=IMAGE, mask=IDS)
        image, ids = wanted(recipe, (20, 20), 5, number)
        np.testing.assert_array_equal(result["image"], image)
        np.testing.assert_array_equal(result["mask"], ids)
        assert set(result) == {"image", "mask"} and result["mask"].dtype == np.uint8
    again = augmentation(image=IMAGE, mask=IDS.astype(np.int64), number=1, epoch=4)
    np.testing.assert_array_equal(again["image"], wanted(recipe, (20, 20), 5, 1, 4)[0])
    assert again["mask"].dtype == np.int64


def test_without_a_seed_each_call_and_each_copy_draws_anew():
    import copy

    first = Augmentation("pspnet")
    other = copy.copy(first)
    results = [one(image=IMAGE, mask=IDS)["image"].tobytes() for one in (first, first, other, other)]
    assert len(set(results)) == 4
    assert first(image=IMAGE, mask=IDS)["image"].shape == IMAGE.shape  # no size: that of the image


def test_grey_and_float_images():
    augmentation = Augmentation("unet", (10, 12), seed=0)
    grey = augmentation(image=IMAGE[..., 0], mask=IDS, number=0)
    banded = augmentation(image=IMAGE[..., :1], mask=IDS, number=0)
    np.testing.assert_array_equal(grey["image"], banded["image"][..., 0])
    assert augmentation(image=IMAGE.astype(np.float32), mask=IDS)["image"].dtype == np.float32
    with pytest.warns(kseg.DataWarning, match="`image` are pixels from 0 to 255, and these look divided by 255"):
        augmentation(image=(IMAGE / 255).astype(np.float32), mask=IDS)


def pairs(count=6):
    pixels = np.stack([np.roll(IMAGE, index, 1) for index in range(count)])
    labels = np.stack([np.roll(IDS, index, 1) for index in range(count)]).astype(np.int32)
    return tf.data.Dataset.from_tensor_slices((pixels, labels))


def passed(dataset):
    return [tuple(part.numpy() for part in pair) for pair in dataset]


@pytest.mark.parametrize("batch", [None, 4])
def test_passes_over_a_dataset_are_reproducible_and_differ_by_epoch(batch):
    source = pairs() if batch is None else pairs().batch(batch)
    first, second = (source.apply(Augmentation("pspnet", (16, 20), seed=2).on_dataset) for _ in range(2))
    assert first.cardinality() == source.cardinality() and first.element_spec[0].shape[-3:] == (16, 20, 3)
    assert first.element_spec[1].dtype == tf.int32
    epochs = [passed(first), passed(first)]
    for one, other in zip(epochs, [passed(second), passed(second)]):
        for part, same in zip(sum(one, ()), sum(other, ())):
            np.testing.assert_array_equal(part, same)
    assert any((one[0] != other[0]).any() for one, other in zip(*epochs))
    values = {int(value) for _, ids in epochs[0] for value in np.unique(ids)}
    assert values <= {0, 1, 2, 255}


def test_single_examples_equal_calls():
    images = passed(pairs().apply(Augmentation("default", seed=9).on_dataset))
    for number, (pixels, labels) in enumerate(passed(pairs())):
        result = Augmentation("default", seed=9)(image=pixels, mask=labels, number=number)
        np.testing.assert_array_equal(images[number][0], result["image"])
        np.testing.assert_array_equal(images[number][1], result["mask"])


def test_labels_keep_an_axis_of_one_and_batches_are_mixed():
    trailing = pairs().map(lambda pixels, labels: (pixels, labels[..., None])).batch(3)
    (pixels, labels), *_ = passed(trailing.apply(Augmentation("deeplab", (8, 8), seed=0).on_dataset))
    assert pixels.shape == (3, 8, 8, 3) and labels.shape == (3, 8, 8, 1)
    mixed = passed(pairs().batch(6).apply(Augmentation({"mix": "cutmix"}, seed=0).on_dataset))[0]
    plain = passed(pairs().batch(6))[0]
    changed = (mixed[0] != plain[0]).any(-1)
    assert changed.any() and (np.roll(plain[0], 1, 0)[changed] == mixed[0][changed]).all()


@pytest.mark.parametrize(("call", "text"), [
    (lambda: Augmentation("deplab"), "Did you mean 'deeplab'?"),
    (lambda: Augmentation(seed=-1), "`seed` must be an integer of at least 0"),
    (lambda: Augmentation(image_size=3), "`image_size` must be two positive integers"),
    (lambda: Augmentation()(image=IMAGE[None], mask=IDS), "`image` must be uint8 or float32 [H, W, channels] or [H"),
    (lambda: Augmentation()(image=IMAGE, mask=IDS > 0), "`mask` must be integer class ids (24, 32), which hold 255"),
    (lambda: Augmentation({"mix": "cutmix"})(image=IMAGE, mask=IDS), "`mix` must be None for single examples"),
    (lambda: pairs().apply(Augmentation({"mix": "cutmix"}).on_dataset), "`mix` must be None for single examples"),
    (lambda: tf.data.Dataset.range(3).apply(Augmentation().on_dataset), "`dataset` must give pairs of pixels")])
def test_errors(call, text):
    with pytest.raises((ValueError, TypeError), match=re.escape(text)):
        call()
