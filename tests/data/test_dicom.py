"""DICOM images: rescaled numbers, low is black, broken and implausible files."""

import io
import sys

import numpy as np
import pytest

import kseg
from kseg.data import decode
from tests.conftest import structured_image
from tests.data.test_formats import damaged

pydicom = pytest.importorskip("pydicom")

STORED = (np.arange(20 * 30).reshape(20, 30) * 7 % 4096).astype(np.uint16)


def dicom(array, bits=12, **tags):
    """Return an uncompressed DICOM file of `[H, W]` or `[H, W, 3]` as bytes."""
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = array.shape[:2]
    dataset.SamplesPerPixel = 3 if array.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if array.ndim == 3 else "MONOCHROME2"
    if array.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * array.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = array.tobytes()
    dataset["PixelData"].VR = "OW" if array.itemsize == 2 else "OB"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def test_numbers_are_rescaled_to_hounsfield_units():
    content = dicom(STORED, RescaleSlope=2, RescaleIntercept=-1024)
    stored = decode.read_stored(content, 1)
    np.testing.assert_array_equal(stored[..., 0], STORED * 2.0 - 1024)
    window = kseg.data.PixelRange.of((-160, 240))
    np.testing.assert_allclose(decode.read_pixels(content, 1, pixel_range=window)[..., 0],
                               ((STORED * 2.0 - 1024 + 160) * 255 / 400).clip(0, 255), atol=1e-3)
    with pytest.raises(ValueError, match="'<bytes>' holds uint16 from 0 to 4..., got pixel_range=None. Pass for"):
        decode.read_pixels(dicom(STORED), 1)


def test_low_is_black_whatever_the_file_means():
    np.testing.assert_array_equal(decode.read_stored(dicom(STORED, PhotometricInterpretation="MONOCHROME1"), 1)[..., 0],
                                  4095 - STORED)
    signed = STORED.astype(np.int16) - 2048
    np.testing.assert_array_equal(decode.read_stored(dicom(signed), 1)[..., 0], signed)
    turned = decode.read_stored(dicom(signed, PhotometricInterpretation="MONOCHROME1"), 1)[..., 0]
    np.testing.assert_array_equal(turned, -1 - signed)


def test_images_of_8_bits_stay_so():
    image = structured_image(20, 30)
    for channels, array in ((3, image), (1, image[..., 0])):
        pixels = decode.read_pixels(dicom(array, bits=8), channels)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, array.reshape(pixels.shape))


def test_broken_and_implausible_files_raise():
    whole = dicom(STORED)
    for content in (whole[:-400], whole[:200], dicom(STORED, NumberOfFrames=2)):
        with pytest.raises(ValueError, match="`image` must be a complete image file, got image='<bytes>'. The decode"):
            decode.read_stored(content, 1)
    with pytest.raises(ValueError, match="must be an image of at most 2 GiB; '<bytes>' announces 16 GiB, got image="):
        decode.read_stored(dicom(STORED, Rows=65535, Columns=65533), 1)


def test_the_extra_is_named_where_pydicom_is_missing(monkeypatch):
    content = dicom(STORED)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError) as failure:
        decode.read_stored(content, 1)
    assert str(failure.value) == ("`image` needs pydicom, got image='<bytes>'. Install it: pip install "
                                  '"kseg[medical]".')


@pytest.mark.filterwarnings("ignore")  # pydicom's about what it finds
def test_damaged_files_raise_the_sentence_or_are_read():
    refused = 0
    for other in damaged(dicom(STORED, RescaleSlope=2), 100):
        try:
            assert decode.read_stored(other, 1).ndim == 3
        except ValueError as failure:
            assert str(failure).startswith(("`image` must", "`channels` must"))
            refused += 1
    assert refused > 20
