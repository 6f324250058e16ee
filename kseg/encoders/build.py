"""`build_encoder`: a name becomes a Keras model from pixels to the features c1…c5."""

import functools
from typing import Any

import keras

from kseg import checks
from kseg.encoders.backbone import BACKBONE, plug_in
from kseg.encoders.downloads import fetch
from kseg.encoders.families import ENCODERS
from kseg.encoders.model import encoder_model, normalized_input
from kseg.encoders.origin import row_and_arrays, warn_of_another
from kseg.encoders.row import Encoder
from kseg.encoders.stem import copy_pairs
from kseg.encoders.weights import load_file, load_imagenet
from kseg.types import EncoderName, EncoderWeights, ImageSize


def names() -> tuple[str, ...]:
    """Return the names of all encoders, in the order of the table."""
    return tuple(ENCODERS)


def canonical_name(encoder_name: str) -> str:
    """Return the table's spelling of `encoder_name`: lower case, without `-` and `_`; raises for an unknown one.

    smp's `tu-` (a network of timm) and timm's `tf_` (TensorFlow's padding) may stand before a name, timm's `_100`
    (the width) after it.
    """
    spelled = str(encoder_name).lower().replace("-", "").replace("_", "")
    for prefix, suffix in (("", "100"), ("tu", ""), ("tf", "")):
        if spelled not in ENCODERS:
            spelled = spelled.removeprefix(prefix).removesuffix(suffix)
    if spelled not in ENCODERS and f"torch{spelled}" in ENCODERS:  # "vgg16_bn", which torchvision alone has
        spelled = f"torch{spelled}"
    if spelled not in ENCODERS:
        checks.one_of("encoder_name", encoder_name, names())
    return spelled


def row_of(encoder_name: EncoderName, encoder_weights: EncoderWeights = None) -> Encoder:
    """Return what the table says about an encoder; for a backbone object, a row without any speciality.

    With the path of a file as `encoder_weights` it is the row of the file's geometry (see `build_encoder`).
    """
    if isinstance(encoder_name, keras.Model):
        return BACKBONE
    return _row_and_arrays(encoder_name, encoder_weights)[0]


def _row_and_arrays(encoder_name, encoder_weights):
    """Return (row, the arrays of the file if it had to be read to tell the row, else None)."""
    row = ENCODERS[canonical_name(encoder_name)]
    if encoder_weights == "imagenet":
        return ENCODERS[row.imagenet_row or row.name], None
    return row_and_arrays(row, encoder_name, encoder_weights)


