"""`build_encoder`: a name becomes a Keras model from pixels to the features c1…c5."""

import functools

import keras

from kseg import checks
from kseg.encoders.dilate import Cloner
from kseg.encoders.families import ENCODERS, PARAMETERS, TORCH
from kseg.encoders.weights import copy_pairs, load_file, load_imagenet
from kseg.layers import NormalizePixels


def names():
    """Return the names of all encoders, in the order of the table."""
    return tuple(ENCODERS)


def canonical_name(encoder_name):
    """Return the table's spelling of `encoder_name`: lower case, without `-` and `_`; raises for an unknown one."""
    spelled = str(encoder_name).lower().replace("-", "").replace("_", "")
    spelled = spelled[2:] if spelled.startswith("tu") and spelled[2:] in ENCODERS else spelled
    if spelled not in ENCODERS:
        checks.one_of("encoder_name", encoder_name, names())
    return spelled


def build_encoder(encoder_name, output_stride=32, encoder_weights=None, in_channels=3, *, multi_grid=None,
                  image_size=(None, None)):
    """Return the encoder, pixels to a dict of features.

    Args:
        encoder_name: str, one of `names()` in any spelling, or a keras_cv / KerasHub backbone object. A backbone
            without a Rescaling or Normalization layer of its own is fed `(pixels - mean) / std` with PyTorch's values
            for ImageNet; one trained on other pixels must hold its own preprocessing.
        output_stride: 8, 16 or 32, input pixels per c5 pixel; strides beyond it are traded for dilation.
        encoder_weights: None, "imagenet" (the library's download), or a `.weights.h5`, `.npz` or `.safetensors` file.
        in_channels: int, input bands. Fewer than three are repeated to three; more share out the stem's kernels, so
            that equal bands give what a grey RGB image gives.
        multi_grid: tuple of three int or None, factors on the rates of c5's three units (ResNet50, 101, 152 only).
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
        return _plug_in(encoder_name, output_stride, in_channels)
    name = canonical_name(encoder_name)
    row = ENCODERS[name]
    checks.one_of("output_stride", output_stride, row.strides, context=f" for encoder {name!r}",
                  advice=f"Use {row.strides[0]} for its densest features.")
    factored = _multi_grid_layers(name, multi_grid)
    pixels = keras.Input((None, None, in_channels), dtype="float32", name="pixels")
    normalized = NormalizePixels(*row.pixels, name="normalize")(pixels)  # [B, H, W, max(3, in_channels)]
    if row.library == "kseg":
        from kseg.encoders.xception import xception

        encoder = _finish(pixels, xception(name, output_stride, normalized))
        load_file(encoder, encoder_weights, name, row)
        return encoder
    if row.class_name == "MiTBackbone":
        from kseg.encoders.mit import mit_encoder

        return mit_encoder(name, row, encoder_weights, in_channels, image_size)
    library = load_imagenet(row, name) if encoder_weights == "imagenet" else row.build()
    cloner = Cloner(library, output_stride, multi_grid, factored,
                    shifted_shortcuts=name in ("resnet18", "resnet34", "xception"))
    cloner.run(normalized)
    encoder = _finish(pixels, {key: _tap(cloner, tap) for key, tap in row.taps.items()})
    if encoder_weights == "imagenet":
        copy_pairs(cloner.pairs, row.bgr)
    else:
        load_file(encoder, encoder_weights, name, row, library, cloner.pairs)
    return encoder


def _finish(pixels, features):
    encoder = keras.Model(pixels, features, name="encoder")
    encoder.autocast = False  # pixels stay float32 until they are normalised
    return encoder


def _tap(cloner, tap):
    if tap.startswith("<"):
        return cloner.inputs[tap[1:]]
    if tap.endswith("*"):
        last = [name for name in cloner.outputs if name.startswith(tap[:-1])][-1]
        return cloner.outputs[last]
    return cloner.outputs[tap]


def _multi_grid_layers(name, multi_grid):
    if multi_grid is None:
        return ()
    checks.one_of("encoder_name", name, [key for key in ENCODERS if key in ("resnet50", "resnet101", "resnet152")],
                  context=" when multi_grid is given", advice="Multi-grid is defined on the three units of a ResNet's "
                  "last stage: pass multi_grid=None.")
    if not isinstance(multi_grid, (tuple, list)) or len(multi_grid) != 3:
        raise ValueError(checks.sentence("multi_grid", "must hold three factors, one a unit of the last stage",
                                         multi_grid, "DeepLab v3 uses (1, 2, 4)."))
    for factor in multi_grid:
        checks.positive_integer("multi_grid", factor, "DeepLab v3 uses (1, 2, 4).")
    return tuple(f"conv5_block{unit}_2_conv" for unit in (1, 2, 3))


def _plug_in(backbone, output_stride, in_channels):
    """Accept a keras_cv or KerasHub backbone object by its pyramid; its own weights are kept."""
    levels = getattr(backbone, "pyramid_outputs", None)
    if levels is None and hasattr(backbone, "pyramid_level_inputs"):
        levels = {level: backbone.get_layer(layer).output for level, layer in backbone.pyramid_level_inputs.items()}
    if not levels:
        raise ValueError(checks.sentence(
            "encoder_name", "must be a name or a backbone with pyramid outputs P1…P5", type(backbone).__name__,
            "Pass one of kseg.encoders.names() or a backbone with `pyramid_outputs`."))
    if backbone.inputs[0].shape[-1] != in_channels:
        raise ValueError(checks.sentence(
            "in_channels", f"must be {backbone.inputs[0].shape[-1]}, the bands of the backbone", in_channels,
            "Build the backbone with as many input channels."))
    checks.one_of("output_stride", output_stride, (32,), context=" for a backbone object",
                  advice="A backbone object runs as it was built; pass its name to trade stride for dilation.")
    features = {f"c{level[1:]}": tensor for level, tensor in levels.items() if level[1:] in "12345"}
    inner = keras.Model(backbone.inputs, features, name="backbone")
    pixels = keras.Input((*backbone.inputs[0].shape[1:3], in_channels), dtype="float32", name="pixels")
    rescales = any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in backbone.layers)
    bands = range(in_channels)
    mean, std = ([0.0 if rescales else TORCH[0][band % 3] for band in bands],
                 [1.0 if rescales else TORCH[1][band % 3] for band in bands])
    return _finish(pixels, inner(NormalizePixels(mean, std, name="normalize")(pixels)))


@functools.lru_cache(maxsize=None)
def table():
    """Return one dict an encoder: name, library, parameters up to c5, output strides, pixel mean and std (0-255)."""
    return tuple({"name": name, "library": row.library, "parameters": PARAMETERS[name],
                  "output_strides": row.strides, "mean": row.pixels[0],
                  "std": row.pixels[1], "imagenet": row.library == "keras.applications" or bool(row.preset)}
                 for name, row in ENCODERS.items())


def parameter_count(name):
    """Return the number of parameters of the encoder `name` (trainable and moving statistics) up to c5."""
    size = {"image_size": (64, 64)} if canonical_name(name).startswith("mit") else {}
    return build_encoder(name, **size).count_params()
