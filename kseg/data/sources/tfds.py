"""Segmentation sets of TensorFlow Datasets as sources ("tfds:NAME"), and the shapes as a TFDS builder.

A prepared TFDS set is read as a stream; the pipeline shuffles it in a buffer whose order is that of (seed, epoch).
"""

import os
import threading
import typing

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from kseg import checks
from kseg.data import formats, label_ids
from kseg.data.colours import names_colours
from kseg.data.decode import to_grey
from kseg.data.parallelism import numpy_function, parallel_calls, untuned
from kseg.data.pixel_range import PixelRange, as_pixels
from kseg.data.sources import shapes
from kseg.data.sources.ade20k import ADE20KSource
from kseg.data.sources.base import SPLIT_NAMES, Source
from kseg.data.sources.cityscapes import CityscapesSource
from kseg.labels import IGNORE_CLASS, LabelSet

_IMAGES = ("image", "image_left", "images")
_LABELS = ("segmentation_mask", "segmentation_label", "segmentation_labels", "annotation", "mask", "label_map",
           "labels")
_KNOWN = {  # classes and table of the sets whose ids are known
    "cityscapes": (CityscapesSource.LABELS, CityscapesSource.TABLE),
    "oxford_iiit_pet": (LabelSet(("background", "pet")),  # trimap: 1 pet, 2 background, 3 not classified
                        label_ids.mapped_table({1: 1, 2: 0, 3: IGNORE_CLASS}, 2)),
    "scene_parse150": (ADE20KSource.LABELS, ADE20KSource.TABLE),
    "shapes": (shapes.label_set(), label_ids.identity_table(len(shapes.NAMES))),
}


