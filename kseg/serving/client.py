"""A client for a model served by TensorFlow Serving. REST loads neither TensorFlow nor Keras."""

import random
import time
from typing import TYPE_CHECKING, Any

from kseg import checks
from kseg.serving.answers import picture
from kseg.serving.encoding import to_bytes
from kseg.serving.errors import ServingError

if TYPE_CHECKING:
    import numpy as np

_ANSWERS = {"labels": ("serve_bytes", "labels_png_bytes"), "color": ("serve_bytes_color", "color_png_bytes")}


class Client:
    """One model on one server.

    Args:
        url: str, "http://host:8501" (REST), "https://…", or "grpc://host:8500" (gRPC, needs the extra `grpc`).
        model: str, the model's name on the server: the folder above the version number.
        version: int or None (the newest version).
        timeout: float, seconds to wait for one answer. Default 30.
        retries: int, further attempts when the server is away, overloaded or too slow. Default 3. A request that the
            server refuses (malformed image, unknown model) is not sent again.
        backoff: float, seconds before the first further attempt; each later wait is twice as long, at most 30 s, and
            shortened at random by up to half so that many clients do not return at once. Default 0.5.
        batch_size: int, most images in one request. Default 8.
        headers: dict of str, sent along with each request, for example an authorisation.
    """

    def __init__(self, url: str, model: str, version: int | None = None, *, timeout: float = 30.0, retries: int = 3,
                 backoff: float = 0.5, batch_size: int = 8, headers: dict[str, str] | None = None):
        if not isinstance(url, str) or url.partition("://")[0] not in ("http", "https", "grpc", "grpcs"):
            raise ValueError(checks.sentence(
                "url", "must start with http://, https://, grpc:// or grpcs://", url,
                'Write for example "http://localhost:8501" or "grpc://localhost:8500".'))
        if not isinstance(model, str) or not model:
            raise ValueError(checks.sentence("model", "must be the model's name on the server", model,
                                             "It is the name of the folder above the version number."))
        if version is not None:
            checks.positive_integer("version", version, "Pass the number of a version folder, or None for the newest.",
                                    minimum=0)
        self.timeout = checks.number_between("timeout", timeout, 0.001, 86400)
        self.retries = checks.positive_integer("retries", retries, "Pass 0 for a single attempt.", minimum=0)
        self.backoff = checks.number_between("backoff", backoff, 0, 30)
        self.batch_size = checks.positive_integer("batch_size", batch_size)
        if url.startswith("grpc"):
            from kseg.serving.grpc_transport import GrpcTransport as Transport
        else:
            from kseg.serving.rest import RestTransport as Transport
        self._transport = Transport(url, model, version, headers)

    def segment(self, images: Any, output: str = "labels") -> "np.ndarray | list[np.ndarray]":
        """Return the label maps of images, each at the size of its image, of photographs as viewers show them (EXIF).

        Args:
            images: one image or a list of images: bytes of a JPEG, PNG, BMP or GIF file; the path of one; or an array,
                `[H, W, 3]` or `[H, W]`, 0-255. Sizes may differ. An array `[B, H, W, 3]` is B images.
            output: "labels" (class ids) or "color" (painted with the palette).
        Returns:
            uint8 `[H, W]` (or `[H, W, 3]` for "color") for one image, a list of them for a list. Labels of a
            binary model are 0 and 1, those of a multi-label model 0 and 1 `[H, W, classes]`.
        Raises:
            ServingError: if the server refuses, does not answer, or answers what does not belong to the image.
        """
        signature, name = _ANSWERS[checks.one_of("output", output, _ANSWERS)]
        several = isinstance(images, (list, tuple)) or getattr(images, "ndim", 0) == 4
        contents = [to_bytes(image) for image in (images if several else [images])]
        answers = []
        for start in range(0, len(contents), self.batch_size):
            batch = contents[start:start + self.batch_size]
            answered = self._repeat(lambda: self._transport.images(batch, signature, name, self.timeout))
            if len(answered) != len(batch):
                raise ServingError(f"The server answered {len(answered)} images to {len(batch)}.")
            answers.extend(answered)
        label_maps = [picture(answer, content, output == "color") for answer, content in zip(answers, contents)]
        return label_maps if several else label_maps[0]

    def status(self) -> list[dict[str, Any]]:
        """Return the versions of the model: list of {"version": str, "state": str, "status": dict}."""
        return self._repeat(lambda: self._transport.status(self.timeout))

    def metadata(self) -> dict[str, Any]:
        """Return the signatures of the model as the server describes them, a dict."""
        return self._repeat(lambda: self._transport.metadata(self.timeout))

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until a version of the model is available.

        Raises:
            ServingError: if none is after `seconds`.
        """
        checks.number_between("seconds", seconds, 0, 86400)
        end, last = time.monotonic() + seconds, "it is still loading"
        while True:
            try:
                if any(entry.get("state") == "AVAILABLE" for entry in self._transport.status(self.timeout)):
                    return
            except ServingError as failure:
                last = str(failure)
            if time.monotonic() >= end:
                raise ServingError(f"The model is not available after {seconds:g} s: {last}")
            time.sleep(0.2)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _repeat(self, request):
        for attempt in range(self.retries + 1):
            try:
                return request()
            except ServingError as failure:
                if not failure.retryable or attempt == self.retries:
                    raise
                time.sleep(min(30.0, self.backoff * 2 ** attempt) * random.uniform(0.5, 1.0))  # nosec B311: a pause
