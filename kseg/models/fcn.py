"""FCN-32s, FCN-16s and FCN-8s: a classifier turned into convolutions, with finer skips summed in.

Reference: Long, Shelhamer, Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015,
arXiv:1411.4038; Shelhamer, Long, Darrell, PAMI 2017, arXiv:1605.06211.
"""

import keras

from kseg import checks
from kseg.encoders import row_of
from kseg.layers import BilinearUpsampling2D, CropTo, PadPixels
from kseg.models import fcn_weights
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize, Path

# Rows and columns cut before the scores of a skip and before the logits when conv1_1 pads 100 (released prototxts).
SKIP_OFFSETS = {"c4": 5, "c3": 9}
LOGITS_OFFSETS = {32: 19, 16: 27, 8: 31}
# Factors on the skips that let FCN-8s train at once instead of in stages (PAMI section 4.4, released at-once net).
AT_ONCE_SCALES = {"c4": 0.01, "c3": 0.0001}


@documented(encoder_name='str, see `kseg.encoders.names()`; or a keras_cv / KerasHub backbone. "vgg16" is that of '
            "the paper.",
            encoder_weights='None (random), "imagenet" (for a VGG, its dense fc6 and fc7 too), or a file.',
            compile="bool, compile with AdamW (rate 1e-4), cross-entropy and mean IoU.")
def FCN32s(classes: int, encoder_name: EncoderName = "vgg16", encoder_weights: EncoderWeights = None,
           in_channels: int = 3, image_size: ImageSize = (None, None), *, geometry: str = "same",
           fc_filters: int | None = None, dropout: float = 0.5, upsampling: str = "frozen",
           start_from: Path | None = None, task: str = "multiclass",
           compile: bool = True, name: str = "fcn32s") -> Segmenter:
    """Return FCN-32s, pixels to logits: scores of c5, upsampled 32 times.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        geometry: "same" pads inside, so that c5 covers the image exactly; "paper" pads conv1_1 by 100 pixels, fc6 by
            none, and crops at fixed offsets (VGG only).
        fc_filters: int, channels of the 7x7 fc6 and the 1x1 fc7 (4096); 0 scores c5 directly; None for 4096 with a
            VGG and 0 with another encoder.
        dropout: float, rate after fc6 and fc7 (0.5).
        upsampling: "frozen" bilinear kernels (PAMI), "intermediate" learns all but the last (CVPR), "learned".
        start_from: None, or a `.keras` file of an FCN of a coarser stage, whose weights this one starts from.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`. The score layers
        start at zero.
    Raises:
        ValueError: for an unknown encoder, one without the stages, the paper's geometry on another than a VGG, or
            weights of another network or class count.
    """
    return _fcn(32, pixels_input(in_channels, image_size, classes, task), classes, encoder_name=encoder_name,
                encoder_weights=encoder_weights, geometry=geometry, fc_filters=fc_filters, dropout=dropout,
                upsampling=upsampling, start_from=start_from, task=task, compile=compile, name=name)


def FCN16s(classes: int, encoder_name: EncoderName = "vgg16", encoder_weights: EncoderWeights = None,
           in_channels: int = 3, image_size: ImageSize = (None, None), *, geometry: str = "same",
           fc_filters: int | None = None, dropout: float = 0.5, upsampling: str = "frozen",
           start_from: Path | None = None, task: str = "multiclass",
           compile: bool = True, name: str = "fcn16s") -> Segmenter:
    """Return FCN-16s: scores of c5, upsampled twice, plus scores of c4 (pool4), upsampled 16 times.

    Arguments, result and errors as `FCN32s`.
    """
    return _fcn(16, pixels_input(in_channels, image_size, classes, task), classes, encoder_name=encoder_name,
                encoder_weights=encoder_weights, geometry=geometry, fc_filters=fc_filters, dropout=dropout,
                upsampling=upsampling, start_from=start_from, task=task, compile=compile, name=name)


def FCN8s(classes: int, encoder_name: EncoderName = "vgg16", encoder_weights: EncoderWeights = None,
          in_channels: int = 3, image_size: ImageSize = (None, None), *, geometry: str = "same",
          fc_filters: int | None = None, dropout: float = 0.5, upsampling: str = "frozen", at_once: bool = False,
          start_from: Path | None = None, task: str = "multiclass",
          compile: bool = True, name: str = "fcn8s") -> Segmenter:
    """Return FCN-8s: as FCN-16s, with scores of c3 (pool3) added at stride 8.

    Args:
        at_once: bool, scales c4 by 0.01 and c3 by 0.0001 before their scores, so that all three can be trained at
            once from the encoder's weights (PAMI section 4.4); otherwise train in stages
            (`kseg.training.train_fcn_in_stages`).
        Others, result and errors: as `FCN32s`.
    """
    return _fcn(8, pixels_input(in_channels, image_size, classes, task), classes, encoder_name=encoder_name,
                encoder_weights=encoder_weights, geometry=geometry, fc_filters=fc_filters, dropout=dropout,
                upsampling=upsampling, at_once=at_once, start_from=start_from, task=task, compile=compile, name=name)


