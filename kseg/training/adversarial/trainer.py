"""Adversarial fine-tuning: a segmenter trained against a discriminator of annotated and predicted label maps.

segmenter:      loss(s(x), y) + adversarial_weight * bce(a(s(x)), annotated)
discriminator:  bce(a(y), annotated) + bce(a(s(x)), predicted)
Reference: Luc et al., Semantic Segmentation using Adversarial Networks, NIPS workshop 2016, arXiv:1611.08408, §3.
"""

import functools
import typing

import keras
from keras import ops

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.losses import CrossEntropy
from kseg.metrics import MeanIoU
from kseg.models.keras_arguments import looked_at, scaled_loss, without_pauses
from kseg.models.segmenter import Segmenter
from kseg.models.tensorboard import require_tensorboard
from kseg.training.adversarial import discriminators
from kseg.training.adversarial.recipe import SETTINGS, check_settings
from kseg.training.adversarial.saturation import SaturationGuard
from kseg.training.adversarial.step import LOSSES, step


@keras.saving.register_keras_serializable(package="kseg")
class AdversarialTrainer(keras.Model):
    """Trains a segmenter, and beside it a discriminator; the segmenter stays a model of its own, without a trace.

    The paper's procedure: train the segmenter as usual, `compile` the trainer, `pretrain_discriminator`, then `fit`.
    Each step logs the losses of both networks; `update` decides which of them moves. `loss` is what the segmenter is
    trained on, `val_loss` and the metrics are those of the segmenter alone, as in plain training. With
    `adversarial_weight=0` the segmenter's weights are those of plain training, bit for bit.

    The adversarial term is the non-saturating one. Label maps are compared on a grid, the middle pixel of every
    `stride`×`stride` (the paper: annotations are sampled at the resolution of the network's output, which its VOC
    network gives at stride 8; kseg's logits have the size of the image). Pixels labelled `ignore_class` are zero in
    all maps of both kinds, and carry no gradient. A network that does not move in a step runs in training mode, but
    its statistics and random seeds stand still.

    Args:
        segmenter: `kseg.models.Segmenter`, what the builders and `kseg.load_model` return; best a trained one.
        discriminator: str, a name of `kseg.training.discriminator`, or a `keras.Model` of label maps `[B, h, w,
            channels]` (and as second input the image, 0–1) → logits `[B, 2]` of (predicted, annotated).
        label_encoding: str; "basic": probabilities against one-hot maps; "product": each map times each band of the
            image (0–1); "scaling": the true class of annotated maps at max(`scaling_threshold`, its probability).
        adversarial_weight: float, lambda. Default 1.
        update: str; "alternate": `alternate_every` steps move the segmenter, then as many the discriminator, in turn;
            "simultaneous": each step moves both.
        alternate_every: int, steps. Default 500 (the paper: slow alternation).
        scaling_threshold: float, tau of "scaling". Default 0.9 (the paper).
        stride: int, pixels of the image per pixel of the label maps. Default 8; images must be at least this large.
        ignore_class: int. Default 255.
        name: str.
    Raises:
        ValueError, TypeError: for an illegal argument.
    """

    def __init__(self, segmenter: Segmenter, discriminator: str | keras.Model = "LargeFOV",
                 label_encoding: str = "basic", adversarial_weight: float = 1.0, update: str = "alternate",
                 alternate_every: int = 500, scaling_threshold: float = 0.9, stride: int = 8,
                 ignore_class: int = IGNORE_CLASS, name: str = "adversarial_trainer") -> None:
        checks.tensorflow_backend("adversarial training, whose step is written for it",
                                  "Continue the model's .keras file there: it loads on every backend.")
        super().__init__(name=name)
        self.autocast = False  # the segmenter normalises pixels in float32
        self.segmenter = as_segmenter(segmenter)
        self.label_encoding, self.adversarial_weight = label_encoding, adversarial_weight
        self.update, self.alternate_every = update, alternate_every
        self.scaling_threshold, self.stride, self.ignore_class = scaling_threshold, stride, ignore_class
        check_settings(self)
        if isinstance(discriminator, str):
            discriminator = discriminators.discriminator(discriminator, segmenter.classes, label_encoding,
                                                         segmenter.in_channels)
        self.discriminator = discriminators.checked(discriminator, segmenter, label_encoding)
        self.steps_done = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False,
                                          name="steps_done")
        self._means = [keras.metrics.Mean(name=loss) for loss in LOSSES]
        self.pretraining = False
        self.built = True

    def call(self, inputs, training=None):
        return self.segmenter(inputs, training=training)

    def compile(self, segmenter_optimizer: str | keras.optimizers.Optimizer,
                discriminator_optimizer: str | keras.optimizers.Optimizer, loss: typing.Any = None,
                metrics: list | None = None, *, run_eagerly: bool = False, steps_per_execution: int = 1,
                jit_compile: bool | str = "auto") -> None:
        """Set the optimiser of each network, and the segmenter's loss and metrics.

        Under mixed_float16 each optimiser scales its own loss.

        Args:
            segmenter_optimizer, discriminator_optimizer: optimisers or their names.
            loss, metrics: as `keras.Model.compile`; None: the segmenter's own loss, and `MeanIoU`.
            run_eagerly, steps_per_execution, jit_compile: as `keras.Model.compile`.
        Raises:
            ValueError: if an optimiser averages weights (`use_ema`), which Keras does for all weights of a model.
        """
        if loss is None:
            loss = (self.segmenter.loss if self.segmenter.compiled else None) or CrossEntropy()
        metrics = [MeanIoU(self.segmenter.classes, self.ignore_class)] if metrics is None else metrics
        options = {"run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution, "jit_compile": jit_compile}
        self.segmenter.compile(_checked(segmenter_optimizer, self.segmenter), loss, metrics=metrics, **options)
        self.discriminator.compile(_checked(discriminator_optimizer, self.discriminator), **options)
        super().compile(self.segmenter.optimizer, auto_scale_loss=False, **options)
        for network in (self.segmenter, self.discriminator):
            network.optimizer.build(network.trainable_variables)

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The segmenter's optimiser and the discriminator's."""
        return [self.segmenter.optimizer, self.discriminator.optimizer]

    @property
    def metrics(self):
        return [*self.segmenter.metrics, *self._means]

    @functools.wraps(keras.Model.fit, assigned=("__name__", "__qualname__"))
    def fit(self, *arguments: typing.Any, **options: typing.Any) -> keras.callbacks.History:
        """As the segmenter's own `fit`; a `SaturationGuard` watches the discriminator, given or by default."""
        given = without_pauses(super().fit, arguments, options)
        callbacks = given.get("callbacks")
        require_tensorboard(callbacks)
        if not self.pretraining and isinstance(callbacks, (list, tuple, type(None))):
            guarded = any(isinstance(callback, SaturationGuard) for callback in callbacks or ())
            given["callbacks"] = [*(callbacks or ()), *(() if guarded else (SaturationGuard(),))]
        return super().fit(**looked_at(given, self.segmenter))

    def pretrain_discriminator(self, dataset: typing.Any, epochs: int = 1, steps: int | None = None,
                               verbose: int | str = "auto", callbacks: list | None = None) -> keras.callbacks.History:
        """Train the discriminator alone; nothing of the segmenter changes, nor is the alternation's step counted.

        Args:
            dataset: `tf.data.Dataset` of (pixels, labels).
            epochs: int, passes over it; steps: int or None, optimiser steps instead, repeating it as needed.
            verbose, callbacks: as `keras.Model.fit`.
        Returns:
            `keras.callbacks.History`.
        """
        if steps is not None:
            checks.positive_integer("steps", steps)
            dataset, epochs = dataset.repeat(), 1
        self.pretraining, self.train_function = True, None
        try:
            return self.fit(dataset, epochs=epochs, steps_per_epoch=steps, shuffle=False,
                            verbose=verbose, callbacks=callbacks)
        finally:
            self.pretraining, self.train_function = False, None

    def train_step(self, data):
        pixels, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        outputs, losses = step(self, pixels, labels, weights)
        mean_total = next(metric for metric in self.segmenter.metrics if metric.name == "loss")
        for mean, loss in zip([mean_total, *self._means], losses, strict=True):
            mean.update_state(loss, sample_weight=ops.shape(labels)[0])
        results = self.segmenter.compute_metrics(pixels, labels, outputs, weights)
        return {**results, **{mean.name: mean.result() for mean in self._means}}

    def test_step(self, data):
        return self.segmenter.test_step(data)

    def get_config(self):
        return {
            "segmenter": keras.saving.serialize_keras_object(self.segmenter),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            **{name: getattr(self, name) for name in (*SETTINGS, "ignore_class", "name")}}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        networks = {name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
                    for name in ("segmenter", "discriminator")}
        return cls(**{**config, **networks})

    def get_compile_config(self):
        segmenter = self.segmenter.get_compile_config()
        return {"segmenter_optimizer": segmenter["optimizer"], "loss": segmenter["loss"],
                "discriminator_optimizer": self.discriminator.get_compile_config()["optimizer"],
                **{name: segmenter[name] for name in ("metrics", "run_eagerly", "steps_per_execution", "jit_compile")}}

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))


def as_segmenter(model: keras.Model) -> Segmenter:
    """Return `model` if it is one of `kseg.models`; raise TypeError otherwise."""
    if not isinstance(model, Segmenter):
        raise TypeError(checks.sentence("segmenter", "must be a model of kseg.models", type(model).__name__,
                                        "Build one, or load a trained one with kseg.load_model."))
    checks.one_of("task", model.task, ("multiclass",), context=" for adversarial training",
                  advice="The discriminators are of label maps with one class per pixel.")
    return model


def _checked(optimizer, model):
    """Return the optimiser, in a `LossScaleOptimizer` if the model computes in float16."""
    optimizer = keras.optimizers.get(optimizer)
    if getattr(getattr(optimizer, "inner_optimizer", optimizer), "use_ema", False):
        raise ValueError(checks.sentence("use_ema", "must be False for adversarial training", True,
                                         "Leave it out; keep the best model by validation instead."))
    return scaled_loss(optimizer, model)
