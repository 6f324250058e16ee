"""What every builder begins and ends with: pixels, an encoder that has the stages it needs, a compiled model."""

from collections.abc import Sequence

import keras

from kseg import checks, tasks
from kseg.encoders import build_encoder
from kseg.losses import BinaryCrossEntropy, CrossEntropy, SegmentationLoss
from kseg.metrics import MeanIoU
from kseg.models.fused_adamw import adamw
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize


def pixels_input(in_channels: int, image_size: ImageSize, classes: int,
                 task: str = "multiclass") -> keras.KerasTensor:
    """Return the `pixels` input after checking the four arguments every builder shares."""
    tasks.of(task).check_classes(classes)
    checks.positive_integer("in_channels", in_channels, "Use 3 for RGB images and 1 for grey ones.")
    height, width = checks.image_size(image_size, allow_none=True)
    return keras.Input((height, width, in_channels), dtype="float32", name="pixels")


def encoder_for(pixels: keras.KerasTensor, encoder_name: EncoderName, encoder_weights: EncoderWeights, *,
                builder: str, stages: Sequence[str], output_stride: int = 32,
                multi_grid: tuple[int, int, int] | None = None, full_rates: bool = False,
                last_stage: str = "c5") -> keras.Model:
    """Return the encoder for images like `pixels`, to features that hold the `stages`.

    Args:
        pixels: `KerasTensor` `[B, H, W, in_channels]`; its bands and, where known, its size are the encoder's.
        encoder_name, encoder_weights, output_stride, multi_grid, full_rates, last_stage: as
            `kseg.encoders.build_encoder`.
        builder: str, name of the model, for the error sentence.
        stages: sequence of str, for example ("c3", "c4", "c5").
    Raises:
        ValueError: if there is no such encoder, or it lacks one of the stages.
    """
    *size, bands = pixels.shape[1:]
    encoder = build_encoder(encoder_name, output_stride, encoder_weights, bands, multi_grid=multi_grid,
                            full_rates=full_rates, last_stage=last_stage, image_size=tuple(size))
    require_stages(encoder, stages, encoder_name, builder)
    return encoder


def require_stages(encoder: keras.Model, stages: Sequence[str], encoder_name: EncoderName, builder: str) -> None:
    """Raise ValueError unless the features of `encoder` hold the `stages`."""
    missing = [stage for stage in stages if stage not in encoder.output]
    if missing:
        shown = encoder_name if isinstance(encoder_name, str) else type(encoder_name).__name__
        raise ValueError(checks.sentence(
            "encoder_name", f"must have the stages {', '.join(stages)} for {builder} (it lacks {', '.join(missing)})",
            shown, "Choose an encoder with five stages, for example 'resnet50'."))


def finish(pixels: keras.KerasTensor, logits: keras.KerasTensor,
           aux_logits: keras.KerasTensor | Sequence[keras.KerasTensor] | None = None, *, compile: bool,
           name: str | None, aux_weight: float = 0.4, learning_rate: float = 1e-3,
           task: str = "multiclass") -> Segmenter:
    """Return the `Segmenter` from `pixels` to `logits`, compiled with the library's defaults if `compile`.

    Defaults: AdamW (`learning_rate`, weight decay 1e-4), `default_loss`, `kseg.metrics.MeanIoU`.
    """
    outputs = logits if aux_logits is None else [logits, *(
        aux_logits if isinstance(aux_logits, (list, tuple)) else [aux_logits])]
    model = Segmenter(pixels, outputs, name=name, aux_weight=aux_weight, task=task)
    if compile:
        model.compile(
            optimizer=adamw(learning_rate, weight_decay=1e-4),
            loss=default_loss(task),
            metrics=[MeanIoU(model.classes, task=task)],
        )
    return model


def default_loss(task: str) -> SegmentationLoss:
    """Return the cross-entropy of a task: of the softmax, or of the sigmoid of each logit."""
    return CrossEntropy() if tasks.of(task).exclusive else BinaryCrossEntropy()