class Shapes(tfds.core.GeneratorBasedBuilder):
    """The shapes as a TFDS builder: `tfds.builder("shapes")` once this module is imported."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        height, width = shapes.DEFAULT_SIZE
        return tfds.core.DatasetInfo(builder=self, description="Procedural shapes for semantic segmentation.",
                                     features=tfds.features.FeaturesDict({
                                         "image": tfds.features.Image(shape=(height, width, 3)),
                                         "segmentation_mask": tfds.features.Image(shape=(height, width, 1))}))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in shapes.COUNTS}

    def _generate_examples(self, split):
        for index in range(shapes.COUNTS[split]):
            pixels, labels = shapes.generate(split, index)
            yield index, {"image": pixels, "segmentation_mask": labels[..., None]}


class TfdsSource(Source):
    """One split of a prepared TFDS set; `stream()` gives its examples in their stored order, `read` the next ones."""

    failures = (*Source.failures, tf.errors.OpError)

    def __init__(self, builder: tfds.core.DatasetBuilder, name: str, split: str, *, channels: int,
                 label_set: LabelSet, table: np.ndarray) -> None:
        self.builder, self.name, self.split, self.channels = builder, name, split, channels
        self.label_set, self.table = label_set, table
        self.image_key = _feature(builder, _IMAGES, "image")
        self.label_key = _feature(builder, _LABELS, "label")
        self._stored_split = _split(builder, split)
        self._iterator, self._next, self._lock = None, 0, threading.Lock()
        self._count = (builder.info.splits[self._stored_split].num_examples if builder.info.splits
                       else sum(1 for _ in self._stored()))

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: label_ids.Classes | None = None,
             label_map: dict[int, int] | None = None) -> typing.Self:
        """Return the source of a TFDS set, prepared (downloaded) if it is not yet; arguments as `kseg.data.source`.

        Raises:
            ValueError: if TFDS does not know the set, the split is missing, or its classes are not known.
        """
        try:
            builder = tfds.builder(name.removeprefix("tfds:"), data_dir=data_dir)
        except (tfds.core.DatasetNotFoundError, ValueError) as failure:
            raise ValueError(checks.sentence(
                "name", "must name a set of TensorFlow Datasets after 'tfds:'", name,
                "See tfds.list_builders() for the names.")) from failure
        _split(builder, split)
        label_set, table = _classes(name, classes, label_map)
        try:
            builder.download_and_prepare()
        except Exception as failure:  # TFDS raises many kinds: no network, manual download, checksum
            said = (str(failure).strip().splitlines() or [type(failure).__name__])[0].rstrip(".")
            raise ValueError(checks.sentence(
                "name", "must be a prepared set, or one that can be downloaded", name,
                f"TFDS says: {said}. Prepare it where there is a network, then pass its data_dir.")) from failure
        return cls(builder, name, split, channels=channels, label_set=label_set, table=table)

    def __len__(self) -> int:
        return self._count

    def identity(self) -> list:
        """Return the table of ids, and the set's name, version and folder: versions do not change."""
        return [self.table.tolist(), self.builder.info.full_name, os.fspath(self.builder.data_dir)]

    def stream(self) -> tf.data.Dataset:
        return self._examples_from(0)

    def _stored(self):
        return self.builder.as_dataset(split=self._stored_split, shuffle_files=False)

    def _examples_from(self, start):
        def convert(index, example):
            pixels, labels = numpy_function(
                self._converted, [example[self.image_key], example[self.label_key], index],
                [tf.as_dtype(self.pixel_dtype), tf.uint8])
            return tf.ensure_shape(pixels, [None, None, self.channels]), tf.ensure_shape(labels, [None, None]), index

        return untuned(self._stored().enumerate().skip(start).map(convert, num_parallel_calls=parallel_calls(),
                                                                  deterministic=True))

    def _converted(self, pixels, stored, index):
        where = self.describe(int(index))
        if self.pixel_range is None:
            pixels = _of_8_bits(pixels, where)
        else:
            pixels = self.pixel_range.scaled(formats.in_bands(pixels, self.channels, where))
        labels = label_ids.to_class_ids(stored[..., 0] if stored.ndim == 3 else stored, self.table, where,
                                        len(self.label_set))
        if pixels.shape[:2] != labels.shape:
            raise ValueError(checks.sentence(
                "labels", f"must have the height and width of their image, {pixels.shape[:2]}; {where!r} differs",
                labels.shape, "Prepare the set again."))
        if pixels.shape[-1] == 3 and self.channels == 1:
            pixels = to_grey(Image.fromarray(pixels))
        return formats.in_bands(pixels, self.channels, where), labels

    def scaled_by(self, pixel_range: PixelRange) -> typing.Self:
        self.pixel_range = pixel_range
        return self

    def read_stored(self, index: int) -> np.ndarray:
        example = next(iter(self._stored().skip(index).take(1)))
        return formats.in_bands(example[self.image_key].numpy(), self.channels, self.describe(index))

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return example `index`, as `Source.read`; cheap in rising order only.

        Raises:
            tf.errors.OpError: where others raise ValueError; `kseg.data.failure_sentence` has what it says.
        """
        with self._lock:
            if self._iterator is None or index != self._next:
                self._iterator = iter(self._examples_from(index))
            self._next = index + 1  # also past an example that is wrong itself
            try:
                pixels, labels, _ = next(self._iterator)
            except tf.errors.InvalidArgumentError:
                raise
            except Exception:
                self._iterator = None  # nobody knows where it stands
                raise
        return pixels.numpy(), labels.numpy()


def _of_8_bits(pixels, where):
    """Return pixels uint8 `[H, W, 1 or 3]`, without alpha; 16 bits may hold 8-bit numbers times 257."""
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3 or not 1 <= pixels.shape[-1] <= 4:
        raise ValueError(checks.sentence(
            "image", f"must be pixels of 8 or 16 bits [H, W, 1 to 4]; {where!r} is not",
            f"{pixels.dtype}{list(pixels.shape)}", "Prepare the set with grey or RGB images of 8 bits."))
    return as_pixels(pixels[..., :3 if pixels.shape[-1] > 2 else 1], None, where)


def _classes(name, classes, label_map):
    """Return (`LabelSet`, table) as given, or else as known."""
    if classes is None and label_map is None:
        base = name.removeprefix("tfds:").split("/")[0].split(":")[0]
        if base not in _KNOWN:
            raise ValueError(checks.sentence(
                "classes", f"must be given for {name!r}, whose ids kseg does not know", classes,
                "Pass their number, names or a LabelSet, and label_map={stored: id} if they do not start at 0."))
        return _KNOWN[base]
    label_map = label_ids.read_map(label_map)
    if names_colours(label_map):
        raise ValueError(checks.sentence("label_map", f"must map stored values for {name!r}, not colours", label_map,
                                         "Write for example {1: 0, 2: 1}."))
    label_set = label_ids.label_set_of_map(label_map) if classes is None else label_ids.label_set_of(classes)
    return label_set, label_ids.mapped_table(label_map, len(label_set))


def _split(builder, split):
    for stored in SPLIT_NAMES[split]:
        if stored in builder.info.splits:
            return stored
    if not builder.info.splits:  # not prepared yet
        return SPLIT_NAMES[split][0]
    raise ValueError(checks.sentence("split", f"must be one of {tuple(builder.info.splits)} for {builder.name!r}",
                                     split, "This set has no such part."))


def _feature(builder, names, kind):
    found = [name for name in names if name in builder.info.features]
    if not found:
        raise ValueError(checks.sentence(
            "name", f"must be a segmentation set with a feature for the {kind} among {names}",
            f"tfds:{builder.name}", f"Its features are {sorted(builder.info.features)}."))
    return found[0]
