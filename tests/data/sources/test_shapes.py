"""The procedural images: deterministic, balanced, and not to be told apart by colour."""

import numpy as np
import pytest

from kseg.data import shapes


def test_index_split_and_seed_decide_the_image():
    first, labels = shapes.generate("train", 3, (48, 64))
    again, _ = shapes.generate("train", 3, (48, 64))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (48, 64, 3) and first.dtype == labels.dtype == np.uint8
    for other in (shapes.generate("train", 4, (48, 64)), shapes.generate("test", 3, (48, 64)),
                  shapes.generate("train", 3, (48, 64), seed=1)):
        assert not np.array_equal(first, other[0])


def test_every_class_is_common():
    labels = np.stack([shapes.generate("train", index, (64, 64))[1] for index in range(40)])
    shares = np.bincount(labels.ravel(), minlength=5) / labels.size
    assert shares[0] < 0.75 and (shares[1:] > 0.04).all()


def test_colour_does_not_tell_the_class():
    """A nearest-mean-colour classifier of object pixels stays near chance (one in four)."""
    train = [shapes.generate("train", index, (48, 48)) for index in range(60)]
    pixels = np.concatenate([image[labels > 0] for image, labels in train]).astype(float)
    ids = np.concatenate([labels[labels > 0] for _, labels in train])
    means = np.stack([pixels[ids == class_id].mean(0) for class_id in range(1, 5)])
    test = [shapes.generate("test", index, (48, 48)) for index in range(40)]
    pixels = np.concatenate([image[labels > 0] for image, labels in test]).astype(float)
    ids = np.concatenate([labels[labels > 0] for _, labels in test])
    guess = 1 + np.argmin(((pixels[:, None] - means) ** 2).sum(-1), 1)
    assert (guess == ids).mean() < 0.4


def test_objects_overlap():
    """Some class borders another one inside the picture, not only the background."""
    touching = 0
    for index in range(20):
        labels = shapes.generate("train", index, (64, 64))[1].astype(int)
        left, right = labels[:, :-1], labels[:, 1:]
        touching += bool(((left > 0) & (right > 0) & (left != right)).any())
    assert touching >= 5


def test_unknown_split_raises():
    with pytest.raises(ValueError, match="`split` must be one of"):
        shapes.generate("val", 0)
