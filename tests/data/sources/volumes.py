"""NIfTI volumes for tests."""

import os

import numpy as np
import pytest

from tests.conftest import structured_image

AFFINE = np.diag([0.7, 0.8, 2.5, 1.0])


def save(path, array):
    """Write `[rows, columns, slices(, bands)]` as a volume."""
    nibabel = pytest.importorskip("nibabel")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)


def write_nifti(root):
    """Write one volume of three slices in 8 bits with its labels and `classes.txt`; return the path of the volume."""
    grey = np.stack([structured_image(20, 30)[..., band] for band in range(3)], -1)
    save(os.path.join(root, "train", "images", "a.nii"), grey)
    save(os.path.join(root, "train", "labels", "a.nii"), (grey > 100).astype(np.uint8))
    with open(os.path.join(root, "classes.txt"), "w", encoding="utf-8") as file:
        file.write("air\ntissue\n")
    return os.path.join(root, "train", "images", "a.nii")