def build_encoder(encoder_name: EncoderName, output_stride: int = 32, encoder_weights: EncoderWeights = None,
                  in_channels: int = 3, *, multi_grid: tuple[int, int, int] | None = None, full_rates: bool = False,
                  last_stage: str = "c5", image_size: ImageSize = (None, None)) -> keras.Model:
    """Return the encoder, pixels to a dict of features.

    Args:
        encoder_name: str, one of `names()` in any spelling, or a keras_cv / KerasHub backbone object. A backbone
            without a Rescaling or Normalization layer of its own is fed `(pixels - mean) / std` with PyTorch's values
            for ImageNet; one trained on other pixels must hold its own preprocessing.
        output_stride: 8, 16 or 32, input pixels per c5 pixel; strides beyond it are traded for dilation.
        encoder_weights: None, "imagenet" (a download: `kseg models` says of whom), or a file: `.weights.h5`, `.npz`,
            `.safetensors`, or of PyTorch `.pth`, `.pt`, `.bin` (read without it). Arrays under the names of
            torchvision, timm or smp bring their library's geometry with them: the row that has it
            ("torchmobilenetv2") is built, with a warning. Files that `encoder.save_weights` and kseg write tell their
            geometry too; other files under Keras's names are taken to be of the row that is named.
        in_channels: int, input bands. Fewer than three are repeated to three; more share out the stem's kernels, so
            that equal bands give what a grey RGB image gives.
        multi_grid: tuple of three int or None, factors on the rates of c5's three units (ResNet50, 101, 152 only);
            (1, 1, 1) is none.
        full_rates: bool, whether a stage that trades its stride runs at its new rate from its first convolution on, as
            smp's encoders and torchvision's dilated MobileNetV3 do. The default keeps the first at the rate before,
            which is what its weights were trained for at the full stride.
        last_stage: str, the feature that the encoder ends with, "c5" or one before it (smp's PSPNet: "c3"). A backbone
            object always ends with c5.
        image_size: (height, width) or None for any; only encoders of fixed size (MiT) read it.
    Returns:
        `keras.Model` named "encoder": pixels `[B, H, W, in_channels]` 0-255 to {"c1": `[B, H/2, W/2, C1]`, …, "c5":
        `[B, H/os, W/os, C5]`}, sizes rounded up; "low_level" where DeepLab v3+ reads another map than c2. c1 is
        missing where the network starts at stride 4.
    Raises:
        ValueError: for an unknown name, an output stride the encoder cannot give, or weights that do not fit.
        ConnectionError: if "imagenet" cannot be downloaded.
    """
    checks.positive_integer("in_channels", in_channels, "Use 3 for RGB images and 1 for grey ones.")
    if isinstance(encoder_name, keras.Model):
        for argument, value in (("encoder_weights", encoder_weights), ("multi_grid", multi_grid)):
            if value is not None:
                raise ValueError(checks.sentence(argument, "must be None for a backbone object", value,
                                                 "It runs as it was built: pass its name to set this."))
        return plug_in(encoder_name, output_stride, in_channels)
    row, arrays = _row_and_arrays(encoder_name, encoder_weights)
    if encoder_weights == "imagenet" and row.url:
        encoder_weights = fetch(row.url, "encoder_weights")
    warn_of_another(row_of(encoder_name), row)
    checks.one_of("output_stride", output_stride, row.strides, context=f" for encoder {row.name!r}",
                  advice=f"Use {row.strides[0]} for its densest features.")
    _check_multi_grid(row, multi_grid)
    multi_grid = None if multi_grid and max(multi_grid) == 1 else multi_grid
    size = _input_size(row, image_size, in_channels)
    built_at = (512, 512) if None in size else size
    imagenet = encoder_weights == "imagenet"
    library = load_imagenet(row, built_at) if imagenet else row.build(size=built_at)
    pixels, normalized = normalized_input(size, in_channels, row.pixels, row.geometry)  # [B, H, W, max(3, in_channels)]
    features, pairs = row.layout(row, normalized, output_stride, multi_grid, library, full_rates=full_rates)
    encoder = encoder_model(pixels, {key: value for key, value in features.items()
                                     if last_stage == "c5" or key <= last_stage})  # "low_level" ends with c5 too
    if imagenet:
        copy_pairs(pairs, row.bgr)
    else:
        in_its_geometry = row.padding == "same"  # else a file of the library's own network would not fit
        load_file(encoder, encoder_weights, row, library if in_its_geometry else None, pairs, arrays)
    return encoder


def _check_multi_grid(row, multi_grid):
    if multi_grid is None:
        return
    checks.one_of("encoder_name", row.name, [other.name for other in ENCODERS.values() if other.multi_grid],
                  context=" when multi_grid is given", advice="Multi-grid is defined on the three units of a ResNet's "
                  "last stage: pass multi_grid=None.")
    if not isinstance(multi_grid, (tuple, list)) or len(multi_grid) != len(row.multi_grid):
        raise ValueError(checks.sentence("multi_grid", "must hold three factors, one per unit of the last stage",
                                         multi_grid, "DeepLab v3 uses (1, 2, 4)."))
    for factor in multi_grid:
        checks.positive_integer("multi_grid", factor, "DeepLab v3 uses (1, 2, 4).")


def _input_size(row, image_size, in_channels):
    """Return the (height, width) to build the encoder for: any, but for a network of one size, which is checked."""
    if row.side_multiple is None:
        return None, None
    height, width = image_size
    if height is None or height != width or height % row.side_multiple:
        raise ValueError(checks.sentence(
            "image_size", f"must be square with sides divisible by {row.side_multiple} for encoder {row.name!r}",
            image_size, "Write for example image_size=(512, 512), or choose an encoder that takes any size."))
    checks.one_of("in_channels", in_channels, row.bands, context=f" for encoder {row.name!r}",
                  advice="Choose a convolutional encoder for more bands.")
    return height, width


@functools.lru_cache(maxsize=None)
def table() -> tuple[dict[str, Any], ...]:
    """Return one dict per encoder.

    Its name, library, parameters up to c5, output strides, pixel mean and std (0-255), and of its ImageNet weights who
    publishes them and under which licence.
    """
    return tuple({"name": name, "library": row.library, "parameters": row.parameters, "output_strides": row.strides,
                  "mean": row.pixels[0], "std": row.pixels[1], "imagenet": row.imagenet_source,
                 "licence": row.licence}
                 for name, row in ENCODERS.items())


def parameter_count(name: str) -> int:
    """Return the number of parameters of the encoder `name` (trainable and moving statistics) up to c5."""
    multiple = row_of(name).side_multiple
    side = multiple and 2 * multiple  # a MiT of keras_cv needs more than one token in its last stage
    return build_encoder(name, image_size=(side, side)).count_params()
