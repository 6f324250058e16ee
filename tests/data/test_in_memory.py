"""Arrays in memory go through the pipeline of files: the same batches as from files with the same content."""

import re

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import ArraysSource, from_arrays
from tests.training.tiny import tiny_builder


@pytest.fixture
def pair(folder):
    read = [np.stack([np.asarray(Image.open(f"{folder}/train/{part}/{index:03d}.png")) for index in range(6)])
            for part in ("images", "labels")]
    return folder, *read


def batches(dataset):
    return [tuple(part.numpy() for part in batch) for batch in dataset]


@pytest.mark.parametrize("options", [{}, {"image_size": (16, 24), "augment": "pspnet", "batch_size": 2},
                                     {"augment": "unet", "shuffle": False, "patches": 2}, {"shard": (1, 2)},
                                     {"image_size": (12, 12), "border_weights": {}}])
def test_batches_equal_those_of_files(pair, options):
    folder, pixels, labels = pair
    from_files = batches(kseg.data.load("folder", "train", data_dir=folder, seed=3, **options))
    for given in ((pixels, labels), (list(pixels), list(labels)), (pixels, labels[..., None].astype(np.int64))):
        got = batches(from_arrays(*given, classes=3, seed=3, **options))
        assert len(got) == len(from_files) > 0
        for one, other in zip(got, from_files):
            assert [part.dtype for part in one] == [part.dtype for part in other]
            for part, wanted in zip(one, other):
                np.testing.assert_array_equal(part, wanted)


def test_images_of_several_sizes():
    pixels = [np.full((size, size + 2, 1), size, np.uint8) for size in (8, 12, 20)]
    labels = [np.eye(size, size + 2, dtype=bool) for size in (8, 12, 20)]
    (images, ids), = batches(from_arrays(pixels, labels, image_size=(8, 10), batch_size=3, shuffle=False))
    assert images.shape == (3, 8, 10, 1) and images[:, 0, 0, 0].tolist() == [8, 12, 20]
    np.testing.assert_array_equal(ids[0], np.eye(8, 10))
    with pytest.raises(Exception, match="must be given when images differ in size"):
        batches(from_arrays(pixels, labels))
    assert [image.shape for image, _ in batches(from_arrays(pixels, labels, batch_size=None, shuffle=False))] == [
        (8, 10, 1), (12, 14, 1), (20, 22, 1)]


def test_other_numbers_are_rounded_and_others_than_0_to_255_refused():
    pixels = np.linspace(0, 255, 2 * 4 * 5 * 2).reshape(2, 4, 5, 2)
    labels = np.zeros((2, 4, 5), int)
    (images, _), = batches(from_arrays(pixels, labels, shuffle=False))
    np.testing.assert_array_equal(images, np.rint(pixels))
    for wrong in (pixels + 9, pixels - 40, pixels * np.nan):
        with pytest.raises(ValueError, match=r"`pixels` must be numbers from 0 to 255; pixels\[.\] has others, got "):
            from_arrays(wrong, labels)
    with pytest.warns(kseg.DataWarning, match="divided by 255 already"):
        from_arrays(pixels / 255, labels)


def test_classes_are_given_mapped_or_counted():
    pixels, labels = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.uint8)
    labels[0, 0] = 255
    labels[1, 1] = 2
    assert len(ArraysSource.of(pixels, labels).label_set) == 3
    assert ArraysSource.of(pixels, labels, classes=("a", "b", "c", "d")).label_set.names[3] == "d"
    mapped = ArraysSource.of(pixels, labels, label_map={0: 0, 2: 1, 255: 255}, split="validation")
    assert len(mapped.label_set) == 2 and mapped.read(1)[1][1].tolist() == [1] * 4 and mapped.split == "validation"
    masks = (labels > 0) * np.uint8(255)
    with pytest.raises(ValueError, match="nothing else than, got labels=.0, 255.. These look like 0/255 masks"):
        from_arrays(pixels, masks, classes=2)
    (_, ids), = batches(from_arrays(pixels, masks, label_map={0: 0, 255: 1}, shuffle=False))
    np.testing.assert_array_equal(ids, masks > 0)
    with pytest.raises(ValueError, match=re.escape("must hold class ids 0..1 or 255 (ignore); 'labels[1]' has other")):
        from_arrays(pixels, labels, classes=2)
    with pytest.raises(ValueError, match="must hold class ids"):
        from_arrays(pixels, np.full((2, 4, 4), -1))


@pytest.mark.parametrize(("pixels", "labels", "kind", "text"), [
    ((2, 4, 4, 3), (3, 4, 4), ValueError, "`labels` must be one map for each of 2 images, got labels=3."),
    ((2, 4, 4), (2, 4, 4), ValueError, "Add the axis of channels: pixels[..., None] for grey."),
    ((2, 4, 4, 3), (2, 4, 5), ValueError, "must have the height and width of their image (4, 4); labels[0] differ"),
    ((2, 4, 4, 3), (2, 4, 4, 7), ValueError, "labels are class ids [H, W], not one-hot."),
    ((0, 4, 4, 3), (0, 4, 4), ValueError, "Pass arrays of equal length, at least 1.")])
def test_shapes(pixels, labels, kind, text):
    with pytest.raises(kind, match=re.escape(text)):
        from_arrays(np.zeros(pixels, np.uint8), np.zeros(labels, np.uint8))


def test_kinds():
    pixels, labels = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(TypeError, match="`labels` must be an array of integer class ids, or a list of such, got labels="
                       "'float64'. Round and convert"):
        from_arrays(pixels, labels / 2)
    with pytest.raises(TypeError, match="`pixels` must be an array of numbers from 0 to 255"):
        from_arrays(np.full((2, 4, 4, 3), "a"), labels)
    with pytest.raises(ValueError, match=r"must all have 3 channels, as the first; pixels\[1\] has others"):
        from_arrays([pixels[0], pixels[1, ..., :1]], list(labels))
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        from_arrays(pixels, labels, colour=3)


def test_a_source_serves_checks_weights_and_a_cache(pair, tmp_path):
    _, pixels, labels = pair
    source = ArraysSource.of(pixels, labels, classes=3)
    assert kseg.data.check(source).class_pixels == np.bincount(labels.ravel(), minlength=3).tolist()
    np.testing.assert_allclose(kseg.data.class_weights(source), kseg.data.class_weights("folder", data_dir=pair[0]))
    first = batches(from_arrays(pixels, labels, seed=1, cache=str(tmp_path / "cache")))
    changed = pixels.copy()
    changed[0] += 1
    second = batches(from_arrays(changed, labels, seed=1, cache=str(tmp_path / "cache")))
    assert any((one[0] != other[0]).any() for one, other in zip(first, second))  # not the cache of other arrays


def test_a_model_trains_on_arrays():
    labels = np.kron(np.arange(16).reshape(1, 4, 4) % 3, np.ones((2, 4, 4), int))
    train = from_arrays((labels[..., None] * [80, 40, 7]).astype(np.uint8), labels, classes=3, augment=True)
    tiny_builder(3).fit(train, shuffle=False, verbose=0)
