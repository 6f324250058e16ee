"""The model class every builder returns: a functional graph from pixels to logits, ready for `fit`."""

import functools
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import keras

from kseg import checks, replicas, tasks
from kseg.data.pixel_range import PixelRange
from kseg.labels import LabelSet
from kseg.models import onnx_graph
from kseg.models.auxiliary import auxiliary_loss
from kseg.models.keras_arguments import looked_at, scaled_loss, without_pauses
from kseg.models.notebook import html_of
from kseg.models.tensorboard import require_tensorboard
from kseg.types import Config, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class Segmenter(keras.Model):
    """A functional `keras.Model`, pixels `[B, H, W, in_channels]` to float32 logits `[B, H, W, classes]`.

    With an auxiliary head the graph has two outputs in training; `model(x)`, `predict`, saving and export see the
    logits alone. The auxiliary output is trained with the compiled loss times `aux_weight`, logged as `aux_loss`.
    `Segmenter.from_config(model.get_config())` makes a copy. Of a model that is not compiled,
    `keras.models.clone_model` knows neither `aux_weight` nor `label_set`, `pixel_range`, `task` and `threshold`.

    Args:
        inputs: the pixels `KerasTensor`.
        outputs: the logits, or the list [logits, auxiliary logits, ...]; the losses of several are summed.
        aux_weight: float, weight of the auxiliary loss (PSPNet section 3.3: 0.4).
        label_set: `LabelSet` or None, the classes the model was trained on; saved with it.
        pixel_range: `PixelRange`, (low, high), one such pair per band, or None: the stored numbers that were pixels 0
            and 255 in training (see `kseg.data.load`); saved with it. The model itself takes pixels 0–255 as ever:
            `kseg.predict` and what `kseg.export` writes take the numbers as they are stored, and scale them by it.
        task: "multiclass", "binary" or "multilabel", what the logits mean; saved with it. None: "binary" for one class,
            else "multiclass".
        threshold: as the attribute.
    """

    def __init__(self, inputs: keras.KerasTensor, outputs: keras.KerasTensor | list[keras.KerasTensor],
                 name: str | None = None, *, aux_weight: float = 0.4, label_set: LabelSet | None = None,
                 pixel_range: PixelRange | Sequence | None = None, task: str | None = None,
                 threshold: tasks.Threshold = None, **kwargs: Any):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.autocast = False  # pixels stay float32 until they are normalised, also under mixed precision
        self.has_aux = isinstance(outputs, (list, tuple)) and len(outputs) > 1
        self.aux_weight = aux_weight
        self.label_set = label_set
        self.pixel_range = pixel_range
        self.task = tasks.known(task, self.classes).name
        self.threshold = threshold
        self._saved_after_training = False
        self._aux_loss = keras.metrics.Mean(name="aux_loss") if self.has_aux else None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.outputs[0].shape[-1]

    @property
    def threshold(self) -> float | tuple[float, ...] | None:
        """The probability that a class must exceed, or one per class; None where the largest logit decides.

        Tasks "binary" and "multilabel" begin with 0.5, which None brings back. `predict`, evaluation and exports follow
        it, and it is saved with the model; `kseg.evaluate(model, ...).best_threshold` is the best on labelled images.
        """
        return self._threshold

    @threshold.setter
    def threshold(self, value: tasks.Threshold) -> None:
        task = tasks.of(self.task)
        default = None if task.exclusive else tasks.DEFAULT_THRESHOLD
        self._threshold = task.checked_threshold(default if value is None else value, self.classes)

    @property
    def in_channels(self) -> int:
        """Number of input bands."""
        return self.inputs[0].shape[-1]

    @property
    def pixel_range(self) -> PixelRange | None:
        """The stored numbers that were pixels 0 and 255 in training, or None for images of 8 bits; may be set."""
        return self._pixel_range

    @pixel_range.setter
    def pixel_range(self, value: PixelRange | Sequence | None) -> None:
        self._pixel_range = PixelRange.of(value, self.in_channels)

    @property
    def encoder(self) -> keras.Model | None:
        """The encoder, a `keras.Model` pixels -> features, or None where the paper's network has no separate one."""
        return next((layer for layer in self.layers if layer.name == "encoder"), None)

    def _repr_html_(self) -> str:
        """Return what notebooks show: name, task, sizes, stages of the encoder, classes."""
        return html_of(self)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        outputs = super().call(inputs, training=training, mask=mask)
        return outputs[0] if self.has_aux and not training else outputs

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        outputs = super().compute_output_spec(inputs, training=training, mask=mask)
        return outputs[0] if self.has_aux and not training else outputs

    def compile(self, optimizer: str | keras.optimizers.Optimizer = "rmsprop", loss: Any = None,
                **kwargs: Any) -> None:
        """As `keras.Model.compile`; optimisers of `kseg.training` learn which weights belong to which part.

        What is left out is none: a model compiled without `loss` has no loss to train with, whatever it was compiled
        with before, and one compiled without `metrics` has no metrics.
        """
        self.loss = self._compile_loss = self._compile_metrics = None  # else Keras keeps those of the last `compile`
        if kwargs.get("auto_scale_loss", True):
            optimizer = scaled_loss(optimizer, self)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # mixed_float16 wraps the optimiser
        if hasattr(inner, "bind_model"):
            inner.bind_model(self)

    @functools.wraps(keras.Model.fit, assigned=("__name__", "__qualname__"))
    def fit(self, *arguments: Any, **options: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`. A `tf.data.Dataset` runs with tf.data's autotuning off.

        Else an epoch now and then begins with a pause of up to a minute (`kseg.data.parallelism`); throughput was the
        same without it. A dataset whose options set `autotune.enabled` keeps its setting.

        What looks wrong with the first images, or with the classes of the first epoch, is told once by a
        `kseg.DataWarning` (`kseg.models.first_images`).

        Raises:
            ValueError: if `class_weight` is given: label maps take class weights in the loss.
            ImportError: for `keras.callbacks.TensorBoard`, if tensorboard is not installed (extra `tensorboard`).
        """
        given = without_pauses(super().fit, arguments, options)
        require_tensorboard(given.get("callbacks"))
        if given.get("class_weight") is not None:
            raise ValueError(checks.sentence(
                "class_weight", "must be None for label maps", given["class_weight"],
                "Compile with kseg.losses.CrossEntropy(class_weights=[...]), see kseg.data.class_weights."))
        return super().fit(**looked_at(given, self))

    @functools.wraps(keras.Model.evaluate, assigned=("__name__", "__qualname__"))
    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        """As `keras.Model.evaluate`; a `tf.data.Dataset` as in `fit`."""
        given = without_pauses(super().evaluate, arguments, options)
        return super().evaluate(**given.pop("kwargs", {}), **given)

    @functools.wraps(keras.Model.predict, assigned=("__name__", "__qualname__"))
    def predict(self, *arguments: Any, **options: Any) -> Any:
        """As `keras.Model.predict`; a `tf.data.Dataset` as in `fit`, and the first pixels are looked at as there."""
        return super().predict(**looked_at(without_pauses(super().predict, arguments, options), self))

    @functools.wraps(keras.Model.export, assigned=("__name__", "__qualname__"))
    def export(self, *arguments: Any, **options: Any) -> None:
        """As `keras.Model.export`, also of a model that has not been called, which Keras refuses to write as ONNX.

        `kseg.export` also compares what it writes with the model, and stores class names and palette with it.
        """
        given = inspect.signature(super().export).bind(*arguments, **options).arguments
        self(keras.Input(self.inputs[0].shape[1:]))
        super().export(**given.pop("kwargs", {}), **given)
        if given.get("format") == "onnx":
            onnx_graph.mend_file(given["filepath"])

    def make_train_function(self, force: bool = False) -> Any:
        if self.compiled and self.optimizer is not None and not self.optimizer.built:
            # Else the first trace makes the optimiser's variables, and TensorFlow traces the whole step again.
            with self.distribute_strategy.scope() if keras.backend.backend() == "tensorflow" else nullcontext():
                self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def get_compile_config(self) -> Config | None:
        """As Keras's, and what is special about this model: `keras.models.clone_model` hands on nothing else."""
        config = super().get_compile_config()
        return {**config, "segmenter": self._own_config()} if config else config

    def compile_from_config(self, config: Config) -> None:
        """Compile as the saved model was compiled; Keras leaves this to classes with a `compile` of their own."""
        config = dict(config)
        self._take_own_config(config.pop("segmenter", None))
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self._saved_after_training:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return super().metrics + ([self._aux_loss] if self.has_aux else [])

    def compute_loss(self, x: Tensor = None, y: Tensor = None, y_pred: Tensor = None, sample_weight: Tensor = None,
                     training: bool = True) -> Tensor:
        if not isinstance(y_pred, (list, tuple)):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        logits, *aux_outputs = y_pred
        loss = super().compute_loss(x, y, logits, sample_weight, training)
        aux_loss = auxiliary_loss(self.loss, y, aux_outputs, sample_weight)
        self._aux_loss.update_state(aux_loss * replicas.count())
        return loss + self.aux_weight * aux_loss

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> dict[str, Any]:
        training = isinstance(y_pred, (list, tuple))
        results = super().compute_metrics(x, y, y_pred[0] if training else y_pred, sample_weight)
        if not training:
            results.pop("aux_loss", None)  # the auxiliary head does not run outside training
        return results

    def get_config(self) -> Config:
        config = super().get_config()
        config["segmenter"] = {**self._own_config(), "trained": self.compiled and self.optimizer.built}
        return config

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> "Segmenter":
        config = dict(config)
        own = config.pop("segmenter", {})
        model = super().from_config(config, custom_objects=custom_objects)
        model._take_own_config(own)
        model._saved_after_training = own.get("trained", False)
        return model

    def _own_config(self):
        """Return what a graph does not say about the model."""
        return {"aux_weight": self.aux_weight, "label_set": self.label_set.to_dict() if self.label_set else None,
                "pixel_range": self.pixel_range.to_list() if self.pixel_range else None, "task": self.task,
                "threshold": self.threshold}

    def _take_own_config(self, own):
        if own is None:  # a file of before
            return
        self.aux_weight = own.get("aux_weight", 0.4)
        self.label_set = LabelSet.from_dict(own["label_set"]) if own.get("label_set") else None
        self.pixel_range = own.get("pixel_range")
        self.task = own.get("task", "multiclass")
        self.threshold = own.get("threshold")