def _fcn(stride, pixels, classes, *, encoder_name, encoder_weights, geometry, fc_filters, dropout, upsampling,
         start_from, task, compile, name, at_once=False):
    checks.one_of("geometry", geometry, ("same", "paper"))
    checks.one_of("upsampling", upsampling, ("frozen", "intermediate", "learned"))
    checks.number_between("dropout", dropout, 0, 1)
    row = row_of(encoder_name, encoder_weights)
    if geometry == "paper" and not row.convolutions:
        raise ValueError(checks.sentence("geometry", "must be 'same' for another encoder than a VGG", geometry,
                                         "The paper's crops are those of VGG's poolings."))
    fc_filters = (4096 if row.convolutions else 0) if fc_filters is None else fc_filters
    checks.positive_integer("fc_filters", fc_filters, "Pass 0 to leave fc6 and fc7 out.", minimum=0)
    # conv1_1 pads 1 itself: it then sees 100 zeros around the normalised image. Fewer bands are repeated to three.
    seen = PadPixels(99, row.pixels[0], name="pad100")(pixels) if geometry == "paper" else pixels
    stages = {32: ("c5",), 16: ("c5", "c4"), 8: ("c5", "c4", "c3")}[stride]
    features = encoder_for(seen, encoder_name, encoder_weights, builder=f"FCN-{stride}s", stages=stages)(seen)
    deepest = features["c5"]
    if fc_filters:
        deepest = _fully_convolutional(deepest, fc_filters, dropout, geometry)  # [B, H/32, W/32, 4096]
    scores = _score(deepest, classes, "c5")
    for stage in stages[1:]:
        skip = features[stage] * AT_ONCE_SCALES[stage] if at_once else features[stage]
        skip = _score(skip, classes, stage)
        scores = _fuse(scores, skip, stage, geometry, upsampling == "frozen")  # [B, H/16 or H/8, ..., classes]
    logits = _upsample(scores, stride, f"upsample_{stride}", geometry=geometry, frozen=upsampling != "learned")
    offset = LOGITS_OFFSETS[stride] if geometry == "paper" else 0
    logits = CropTo(offset, dtype="float32", name="logits")(logits, pixels)
    model = finish(pixels, logits, task=task, compile=compile, name=name, learning_rate=1e-4)
    if encoder_weights == "imagenet" and row.convolutions and fc_filters == 4096:
        fcn_weights.copy_classifier(row, model)
    return model if start_from is None else fcn_weights.start_from(model, start_from)


def _fully_convolutional(features, filters, dropout, geometry):
    padding = "same" if geometry == "same" else "valid"
    hidden = keras.layers.Conv2D(filters, 7, padding=padding, activation="relu", kernel_initializer="he_normal",
                                 name="fc6")(features)
    hidden = keras.layers.Dropout(dropout, name="fc6_dropout")(hidden)
    hidden = keras.layers.Conv2D(filters, 1, activation="relu", kernel_initializer="he_normal", name="fc7")(hidden)
    return keras.layers.Dropout(dropout, name="fc7_dropout")(hidden)


def _score(features, classes, stage):
    return keras.layers.Conv2D(classes, 1, kernel_initializer="zeros", dtype="float32", name=f"score_{stage}")(features)


def _fuse(scores, skip, stage, geometry, frozen):
    """Sum the scores, upsampled twice, with the scores of a skip; whichever is larger is cropped."""
    raised = _upsample(scores, 2, f"upsample_to_{stage}", geometry=geometry, frozen=frozen)
    if geometry == "paper":
        skip = CropTo(SKIP_OFFSETS[stage], dtype="float32", name=f"crop_{stage}")(skip, raised)
    else:
        raised = CropTo(dtype="float32", name=f"crop_{stage}")(raised, skip)
    return keras.layers.Add(dtype="float32", name=f"fuse_{stage}")([raised, skip])


def _upsample(scores, factor, name, *, geometry, frozen):
    padding = "same" if geometry == "same" else "valid"
    return BilinearUpsampling2D(scores.shape[-1], factor, padding, trainable=not frozen, dtype="float32",
                                name=name)(scores)
