"""A look at the first images that `fit` or `predict` is given, whatever gives them.

Arrays are looked at before training, a `keras.utils.PyDataset` by its batch 0, which it computes once more. Of a
`tf.data.Dataset` or a generator the first batches are kept as they pass by: none is read twice. Other iterables, such
as PyTorch's, are left alone.
"""

import functools
import itertools
import types
import typing
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from kseg import tasks
from kseg.data import guards
from kseg.data.parallelism import numpy_function
from kseg.data.sources.file_pairs import spread
from kseg.metrics.confusion_metric import ConfusionMetric

ENOUGH = 8  # images that are looked at; batches of fewer are gathered


class FirstImages(keras.callbacks.Callback):
    """Warns, once per model, of what looks wrong with the first images and with the classes of the first epoch.

    Of classes only a model with a `label_set` and a metric of kseg is asked: the metric has counted them.

    Args:
        owner: the segmenter, by which is known what was told already.
    """

    def __init__(self, owner: keras.Model) -> None:
        super().__init__()
        self.owner = owner
        self.images: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self._judged = self._counted = False

    @property
    def enough(self) -> bool:
        """Whether as many images were seen as are looked at."""
        return self._judged or len(self.images) >= ENOUGH

    def watched(self, data: typing.Any, labels: typing.Any = None) -> typing.Any:
        """Return what takes the place of `data`, the argument `x` of `fit` or `predict` (`labels`: its `y`)."""
        return _watched(data, labels, self)

    def keep(self, pixels: np.ndarray | None = None, labels: np.ndarray | None = None) -> None:
        """Take a batch: pixels `[B, H, W, channels]`, labels `[B, H, W]`, `[B, H, W, 1]` or `[B, H, W, classes]`."""
        if self.enough or getattr(pixels, "ndim", 0) != 4:
            return
        self.images.extend(np.array(pixels))  # a copy: a generator may fill the same array again
        if labels is not None and labels.ndim in (3, 4) and labels.shape[:3] == pixels.shape[:3]:
            labels = np.array(labels)
            self.labels.extend(labels[..., 0] if labels.ndim == 4 and labels.shape[-1] == 1 else labels)

    def judge(self) -> None:
        """Warn of what looks wrong with the images kept, and forget them."""
        if self._judged or not self.images:
            return
        findings = guards.of_pixels(self.images)
        if len(self.labels) == len(self.images):
            findings |= guards.of_labels(self.labels, self.images)
        self._judged, self.images, self.labels = True, [], []
        guards.warn(self.owner, findings)

    def on_train_batch_begin(self, batch, logs=None):  # not at the end, for which Keras waits
        if self.enough:
            self.judge()

    on_predict_batch_begin = on_train_batch_begin

    def on_test_begin(self, logs=None):  # of validation, which resets the metrics
        self._end_of_first_epoch()

    def on_epoch_end(self, epoch, logs=None):
        self._end_of_first_epoch()

    def on_predict_end(self, logs=None):
        self.judge()

    def _end_of_first_epoch(self):
        self.judge()
        if self._counted or self.owner.label_set is None:  # numbered classes may be more than the data's on purpose
            return
        self._counted = True
        metrics = [one for metric in self.model.metrics for one in (metric, *getattr(metric, "metrics", ()))]
        metric = next((one for one in metrics if isinstance(one, ConfusionMetric)), None)
        if metric is not None:
            labelled, task = metric.confusion().sum(axis=-1), tasks.of(self.owner.task)
            labelled = task.of_classes(labelled) if task.stacked else labelled  # one per name, a background too
            guards.warn(self.owner, guards.of_absent_classes(labelled, self.owner.label_set.names))


@functools.singledispatch
def _watched(data, labels, seen: FirstImages):
    return data


@_watched.register
def _(data: np.ndarray, labels, seen):
    for index in spread(len(data), ENOUGH) if data.ndim == 4 else []:
        ids = labels[index:index + 1] if isinstance(labels, np.ndarray) else None
        seen.keep(data[index:index + 1], ids)
    seen.judge()
    return data


@_watched.register
def _(data: keras.utils.PyDataset, labels, seen):
    seen.keep(*_pair(data[0]))
    seen.judge()
    return data


@_watched.register
def _(data: types.GeneratorType, labels, seen):
    return _passing(data, seen)


def _pair(batch):
    """Return the pixels and labels of a batch as arrays, or nothing if it is of another structure."""
    parts = batch[:2] if isinstance(batch, (tuple, list)) else (batch,)
    return [keras.ops.convert_to_numpy(part) for part in parts] if all(hasattr(part, "ndim") for part in parts) else []


def _passing(batches: Iterator, seen: FirstImages) -> Iterator:
    for batch in itertools.islice(batches, ENOUGH):
        seen.keep(*_pair(batch))
        yield batch
    yield from batches


@_watched.register
def _(data: tf.data.Dataset, labels, seen):
    specs = data.element_spec if isinstance(data.element_spec, tuple) else (data.element_spec,)
    strategy = getattr(seen.owner, "distribute_strategy", None)
    several_workers = strategy is not None and strategy.cluster_resolver is not None  # they share out the files, which
    if several_workers or not all(isinstance(spec, tf.TensorSpec) for spec in specs[:2]):  # counting would prevent
        return data

    def look(*values):
        seen.keep(*values)
        return np.bool_(True)

    def passed(number, element):
        parts = list((element if isinstance(element, tuple) else (element,))[:2])
        tf.cond(number < ENOUGH, lambda: numpy_function(look, parts, tf.bool, stateful=True), lambda: False)
        return element

    return data.enumerate().map(passed)
