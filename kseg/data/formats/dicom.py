"""DICOM images of one frame, by pydicom (extra `medical`)."""

import io

import numpy as np

from kseg.data import formats


def read(data: bytes, channels: int, shown: str) -> np.ndarray:
    """Return the numbers of a DICOM image `[H, W, bands]`, made of the stored ones by its rescale slope and intercept.

    These are Hounsfield units of a CT, which a `pixel_range` is the window of. MONOCHROME1, where low is white, is
    turned about the middle of the stored bits, so that low is black. The windows in the file, for viewing, are not
    applied.
    """
    del channels
    pydicom = formats.required("pydicom", "medical", shown)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
        shape = (int(dataset.Rows), int(dataset.Columns), samples)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
        middle = -1 if dataset.PixelRepresentation else (1 << int(dataset.BitsStored)) - 1
    except Exception as failure:  # pydicom raises many kinds
        raise formats.BrokenFile(str(failure)) from failure
    if frames != 1:
        raise formats.BrokenFile(f"it has {frames} frames: save each as an image of its own")
    formats.refuse_huge(shape, np.float32, shown)
    try:
        numbers = dataset.pixel_array.reshape(shape)
    except Exception as failure:
        raise formats.BrokenFile(str(failure)) from failure
    if inverted:
        numbers = (middle - numbers.astype(np.int64)).astype(numbers.dtype)
    if (slope, intercept) == (1.0, 0.0):
        return numbers
    return numbers.astype(np.float32) * np.float32(slope) + np.float32(intercept)
