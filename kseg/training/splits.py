"""From the data part of a recipe to the batches of a run; each split of the dataset is opened once."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kseg import checks, data, tasks
from kseg.data import PixelRange, augment
from kseg.labels import LabelSet
from kseg.training.parts import SOURCE_OPTIONS, Data


@dataclasses.dataclass(frozen=True)
class Splits:
    """The two splits of a recipe's dataset."""

    recipe: Data  # or a whole recipe
    train: data.Source
    validation: data.Source

    @classmethod
    def open(cls, recipe: Data, channels: int, pixel_range: PixelRange | None = None) -> "Splits":
        """Open both splits for a network of `channels` bands, and of a `pixel_range` where the recipe says none.

        Percentiles are measured once, on the training split, and hold for both.

        Raises:
            ValueError, FileNotFoundError: from the dataset; and if the recipe asks for other bands than the network's,
                or an id means one class in training and another in validation.
        """
        options = {"channels": channels, **recipe.data_options}
        if options["channels"] != channels:
            raise ValueError(checks.sentence("channels", f"must be the model's in_channels, {channels}",
                                             options["channels"], "Set both to the bands of the images."))
        options = {name: value for name, value in options.items() if name in SOURCE_OPTIONS}
        options = {"pixel_range": pixel_range, **options, "data_dir": recipe.data_dir, "image_size": recipe.image_size,
                   "task": recipe.task}
        train = data.source(recipe.data, "train", **options)
        options["pixel_range"] = train.pixel_range
        validation = data.source(recipe.data, "validation", **options)
        names = train.label_set.names, validation.label_set.names
        if any(first != second for first, second in zip(*names)):  # each split's annotations list its own classes
            raise ValueError(checks.sentence(
                "data", f"must have the same classes in training, {list(names[0])[:8]}, and in validation",
                list(names[1])[:8], "Name them in data_options: classes=['background', …]."))
        return cls(recipe, train, validation)

    @property
    def task(self) -> tasks.Task:
        """What the labels are for."""
        return tasks.of(self.recipe.task)

    @property
    def pixel_range(self) -> PixelRange | None:
        """The stored numbers that are pixels 0 and 255, or None for images of 8 bits."""
        return self.train.pixel_range

    @property
    def label_set(self) -> LabelSet:
        """The classes of the dataset."""
        return self.train.label_set

    def training_batches(self, epoch: Callable[[], int], share: tuple[int, int] | None = None) -> tf.data.Dataset:
        """Return the batches of one epoch; `epoch` says which, and is asked at the start of each pass.

        With a `share`, (index, count), each is the part of one of `count` processes: the recipe's batch is theirs
        together.

        Their number is known: where unreadable pairs are skipped, the epoch's first examples come again to fill it.
        """
        recipe = self.recipe
        plan = augment.recipe(recipe.augment)
        if recipe.class_aware is not None:
            plan = dataclasses.replace(plan or augment.Recipe(), class_aware=recipe.class_aware)
        batches = data.load(self.train, image_size=recipe.image_size, batch_share=share,
                            batch_size=recipe.batch_size // (share[1] if share else 1),
                            augment=plan or False, seed=recipe.seed, epoch=epoch, patches=recipe.patches,
                            **self._load_options)
        if recipe.data_options.get("on_error") != "skip" or batches.cardinality() >= 0:
            return batches
        steps = max(len(self.train) * recipe.patches // recipe.batch_size, 1)
        return batches.repeat().take(steps).apply(tf.data.experimental.assert_cardinality(steps))

    def validation_batches(self, share: tuple[int, int] | None = None) -> tf.data.Dataset:
        """Return the validation split at the recipe's size, never augmented, its number of batches known.

        With a `share`, (index, count), it is every `count`-th batch from `index` on; batches are smaller only if there
        were not one for each process.

        It has no border weights, so that the loss on it is comparable. Where unreadable pairs are skipped, one pass
        counts the batches, as Keras asks for their number.
        """
        size = self.recipe.batch_size if share is None else min(self.recipe.batch_size,
                                                                max(len(self.validation) // share[1], 1))
        batches = self._validation(size, shuffle=False, batch_share=share)
        if batches.cardinality() >= 0:
            return batches
        return batches.apply(tf.data.experimental.assert_cardinality(sum(1 for _ in batches)))

    def validation_examples(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels `[B, H, W, channels]` and labels of the same `count` drawn validation images."""
        pixels, labels = next(iter(self._validation(count, shuffle=True)))
        return pixels.numpy(), labels.numpy()

    def class_weights(self, method: str) -> np.ndarray:
        """Return float32 `[classes]` from the training labels, see `kseg.data.class_weights`."""
        return data.class_weights(self.train, method=method, on_error=self.recipe.data_options.get("on_error", "raise"))

    def _validation(self, batch_size, shuffle, batch_share=None):
        options = {name: value for name, value in self._load_options.items() if name != "border_weights"}
        return data.load(self.validation, image_size=self.recipe.image_size, batch_size=batch_size, shuffle=shuffle,
                         drop_remainder=False, seed=0, epoch=0, batch_share=batch_share, **options)

    @property
    def _load_options(self):
        """The options of the dataset that concern its batches, not its source."""
        return {name: value for name, value in self.recipe.data_options.items() if name not in SOURCE_OPTIONS}
