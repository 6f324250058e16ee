"""Reading a source example by example from many threads: decoded cache, skipped files, one expected size."""

import logging
import os
import threading

import numpy as np

from kseg import checks, files
from kseg.data import windows
from kseg.data.identity import cache_folder
from kseg.data.sources.base import Source

_LOG = logging.getLogger("kseg")
AUTOMATIC_CACHE_BYTES = 1 << 30  # decoded sets up to this size are kept in memory unless told otherwise


class Reader:
    """Random access to a source's decoded pairs, kept in memory or on disk after the first read.

    Args:
        source: `Source`.
        cache: None (memory if the decoded set is below 1 GiB), False, "memory", or a folder for files that later runs
            of the same source use again (`identity.digest`); each file is written whole or not at all, so that a
            killed run leaves none broken.
        on_error: "raise", or "skip" to leave unreadable pairs out, with a warning and their list in `skipped`.
        expected_size: (height, width) or None; any other size is an error.
        cache_size: (height, width) or None, to which pairs are resized before they are kept.
    """

    def __init__(self, source: Source, cache: bool | str | os.PathLike | None = None, on_error: str = "raise",
                 expected_size: tuple[int, int] | None = None, cache_size: tuple[int, int] | None = None) -> None:
        self.source, self.expected_size, self.cache_size = source, expected_size, cache_size
        self.on_error = checks.one_of("on_error", on_error, ("raise", "skip"))
        self.skipped: dict[int, str] = {}
        self._memory, self._folder = None, None
        self._lock = threading.Lock()
        if cache not in (None, False, "memory"):
            self._folder = cache_folder(cache, source, cache_size)
        elif cache == "memory" or (
                cache is None and _decoded_bytes(source, cache_size) <= AUTOMATIC_CACHE_BYTES):
            self._memory = {}

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return (pixels uint8 `[H, W, channels]`, labels uint8 `[H, W]`, True), or empty arrays and False."""
        index = int(index)
        if self._folder is not None:
            return self._from_disk(index)
        if self._memory is not None and index in self._memory:
            return self._memory[index]
        example = self._checked(index)
        if self._memory is not None:
            self._memory[index] = example
        return example

    def _checked(self, index):
        try:
            pixels, labels = self.source.read(index)
            if self.cache_size is not None:
                pixels, labels = windows.resized(pixels, labels, self.cache_size)
            if self.expected_size is not None and labels.shape != self.expected_size:
                raise ValueError(checks.sentence(
                    "image_size", f"must be given when images differ in size: {self.source.describe(index)!r} is "
                    f"{labels.shape}, the first is {self.expected_size}", None,
                    "Pass image_size=(height, width), or batch_size=1."))
        except self.source.failures as failure:
            if self.on_error == "raise":
                raise
            self._note(index, failure)
            return (np.zeros((1, 1, self.source.channels), np.uint8), np.zeros((1, 1), np.uint8), np.bool_(False))
        return pixels, labels, np.bool_(True)

    def _note(self, index, failure):
        with self._lock:
            known = index in self.skipped
            self.skipped[index] = str(failure)
        if not known:
            _LOG.warning("skipped %d of %d examples of %s so far; last: %s", len(self.skipped), len(self.source),
                         self.source.name, failure)

    def _from_disk(self, index):
        path = os.path.join(self._folder, f"{index:07d}.npy")
        if os.path.exists(path):
            both = np.load(path, mmap_mode="r")
            return np.ascontiguousarray(both[..., :-1]), np.ascontiguousarray(both[..., -1]), np.bool_(True)
        pixels, labels, good = self._checked(index)
        if good:
            with files.draft(path, unique=True) as temporary:
                np.save(temporary, np.concatenate([pixels, labels[..., None]], -1))
        return pixels, labels, good


def first_size(source: Source, on_error: str) -> tuple[int, int] | None:
    """Return (height, width) of a source's first pair, with `on_error="skip"` of the first readable one or None."""
    for index in range(len(source)):
        try:
            return source.read(index)[1].shape
        except source.failures:
            if on_error == "raise":
                raise
    return None


def _decoded_bytes(source, size):
    """Return the estimated bytes of all decoded pairs, from their `size` or the first readable one."""
    if size is not None:
        return size[0] * size[1] * (source.channels + 1) * len(source)
    for index in range(min(3, len(source))):
        try:
            pixels, labels = source.read(index)
        except source.failures:
            continue
        return (pixels.nbytes + labels.nbytes) * len(source)
    return AUTOMATIC_CACHE_BYTES + 1
