"""What a training run is made of: data, model, optimiser, loss, length; plain values that a record can repeat."""

import copy
import dataclasses
import json

from kseg import checks
from kseg.labels import LabelSet
from kseg.models import BUILDERS

LOSSES = ("cross_entropy", "dice", "focal", "jaccard", "lovasz_softmax", "tversky")
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("poly", "constant")
PRECISIONS = (None, "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides a training run; `kseg.training.train` runs it, `run.json` records it.

    Args:
        model: str, a builder of `kseg.models`.
        encoder_name, encoder_weights: as the builder takes them; None leaves the builder's default.
        model_options: dict, other arguments of the builder: {"output_stride": 16, "aux": True}.
        data, data_dir: name and folder of the dataset, as `kseg.data.load` takes them.
        data_options: dict, other arguments of `kseg.data.load`: {"classes": 2, "channels": 1, "cache": "memory"}.
        image_size: (height, width) in pixels, of training and of validation during training.
        batch_size: int.
        augment: True, False, the name of a recipe of `kseg.data.augment`, or a dict of its fields.
        class_aware: float or None, share of the crops centred on a class drawn evenly (class-balanced sampling); needs
            an `augment` with scales above 1, which alone crop.
        patches: int, how often an epoch takes each image.
        epochs: int; steps: int or None, the length in optimiser steps instead, rounded up to whole epochs.
        optimizer: "adamw" or "sgd" (momentum `momentum`).
        learning_rate, weight_decay: float. decay_biases: bool. clipnorm: float or None, of the global norm.
        multipliers: dict of part -> factor on the learning rate, {"encoder": 1.0, "head": 10.0}, or None.
        schedule: "poly" (with `power`) or "constant". warmup_steps: int, of a poly schedule.
        loss: str or dict of name -> weight; names: cross_entropy, dice, focal, jaccard, lovasz_softmax, tversky.
        class_weights: None, a list with one number a class, or how `kseg.data.class_weights` computes them, e.g.
            "median_frequency"; of every loss (`alpha` of focal).
        label_smoothing, ohem_fraction, ohem_threshold: of the cross-entropy.
        freeze_encoder, freeze_batch_normalization: bool.
        mixed_precision: None, "mixed_float16" or "mixed_bfloat16".
        ema: float or None, momentum of the moving average of the weights, which validation and best model then use.
        early_stopping: int or None, validations without a better mIoU until training ends.
        validate_every: int, epochs from one validation to the next; the last epoch is always validated.
        seed: int, of the initial weights, dropout, order and augmentation.
    Raises:
        ValueError, TypeError: for an illegal value.
    """

    model: str = "PSPNet"
    encoder_name: str = None
    encoder_weights: str = None
    model_options: dict = dataclasses.field(default_factory=dict)
    data: str = "shapes"
    data_dir: str = None
    data_options: dict = dataclasses.field(default_factory=dict)
    image_size: tuple = (128, 128)
    batch_size: int = 8
    augment: object = True
    class_aware: float = None
    patches: int = 1
    epochs: int = 10
    steps: int = None
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_biases: bool = True
    clipnorm: float = None
    multipliers: dict = None
    schedule: str = "poly"
    power: float = 0.9
    warmup_steps: int = 0
    loss: object = "cross_entropy"
    class_weights: object = None
    label_smoothing: float = 0.0
    ohem_fraction: float = None
    ohem_threshold: float = None
    freeze_encoder: bool = False
    freeze_batch_normalization: bool = False
    mixed_precision: str = None
    ema: float = None
    early_stopping: int = None
    validate_every: int = 1
    seed: int = 0

    def __post_init__(self):
        checks.one_of("model", self.model, BUILDERS)
        checks.one_of("optimizer", self.optimizer, OPTIMIZERS)
        checks.one_of("schedule", self.schedule, SCHEDULES)
        checks.one_of("mixed_precision", self.mixed_precision, PRECISIONS)
        object.__setattr__(self, "image_size", checks.image_size(self.image_size))
        for name in ("batch_size", "patches", "epochs", "validate_every"):
            object.__setattr__(self, name, checks.positive_integer(name, getattr(self, name)))
        for name in ("steps", "early_stopping"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checks.positive_integer(name, getattr(self, name)))
        checks.positive_integer("seed", self.seed, "Pass a whole number from 0.", minimum=0)
        checks.positive_integer("warmup_steps", self.warmup_steps, "Pass 0 for no warm-up.", minimum=0)
        for name, high in (("ema", 1), ("class_aware", 1)):
            if getattr(self, name) is not None:
                checks.number_between(name, getattr(self, name), 0, high)
        object.__setattr__(self, "loss", _checked_loss(self.loss))
        if self.model_options.get("padding") == "valid":
            raise ValueError(checks.sentence(
                "model_options", "must not hold padding='valid', whose logits are smaller than the labels",
                self.model_options, "Train it with model.fit on labels cropped by 92 pixels a side: "
                "data.map(lambda pixels, labels: (pixels, labels[:, 92:-92, 92:-92]))."))
        for name in ("label_smoothing", "ohem_fraction", "ohem_threshold"):
            if getattr(self, name) and "cross_entropy" not in self.loss:
                raise ValueError(checks.sentence(name, "must be left out where no cross_entropy is in `loss`",
                                                 getattr(self, name), "Add it: loss={'cross_entropy': 1.0, ...}."))
        if self.class_weights is not None and not isinstance(self.class_weights, str):
            object.__setattr__(self, "class_weights", checks.weights_of_classes("class_weights", self.class_weights))
        for name, value in self.to_dict().items():
            try:
                json.dumps(value)
            except TypeError as failure:
                raise TypeError(checks.sentence(name, "must hold plain values, which run.json can record", value,
                                                "Pass numbers, texts, lists and dicts of them.")) from failure

    def to_dict(self):
        """Return the fields as JSON-ready values."""
        values = copy.deepcopy({field.name: getattr(self, field.name) for field in dataclasses.fields(self)})
        values["image_size"] = list(self.image_size)
        options = values["data_options"] or {}
        if isinstance(options.get("classes"), LabelSet):
            options["classes"] = options["classes"].to_dict()
        return values

    @classmethod
    def from_dict(cls, values):
        """Return the recipe that `to_dict` described.

        Raises:
            ValueError: if a key is no field of a recipe.
        """
        fields = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            checks.one_of("recipe", name, fields)
        options = dict(values.get("data_options") or {})
        if options.get("label_map"):  # JSON has text keys only
            options["label_map"] = {int(stored): int(to) for stored, to in options["label_map"].items()}
        if isinstance(options.get("classes"), dict):
            options["classes"] = LabelSet.from_dict(options["classes"])
        return cls(**{**values, "data_options": options})


def _checked_loss(loss):
    """Return the loss as a dict of name -> weight."""
    terms = {loss: 1.0} if isinstance(loss, str) else loss
    if not isinstance(terms, dict) or not terms:
        raise TypeError(checks.sentence("loss", "must be a name or a dict of name -> weight", loss,
                                        "Write for example loss={'cross_entropy': 1.0, 'dice': 0.5}."))
    for name, weight in terms.items():
        checks.one_of("loss", name, LOSSES)
        checks.number_between("loss", weight, 0, 1e6)
    return dict(terms)
