"""Reading a source from many threads: what is kept once decoded, and where; skipped files, one expected size."""

import logging
import math
import os
import re
import threading

import numpy as np
import tensorflow as tf

from kseg import checks, files
from kseg.data import geometry, windows
from kseg.data.order import Order
from kseg.data.parallelism import parallel_calls
from kseg.data.sources.base import Source, digest
from kseg.data.stream_cache import cached

_LOG = logging.getLogger("kseg")
_AUTOMATIC_CACHE_BYTES = 1 << 30  # decoded sets up to this size are kept in memory unless told otherwise


class Reader:
    """Random access to a source's decoded pairs, kept in memory or on disk after the first read.

    Args:
        source: `Source`.
        cache: as `kseg.data.load`; each file of a folder is written whole or not at all, so that a killed run leaves
            none broken.
        on_error: "raise", or "skip" to leave unreadable pairs out, with a warning and their list in `skipped`.
        one_size: bool, whether any other size than that of the first readable pair is an error.
        cache_size: (height, width) or None, to which pairs are resized before they are kept.
    """

    def __init__(self, source: Source, cache: bool | str | os.PathLike | None = None, on_error: str = "raise",
                 one_size: bool = False, cache_size: tuple[int, int] | None = None) -> None:
        self.source, self.cache_size = source, cache_size
        self.on_error = checks.one_of("on_error", on_error, ("raise", "skip"))
        self.expected_size = (cache_size or _first_shape(source, on_error)) if one_size else None
        self.skipped: dict[int, str] = {}
        cache = _settled(cache, source, cache_size, on_error)
        self._memory = {} if cache == "memory" else None
        self._folder = None if cache in (False, "memory") else _folder(cache, source, cache_size)
        self._lock = threading.Lock()

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return (pixels `[H, W, channels]`, labels uint8 `[H, W]`, True), or empty arrays and False."""
        index = int(index)
        if self._folder is not None:
            return self._from_disk(index)
        if self._memory is None:
            return self._decoded(index)
        if index not in self._memory:
            self._memory[index] = self._decoded(index)
        return self._memory[index]

    def _decoded(self, index):
        try:
            pixels, labels = self.source.read(index)
            if self.cache_size is not None:
                pixels, labels = windows.resized(pixels, labels, self.cache_size)
            if self.expected_size is not None and labels.shape[:2] != self.expected_size:
                raise ValueError(checks.sentence(
                    "image_size", f"must be given when images differ in size: {self.source.describe(index)!r} is "
                    f"{labels.shape[:2]}, the first is {self.expected_size}", None,
                    "Pass image_size=(height, width), or batch_size=1."))
        except self.source.failures as failure:
            if self.on_error == "raise":
                raise
            with self._lock:
                known = index in self.skipped
                self.skipped[index] = str(failure)
            if not known:
                _LOG.warning("skipped %d of %d examples of %s so far; last: %s", len(self.skipped), len(self.source),
                             self.source.name, failure)
            nothing = np.zeros((1, 1, self.source.channels), self.source.pixel_dtype)
            return nothing, np.zeros((1, 1, *self.source.label_axes), np.uint8), np.bool_(False)
        return pixels, labels, np.bool_(True)

    def _from_disk(self, index):
        path = os.path.join(self._folder, f"{index:07d}.npy")
        if os.path.exists(path):
            both = np.load(path, mmap_mode="r")
            bands = self.source.channels
            labels = np.ascontiguousarray(both[..., bands:], np.uint8)
            return (np.ascontiguousarray(both[..., :bands]),
                    labels.reshape(*both.shape[:2], *self.source.label_axes), np.bool_(True))
        pixels, labels, good = self._decoded(index)
        if good:
            with files.draft(path, unique=True) as temporary:
                np.save(temporary, np.dstack([pixels, labels]))
        return pixels, labels, good


def kept_stream(stream: tf.data.Dataset, source: Source, order: Order, cache: bool | str | os.PathLike | None,
                cache_size: tuple[int, int] | None) -> tf.data.Dataset:
    """Return the shard's part of `source.stream()`, kept as a `Reader` keeps pairs."""
    if order.shard is not None:  # not after the cache, which is kept if read to its end
        stream = stream.shard(order.shard[1], order.shard[0]).take(order.streamed_images)
    if cache_size is not None:
        def reduced(pixels, labels, index):
            pixels, labels = geometry.resize(pixels, labels, cache_size)
            return pixels, tf.cast(labels, tf.uint8), index
        stream = stream.map(reduced, num_parallel_calls=parallel_calls(), deterministic=True)
    cache = _settled(cache, source, cache_size)
    if cache is False:
        return stream
    if cache == "memory":
        return stream.cache()
    return cached(stream, os.path.join(_folder(cache, source, cache_size, order.shard),
                                       f"examples-{order.streamed_images}"))


def _settled(cache, source, size, on_error="raise"):
    """Return an argument `cache`, None settled by the estimated bytes of all pairs decoded."""
    if cache is not None:
        return cache
    shape = size or _first_shape(source, on_error)
    pixel = source.channels * source.pixel_dtype.itemsize + math.prod(source.label_axes)  # bytes with its labels
    if shape is None or shape[0] * shape[1] * pixel * len(source) > _AUTOMATIC_CACHE_BYTES:
        return False
    return "memory"


def _first_shape(source, on_error):
    """Return (height, width) of a source's first pair, with `on_error="skip"` of the first readable one or None."""
    for index in range(len(source)):
        try:
            return source.read(index)[1].shape[:2]
        except source.failures:
            if on_error == "raise":
                raise
    return None


def _folder(cache, source, size, shard=None):
    """Return the folder below `cache` of this source, size and shard alone, made if it is missing."""
    words = [source.name, source.split, str(source.channels)]
    if size is not None:
        words.append(f"{size[0]}x{size[1]}")
    if shard is not None:
        words.append(f"{shard[0]}of{shard[1]}")
    path = os.path.join(os.fspath(cache), re.sub(r"[/\\:]", "-", "-".join([*words, digest(source)])))
    with files.refusals(path):
        os.makedirs(path, exist_ok=True)
    files.sweep(path)
    return path
