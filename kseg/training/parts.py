"""The parts a recipe is made of: data, network, optimisation and loss. Plain values; nothing here loads TensorFlow.

Each field stands here once, with its type, default, meaning and choices. `kseg train` makes its options from them, and
the docstring of a recipe its arguments.
"""

import dataclasses
import math
import typing

from kseg import checks, tasks
from kseg.data.label_ids import read_map
from kseg.models import BUILDERS

LOSSES = ("cross_entropy", "dice", "focal", "jaccard", "lovasz_softmax", "lovasz_hinge", "tversky")
OF_SOFTMAX, OF_SIGMOID = ("lovasz_softmax",), ("lovasz_hinge",)  # those that only one kind of task has
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("poly", "constant")
PRECISIONS = (None, "mixed_float16", "mixed_bfloat16")
SOURCE_OPTIONS = ("classes", "channels", "label_map", "nearest_colour", "image_pattern", "label_pattern",
                  "split_fractions", "split_groups", "split_seed", "split_lists", "exif", "annotations",
                  "overlap", "pixel_range")  # of `kseg.data.source`
DATA_OPTIONS = (*SOURCE_OPTIONS, "cache", "cache_size", "on_error", "shard", "border_weights")  # of `kseg.data.load`
_FIELDS = {"name": "data", **{name: name for name in (  # argument of `load` -> field of a recipe
    "data_dir", "image_size", "batch_size", "augment", "patches", "seed", "task")}}


