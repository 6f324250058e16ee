"""The pictures that a run keeps of its epochs: few, spread over its course, the best among them."""

import os

import numpy as np
import pytest
from PIL import Image

from kseg.labels import LabelSet
from kseg.training.callbacks import kept_panels

LABELS = LabelSet(("sky", "road"), np.array([[10, 20, 30], [200, 100, 0]]))


def rows(fill, size=(6, 8)):
    return [(np.full((*size, 3), 100, np.uint8), np.zeros(size, int), np.full(size, fill))]


@pytest.mark.parametrize("last", [5, 13, 60])
def test_first_last_and_best_are_kept_and_the_others_spread(tmp_path, last):
    for epoch in range(1, last + 1):
        kept_panels.keep(str(tmp_path), epoch, rows(epoch % 2), LABELS, best=min(epoch, 4))
    kept = kept_panels.epochs(str(tmp_path))
    assert len(kept) == min(last, kept_panels.MOST) and kept[0] == 1 and kept[-1] == last and 4 in kept
    if last == 60:
        assert max(np.diff(kept)) <= 3 * 60 / kept_panels.MOST
    assert sorted(os.listdir(tmp_path)) == sorted(
        [f"epoch-{epoch:04d}-1.png" for epoch in kept] + ["image-1.jpg", "truth-1.png"])


def test_labels_keep_their_colours_and_large_pictures_shrink(tmp_path):
    kept_panels.keep(str(tmp_path), 3, rows(1, size=(900, 600)), LABELS)
    for name, colour in (("epoch-0003-1.png", [200, 100, 0]), ("truth-1.png", [10, 20, 30])):
        picture = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        assert picture.shape == (448, 299, 3) and (picture == colour).all()
    assert Image.open(tmp_path / "image-1.jpg").size == (299, 448)


def test_painted_pictures_are_kept_as_they_are(tmp_path):
    """Those of a multi-label model."""
    painted = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    kept_panels.keep(str(tmp_path), 1, [(painted, painted, painted)], LABELS)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "epoch-0001-1.png")), painted)
