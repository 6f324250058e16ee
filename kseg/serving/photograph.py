"""A photograph that was uploaded, segmented as `kseg.predict` segments its file, and the answer as bytes."""

import contextlib
import io
import json
import threading
import time
from typing import Any

import numpy as np
from PIL import Image

from kseg.data import decode, limits
from kseg.data.orientation import upright
from kseg.data.pixel_range import as_pixels
from kseg.inference.predict import SCENE_WINDOW, Model, Predictor
from kseg.serving.admission import Refusal

LARGE = 2048 * 2048  # pixels; larger photographs are segmented by windows, in bounded memory
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF")  # others have readers no stranger should reach
_MASKS = 1 << 29  # bytes of masks in one answer
_DICOM = slice(128, 132)  # where its mark stands, behind bytes that may be any other format's
_NO_RANGE = "The model was trained on 8 bits: save the image with 8 bits."


class PhotographSegmenter:
    """A model behind a lock, from the bytes of an image file to those of an answer.

    Args:
        model: as in `kseg.predict`.
        max_pixels: int, height times width of the largest image.
        options: `batch_size`, `window`, `overlap`, `blend`, `scales`, `flip` and `threshold` of `kseg.predict`.
            Without a window, photographs above four million pixels are segmented by windows of 1024×1024, as GeoTIFFs.
    Attributes:
        run: the `Runner` of the model.
        threshold: what is decided by, as in `Predictor`.
    """

    def __init__(self, model: Model, max_pixels: int, options: dict[str, Any]):
        self._whole = Predictor(model, **options)
        self.run, self.threshold = self._whole.run, self._whole.threshold
        by_windows = not (options.get("window") or self.run.image_size or self.run.margin)
        self._by_windows = Predictor(self.run, **{**options, "window": SCENE_WINDOW}) if by_windows else self._whole
        # Of a multi-label model each pixel comes with a byte for every class.
        masks = _MASKS // self.run.classes if self.run.task.stacked else max_pixels
        self._max_pixels, self._of_masks = min(max_pixels, masks), masks < max_pixels
        Image.init()  # else Pillow knows only some of its formats
        self._formats = [name for name in _FORMATS if name in Image.OPEN]
        self._lock, self._closed = threading.Lock(), False

    def __call__(self, content: bytes) -> tuple[bytes, str]:
        """Return (the answer, what to say of it in a log).

        The answer is a line of JSON and a line feed, then uint8 arrays row by row: the ids of the pixels, [height,
        width]; if `confidence`, 255 times their probabilities, [height, width]; of a multi-label model, the 0 and 1 of
        its `masks` classes, [masks, height, width]. The line holds these, `height`, `width` and `milliseconds`.

        Raises:
            Refusal: 413 for too many pixels, 422 for what is no image, 503 if the server is being closed.
        """
        with self._lock:  # decoding too: of several large uploads one at a time is in memory as pixels
            if self._closed:
                raise Refusal(503, "The server is closing.")
            start = time.monotonic()
            labels, ids, sure = self._segmented(content)
            milliseconds = round(1000 * (time.monotonic() - start))
        height, width = ids.shape
        planes = [ids] if sure is None else [ids, sure]
        if labels.ndim == 3:
            planes.append(np.moveaxis(labels, -1, 0))  # [classes, H, W]
        head = {"height": height, "width": width, "confidence": sure is not None,
                "masks": labels.shape[2] if labels.ndim == 3 else 0, "milliseconds": milliseconds}
        return json.dumps(head).encode() + b"\n" + b"".join(one.tobytes() for one in planes), f"{width}×{height} pixels"

    def close(self) -> None:
        """Wait for the photograph in work, and take no other."""
        self._closed = True
        with self._lock:
            pass

    def _segmented(self, content):
        self._check_picture(content)
        try:
            image = self._pixels(content)
            self._check_size(image.shape[1], image.shape[0])  # whatever its header said
            large = image.shape[0] * image.shape[1] > LARGE
            return (self._by_windows if large else self._whole).with_confidence(image)
        except (ValueError, ImportError) as failure:  # of the image: the options were checked at the start
            raise Refusal(422, str(failure)) from failure
        except MemoryError as failure:
            raise Refusal(413, "The machine has not enough memory for an image of this size.") from failure

    def _check_picture(self, content):
        """Raise `Refusal` unless the header, which is all that is read, is that of a picture not too large."""
        mark, others = content[:16], set(Image.OPEN) - {*_FORMATS, "DIB"}
        try:
            if any(Image.OPEN[name][1] and Image.OPEN[name][1](mark) is True for name in others):
                raise ValueError("it begins as a file of another format, whose reader would take it first")
            with limits.any_size(), Image.open(io.BytesIO(content), formats=self._formats) as picture:
                width, height = picture.size
        except decode.DECODER_FAILURES as failure:
            raise Refusal(422, "This is not an image file that can be read. Send a JPEG, PNG, WebP, AVIF, BMP, GIF or "
                               "TIFF.") from failure
        if content[_DICOM] == b"DICM":
            raise Refusal(422, "This is a DICOM file. Use kseg predict.")
        self._check_size(width, height)

    def _check_size(self, width, height):
        if width * height > self._max_pixels:
            larger = "." if self._of_masks else ", or start the server with a larger --max-megapixels."
            raise Refusal(413, f"The image has {width}×{height} pixels, and this server takes at most "
                               f"{self._max_pixels / 1e6:.3g} million. Send a smaller one{larger}")

    def _pixels(self, content):
        """Return the pixels of a file, as predicting its path; what it stores, for a model with a pixel range."""
        with limits.any_size() if self._max_pixels > (Image.MAX_IMAGE_PIXELS or 0) else contextlib.nullcontext():
            stored, orientation = decode.stored_photograph(content, self.run.in_channels, shown="the upload")
        if self.run.pixel_range is None:
            stored = as_pixels(stored, None, "the upload", "pixel_range", _NO_RANGE)
        return upright(stored, orientation)