def option(default: typing.Any, text: str, choices: tuple | None = None) -> typing.Any:
    """Return a dataclass field whose meaning is `text`, and whose legal values are `choices` if there are any."""
    metadata = {"text": text, "choices": choices}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which images a run trains on, at which size, in which order, and how they are augmented."""

    data: str = option("shapes", "shapes, folder, camvid, voc2012, cityscapes, ade20k, coco, coco_panoptic, yolo, "
                       "labelme, cvat, cvat_masks, label_studio, supervisely, nifti, records or tfds:NAME")
    data_dir: str | None = option(None, "where the dataset's files are")
    data_options: dict = option({}, "other arguments of kseg.data.load, e.g. classes=2")
    task: str = option("multiclass", "a pixel has one class, is foreground or not (masks may be 0 and 255), or may "
                       "have several classes (a mask file for each)", tuple(tasks.TASKS))
    image_size: tuple[int, int] = option((128, 128), "height and width in pixels, of training and of its validation")
    batch_size: int = option(8, "images per step")
    augment: bool | str | dict = option(
        True, "true, false, the name of a recipe of kseg.data.augment, or a JSON object of its fields")
    class_aware: float | None = option(
        None, "share of crops centred on an evenly drawn class; needs an augment with scales above 1, which alone crop")
    patches: int = option(1, "how often an epoch takes each image")
    seed: int = option(0, "of initial weights, dropout, order and augmentation")

    def __post_init__(self) -> None:
        tasks.of(self.task)
        set_field(self, "image_size", checks.image_size(self.image_size))
        for name in ("batch_size", "patches"):
            set_field(self, name, checks.positive_integer(name, getattr(self, name)))
        checks.positive_integer("seed", self.seed, "Pass a whole number from 0.", minimum=0)
        if self.class_aware is not None:
            checks.number_between("class_aware", self.class_aware, 0, 1)
        for name in self.data_options:
            if name in _FIELDS:
                raise ValueError(checks.sentence(
                    "data_options", f"must not hold {name!r}, which the recipe's field `{_FIELDS[name]}` says",
                    self.data_options, f"Set {_FIELDS[name]} in the recipe instead."))
            checks.one_of("data_options", name, DATA_OPTIONS)
        if self.data_options.get("label_map") is not None:
            label_map = read_map(self.data_options["label_map"])
            set_field(self, "data_options", {**self.data_options, "label_map": label_map})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """Which network a run builds, and which of its weights are kept."""

    model: str = option("PSPNet", "builder, see `kseg models`")
    encoder_name: str | None = option(None, "encoder, see `kseg models`; left out: the builder's")
    encoder_weights: str | None = option(None, "imagenet, or a .weights.h5, .npz, .safetensors or .pth file")
    model_options: dict = option({}, "other arguments of the builder, e.g. output_stride=16")
    mixed_precision: str | None = option(None, "compute in half precision", PRECISIONS)
    ema: float | None = option(
        None, "momentum of a moving average of the weights, which validation and the best model then use")

    def __post_init__(self) -> None:
        checks.one_of("model", self.model, BUILDERS)
        checks.one_of("mixed_precision", self.mixed_precision, PRECISIONS)
        if "task" in self.model_options:
            raise ValueError(checks.sentence("model_options", "must not hold 'task', which a field of the recipe says",
                                             self.model_options, "Set task in the recipe instead."))
        if self.ema is not None:
            checks.number_between("ema", self.ema, 0, 1)
        if self.model_options.get("padding") == "valid":
            raise ValueError(checks.sentence(
                "model_options", "must not hold padding='valid', whose logits are smaller than the labels",
                self.model_options, "Train it with model.fit on labels cropped by 92 pixels a side: "
                "data.map(lambda pixels, labels: (pixels, labels[:, 92:-92, 92:-92]))."))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimization:
    """How long a run trains, which weights move, and how fast."""

    epochs: int = option(10, "passes over the training images")
    steps: int | None = option(None, "length in optimiser steps instead of epochs, rounded up to whole epochs")
    optimizer: str = option("adamw", "which optimiser", OPTIMIZERS)
    learning_rate: float = option(1e-3, "at its highest")
    momentum: float = option(0.9, "of sgd")
    weight_decay: float = option(1e-4, "decoupled")
    decay_biases: bool = option(True, "weight decay also on biases and batch normalisation")
    clipnorm: float | None = option(None, "greatest norm of all gradients together")
    multipliers: dict[str, float] | None = option(
        None, "learning-rate factors of encoder, head or a layer, e.g. encoder=0.1")
    schedule: str = option("poly", "of the learning rate", SCHEDULES)
    power: float = option(0.9, "of the poly schedule")
    warmup_steps: int = option(0, "steps of linear warm-up of the poly schedule")
    freeze_encoder: bool = option(False, "hold the encoder's weights and statistics")
    freeze_batch_normalization: bool = option(False, "hold statistics and affine weights of batch normalisation")
    synchronize_batch_normalization: bool = option(
        False, "on several devices of TensorFlow: normalise by the statistics of the whole batch, not of each device's "
        "part (on JAX they always are the whole batch's)")
    early_stopping: int | None = option(None, "validations without a better mean IoU until training ends")
    validate_every: int = option(1, "epochs from one validation to the next; the last epoch is always validated")

    def __post_init__(self) -> None:
        checks.one_of("optimizer", self.optimizer, OPTIMIZERS)
        checks.one_of("schedule", self.schedule, SCHEDULES)
        for name in ("epochs", "validate_every"):
            set_field(self, name, checks.positive_integer(name, getattr(self, name)))
        for name in ("steps", "early_stopping"):
            if getattr(self, name) is not None:
                set_field(self, name, checks.positive_integer(name, getattr(self, name)))
        checks.positive_integer("warmup_steps", self.warmup_steps, "Pass 0 for no warm-up.", minimum=0)

    def whole_epochs(self, steps_per_epoch: int) -> int:
        """Return the length of the run in epochs: `epochs`, or as many as `steps` need."""
        return self.epochs if self.steps is None else math.ceil(self.steps / steps_per_epoch)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """What a run minimises."""

    loss: str | dict[str, float] = option(
        "cross_entropy", f"a name, or the terms of a weighted sum, name -> weight: {', '.join(LOSSES)}; of the sigmoid "
        "for a binary or multilabel task, which alone have the hinge")
    class_weights: str | list | None = option(
        None, "of every term (alpha of focal): a list with one number per class, or how kseg.data.class_weights "
        "computes them, e.g. median_frequency; of a binary task for background and foreground, in the cross-entropy "
        "and focal")
    label_smoothing: float = option(0.0, "of the cross-entropy")
    ohem_fraction: float | None = option(None, "share of the hardest pixels that count in the cross-entropy")
    ohem_threshold: float | None = option(
        None, "pixels count in the cross-entropy whose class has a probability below this")

    def __post_init__(self) -> None:
        terms = {self.loss: 1.0} if isinstance(self.loss, str) else self.loss
        if not isinstance(terms, dict) or not terms:
            raise TypeError(checks.sentence("loss", "must be a name or a dict of name -> weight", terms,
                                            "Write for example loss={'cross_entropy': 1.0, 'dice': 0.5}."))
        for name, weight in terms.items():
            checks.one_of("loss", name, LOSSES)
            checks.number_between("loss", weight, 0, 1e6)
        set_field(self, "loss", dict(terms))
        for name in ("label_smoothing", "ohem_fraction", "ohem_threshold"):
            if getattr(self, name) and "cross_entropy" not in self.loss:
                raise ValueError(checks.sentence(name, "must be left out where no cross_entropy is in `loss`",
                                                 getattr(self, name), "Add it: loss={'cross_entropy': 1.0, ...}."))
        if self.class_weights is not None and not isinstance(self.class_weights, str):
            set_field(self, "class_weights", checks.weights_of_classes("class_weights", self.class_weights))


def set_field(part: typing.Any, name: str, value: typing.Any) -> None:
    """Put a checked value in the place of what was passed: parts are frozen once they are made."""
    object.__setattr__(part, name, value)
