"""Slices of NIfTI volumes: axes, labels, prediction of a whole volume, wrong files."""

import os

import numpy as np
import pytest

import kseg
from kseg.inference import predict_files
from tests.data.conftest import make_folder
from tests.data.sources.volumes import AFFINE, save

nibabel = pytest.importorskip("nibabel")

SHAPE = (20, 30, 5)  # rows, columns, slices


def volume(offset=0):
    """Hounsfield units, int16, different along each axis."""
    rows, columns, slices = np.mgrid[:SHAPE[0], :SHAPE[1], :SHAPE[2]]
    return (rows * 40 + columns * 11 + slices * 97 - 700 + offset).astype(np.int16)


def ids(offset=0):
    return (volume(offset) > 0).astype(np.uint8)


@pytest.fixture(params=[".nii", ".nii.gz"])
def root(request, tmp_path):
    for split in ("train", "val"):
        for index in range(2):
            save(tmp_path / split / "images" / f"{index}{request.param}", volume(index))
            save(tmp_path / split / "labels" / f"{index}{request.param}", ids(index))
    return tmp_path


def test_slices_are_those_of_the_third_axis(root):
    source = kseg.data.source("nifti", data_dir=str(root), classes=2, channels=1, pixel_range=(-200, 300))
    assert len(source) == 10 and source.channels == 1
    for index in (0, 3, 9):
        pixels, labels = source.read(index)
        expected = volume(index // 5)[..., index % 5]
        np.testing.assert_array_equal(source.read_stored(index)[..., 0], expected)
        np.testing.assert_allclose(pixels[..., 0], ((expected + 200.0) * 255 / 500).clip(0, 255), atol=1e-3)
        np.testing.assert_array_equal(labels, ids(index // 5)[..., index % 5])
        np.testing.assert_array_equal(source.read_labels(index), labels)
    assert source.describe(8).replace(".gz", "").endswith("images/1.nii[:, :, 3]")
    batch, _ = next(iter(kseg.data.load("nifti", data_dir=str(root), classes=2, pixel_range="percentiles", augment=True,
                                        batch_size=4)))
    assert batch.shape == (4, 20, 30, 3)  # grey, three times
    assert kseg.data.check("nifti", data_dir=str(root), classes=2, pixel_range=(-200, 300)).ok


def test_patterns_pair_a_volume_with_its_segmentation_beside_it(tmp_path):
    save(tmp_path / "train" / "a.nii.gz", volume())
    save(tmp_path / "train" / "a_seg.nii.gz", ids())
    save(tmp_path / "train" / "b.nii.gz", volume(3))
    save(tmp_path / "train" / "b_seg.nii.gz", ids(3))
    source = kseg.data.source("nifti", data_dir=str(tmp_path), classes=2, pixel_range=(-200, 300), problems=[],
                              image_pattern="{split}/*.nii.gz", label_pattern="{split}/*_seg.nii.gz")
    assert [os.path.basename(path) for pair in source.pairs for path in pair] == [
        "a.nii.gz", "a_seg.nii.gz", "b.nii.gz", "b_seg.nii.gz"]


def test_a_fourth_axis_holds_bands_and_scaled_files_give_floats(tmp_path):
    four = np.stack([volume(), volume(7)], -1)
    image = nibabel.Nifti1Image(four.astype(np.float64), AFFINE)
    image.header.set_data_dtype(np.int16)  # stored with slope and intercept
    os.makedirs(tmp_path / "train" / "images")
    nibabel.save(image, tmp_path / "train" / "images" / "a.nii")
    save(tmp_path / "train" / "labels" / "a.nii", ids())
    source = kseg.data.source("nifti", data_dir=str(tmp_path), classes=2, channels=2, pixel_range=[(-700, 700)] * 2)
    stored = source.read_stored(4)
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, four[:, :, 4], atol=0.05)


def test_a_volume_is_predicted_into_a_volume(root, tmp_path):
    import keras

    pixels = keras.Input((None, None, 1), name="pixels")
    scores = keras.layers.Conv2D(2, 1, name="scores")(pixels)
    model = kseg.models.Segmenter(pixels, scores, pixel_range=(-200, 300))
    model.get_layer("scores").set_weights([np.array([[[[0.0, 1.0]]]]), np.array([102.0, 0.0])])  # above 0 HU: 1
    path = next((root / "train" / "images").glob("0.nii*"))
    written = predict_files(model, path, tmp_path / "out")
    assert [os.path.relpath(one, tmp_path / "out") for one in written] == ["labels/0.nii.gz", "overlays/0.png",
                                                                           "sheet.png"]
    found = nibabel.load(written[0])
    np.testing.assert_array_equal(np.asarray(found.dataobj), ids())
    np.testing.assert_allclose(found.affine, AFFINE)
    np.testing.assert_array_equal(kseg.predict(model, path), np.moveaxis(ids(), 2, 0))


def test_slices_are_converted_to_a_plain_folder_with_their_numbers(root, tmp_path):
    options = dict(channels=1, pixel_range=(-200, 300))
    counts = kseg.data.convert("nifti", tmp_path / "plain", data_dir=str(root), classes=2, **options)
    assert counts == {"train": 10, "validation": 10}
    before = kseg.data.source("nifti", data_dir=str(root), classes=2, **options)
    after = kseg.data.source("folder", data_dir=str(tmp_path / "plain"), **options)
    for index in (0, 7):
        for one, other in zip(before.read(index), after.read(index)):
            np.testing.assert_array_equal(one, other)


def test_wrong_files_are_said(root, tmp_path):
    with pytest.raises(ValueError, match="`classes` must be given for 'nifti' without a classes.txt, got classes=None"):
        kseg.data.source("nifti", data_dir=str(root))
    with pytest.raises(ValueError, match="holds int16 from -700 to .*, got pixel_range=None. Pass for example"):
        kseg.data.source("nifti", data_dir=str(root), classes=2).read(0)
    label = next((root / "train" / "labels").glob("0.nii*"))
    save(label, ids()[..., :4])
    with pytest.raises(ValueError, match=r"`labels` must have the shape of their volume '.*', \(20, 30, 5\); '.*"):
        kseg.data.source("nifti", data_dir=str(root), classes=2)
    save(label, ids() * np.float32(0.5))
    with pytest.raises(ValueError, match="`labels` must hold class ids, whole numbers, got labels='.*0.nii"):
        kseg.data.source("nifti", data_dir=str(root), classes=2).read_labels(3)
    label.write_bytes(label.read_bytes()[:40])
    with pytest.raises(ValueError, match="`labels` must be a complete image file, got labels='.*0.nii.*'. The de"):
        kseg.data.source("nifti", data_dir=str(root), classes=2)


def test_a_folder_of_pictures_is_no_nifti(tmp_path):
    with pytest.raises(ValueError, match="`image` must be a complete image file"):
        kseg.data.source("nifti", data_dir=make_folder(tmp_path), classes=3)
