"""One step of adversarial training: both losses measured, the networks that move updated.

Reference: Luc et al., arXiv:1611.08408, sections 3.1 and 3.2 (the non-saturating term).
"""

import typing

import keras
import tensorflow as tf
from keras import ops

from kseg import checks, replicas
from kseg.training.adversarial import label_encodings

Tensor = typing.Any  # a tensor of the backend
LOSSES = ("segmentation_loss", "adversarial_loss", "discriminator_real_loss", "discriminator_generated_loss",
          "discriminator_accuracy")


def step(trainer: keras.Model, pixels: Tensor, labels: Tensor, weights: Tensor | None
         ) -> tuple[Tensor | list[Tensor], list[Tensor]]:
    """Update the networks whose turn it is, and count the step; arguments and results are those of `updated`."""
    if trainer.pretraining:
        return updated(trainer, pixels, labels, weights, moving=(False, True))
    if trainer.update == "simultaneous":
        results = updated(trainer, pixels, labels, weights, moving=(True, True))
    else:
        results = ops.cond(trainer.steps_done // trainer.alternate_every % 2 == 0,
                           lambda: updated(trainer, pixels, labels, weights, moving=(True, False)),
                           lambda: updated(trainer, pixels, labels, weights, moving=(False, True)))
    trainer.steps_done.assign_add(1)
    return results


def updated(trainer: keras.Model, pixels: Tensor, labels: Tensor, weights: Tensor | None,
            moving: tuple[bool, bool]) -> tuple[Tensor | list[Tensor], list[Tensor]]:
    """Update the networks that are `moving`: (the segmenter, the discriminator).

    Returns:
        (the segmenter's outputs, [float32 scalars: its total loss, then `LOSSES`]).
    Raises:
        NotImplementedError: in a strategy of several replicas.
    """
    if replicas.count() > 1:
        raise NotImplementedError(checks.sentence("replicas", "must be 1 for adversarial training", replicas.count(),
                                                  "Train outside of the strategy's scope, on one device."))
    segmenter, discriminator = trainer.segmenter, trainer.discriminator
    with tf.GradientTape(persistent=True) as tape:
        outputs = _run(segmenter, pixels, moving[0])
        segmentation = segmenter.compute_loss(x=pixels, y=labels, y_pred=outputs, sample_weight=weights)
        real, generated = label_maps(trainer, pixels, labels, outputs)
        for_real = _annotated_over_predicted(_run(discriminator, real, moving[1]))
        for_generated = _annotated_over_predicted(_run(discriminator, generated, moving[1]))
        adversarial = ops.mean(ops.softplus(-for_generated))
        on_real, on_generated = ops.mean(ops.softplus(-for_real)), ops.mean(ops.softplus(for_generated))
        total = segmentation
        if trainer.adversarial_weight:
            total = segmentation + trainer.adversarial_weight * adversarial
        objectives = (segmenter.optimizer.scale_loss(total), discriminator.optimizer.scale_loss(on_real + on_generated))
    for network, objective, moves in zip((segmenter, discriminator), objectives, moving, strict=True):
        if moves:
            gradients = tape.gradient(objective, network.trainable_weights)
            network.optimizer.apply_gradients(zip(gradients, network.trainable_weights))
    right = [ops.mean(ops.cast(one, "float32")) for one in (for_real > 0, for_generated <= 0)]
    return outputs, [total, segmentation, adversarial, on_real, on_generated, sum(right) / 2]


def label_maps(trainer: keras.Model, pixels: Tensor, labels: Tensor, outputs: Tensor | list[Tensor]
               ) -> tuple[Tensor | list[Tensor], Tensor | list[Tensor]]:
    """Return what the discriminator is shown of the annotation and of the prediction.

    `outputs` are logits `[B, H, W, classes]`, or a list that begins with them.

    Returns:
        (real, generated): float32 `[B, h, w, channels]` each, or [maps, image] for a discriminator of two inputs.
    """
    logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
    labels = labels[..., 0] if len(labels.shape) == 4 else labels
    labels, logits = (label_encodings.on_grid(one, trainer.stride) for one in (labels, logits))
    valid = ops.not_equal(labels, trainer.ignore_class)
    generated = label_encodings.probabilities(logits, valid)
    real = label_encodings.one_hot(labels, trainer.segmenter.classes, valid)
    if trainer.label_encoding == "scaling":
        real = label_encodings.scaled(real, ops.stop_gradient(generated), trainer.scaling_threshold)
    image = ops.cast(label_encodings.on_grid(pixels, trainer.stride), "float32") / 255.0
    if trainer.label_encoding == "product":
        real, generated = (label_encodings.product(maps, image) for maps in (real, generated))
    if len(trainer.discriminator.inputs) == 2:
        return [real, image], [generated, image]
    return real, generated


def _run(network, inputs, moves):
    """Run in training mode; unless the network `moves`, its statistics and random seeds stay as they are."""
    if moves:
        return network(inputs, training=True)
    with keras.StatelessScope():
        return network(inputs, training=True)


def _annotated_over_predicted(logits):
    """Return the log-odds that a map is an annotation, float32 `[B]`; softplus of it is the two-way cross-entropy."""
    logits = ops.cast(logits, "float32")
    return logits[:, 1] - logits[:, 0]
