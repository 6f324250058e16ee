"""Encoder weights: the library's ImageNet download, or a file in one of three formats."""

import os
import re
import warnings

import keras
import numpy as np

from kseg import checks

FORMATS = (".weights.h5", ".npz", ".safetensors")


def load_imagenet(row, name, size=(512, 512)):
    """Return the library network of `row` with its ImageNet weights.

    Raises:
        ValueError: if the library offers no ImageNet weights for it.
        ConnectionError: if they cannot be downloaded.
    """
    if row.library != "keras.applications" and not row.preset:
        raise ValueError(checks.sentence(
            "encoder_weights", f"must be None or a file for encoder {name!r}, whose library offers no ImageNet weights",
            "imagenet", f"Pass the path of a file ({', '.join(FORMATS)})."))
    try:
        return row.build("imagenet", size)
    except Exception as error:  # each library wraps a failed download in another exception
        raise ConnectionError(checks.sentence(
            "encoder_weights", f"must be downloadable when it is 'imagenet' ({row.library} could not fetch {name!r})",
            "imagenet", "Connect to the internet once (the file is cached), pass the path of a weights file "
            f"({', '.join(FORMATS)}), or use encoder_weights=None.")) from error


def copy_pairs(pairs, bgr=False):
    """Copy each library layer's weights to its clone; the first convolution is adapted to the input bands."""
    for index, (original, clone) in enumerate(pairs):
        values = original.get_weights()
        if index == 0 and values:
            kernel = values[0]
            values[0] = adapt_stem(kernel, clone.weights[0].shape[2], kernel.shape[2] // 3, bgr)
        clone.set_weights(values)


def adapt_stem(kernel, bands, groups=1, bgr=False):
    """Return the stem's kernel `[k, k, 3 groups, F]` for `bands` input channels, `[k, k, bands, F]`.

    Band i takes the kernel of colour i mod 3, divided by the number of bands that share it: equal bands give the
    response of a grey RGB image. `bgr` turns kernels that expect blue first around. A space-to-depth stem has four
    groups of channels, one a pixel of its cells, treated one by one; other stems have one.

    Raises:
        ValueError: if the kernel is for neither `bands` nor three bands: what its bands show is unknown.
    """
    if kernel.shape[2] == bands and not bgr:
        return kernel
    if kernel.shape[2] != 3 * groups:
        raise ValueError(checks.sentence(
            "in_channels", f"must fit the weights, whose stem reads {kernel.shape[2]} channels (only stems that read "
            f"{3 * groups} are adapted to other bands)", bands // groups,
            "Pass as many bands as the weights were trained on, or take weights of RGB images."))
    if bgr:
        kernel = kernel[:, :, ::-1]
    if kernel.shape[2] == bands:
        return kernel
    source = np.arange(bands // groups) % 3
    shares = np.bincount(source, minlength=3)[source]
    columns = [kernel[:, :, 3 * group + source] / shares[None, None, :, None] for group in range(groups)]
    return np.concatenate(columns, axis=2)


def load_file(encoder, path, name, row, library=None, pairs=()):
    """Load the weights file at `path` into `encoder`; None leaves it as initialised.

    A `.weights.h5` file may come from the encoder (`encoder.save_weights`) or from the library's network. Arrays of
    an `.npz` or `.safetensors` file are named by Keras's variable paths ("conv1_conv/kernel"); EfficientNet-Lite also
    by PyTorch's ("_blocks.0._depthwise_conv.weight"). Counters in the paths, which Keras takes on from one build to
    the next ("variable_54"), need not agree. For VGG and ResNet50 to 152, which keras.applications trained on BGR, an
    array "bgr" must tell the order: 0 as in kseg (`save_arrays` writes it), 1 as in keras.applications.

    Raises:
        ValueError: for another kind of value, or a file whose arrays do not fit.
        FileNotFoundError: if there is no such file.
    """
    if path is None:
        return
    path = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(path, str) or not (path.endswith(FORMATS) or os.path.exists(path)):
        raise ValueError(checks.sentence(
            "encoder_weights", f"must be None, 'imagenet' or the path of a file ({', '.join(FORMATS)})", path,
            "Check the spelling."))
    checks.existing_file("encoder_weights", path, "Check the path; None starts from random weights.")
    if path.endswith(".weights.h5"):
        _load_keras_file(encoder, path, name, row, library, pairs)
        return
    arrays = _read_arrays(path)
    if any(key.startswith("_blocks.") for key in arrays):
        arrays = _from_pytorch_lite(arrays, encoder)
    _assign_arrays(encoder, arrays, path, name, row)


def _load_keras_file(encoder, path, name, row, library, pairs):
    """Load what kseg saved for the encoder's own bands or for three, or else what the library saved."""
    def own():
        encoder.load_weights(path)

    def rgb():
        twin = keras.models.clone_model(encoder, input_tensors=keras.Input((*encoder.inputs[0].shape[1:3], 3)))
        twin.load_weights(path)
        arrays = {ours.path: np.asarray(theirs) for ours, theirs in zip(encoder.variables, twin.variables)}
        _assign_arrays(encoder, {**arrays, "bgr": 0}, path, name, row)

    def of_library():
        library.load_weights(path)
        copy_pairs(pairs, row.bgr)

    errors = []
    attempts = [own] + [rgb] * (encoder.inputs[0].shape[-1] > 3) + [of_library] * (library is not None)
    with warnings.catch_warnings():  # a file is recognised by failing as another kind first
        warnings.simplefilter("ignore")
        for attempt in attempts:
            try:
                return attempt()
            except (ValueError, KeyError, OSError) as error:
                errors.append(error)
    raise ValueError(checks.sentence(
        "encoder_weights", f"must fit encoder {name!r}, as kseg or {row.library} saves it", path,
        "Save it with `model.encoder.save_weights(path)` from the same encoder.")) from errors[0]


def _read_arrays(path):
    try:
        if path.endswith(".npz"):
            with np.load(path) as archive:
                return {key: archive[key] for key in archive.files}
        if path.endswith(".safetensors"):
            try:
                from safetensors.numpy import load_file as load_safetensors
            except ImportError as error:
                raise ImportError(checks.sentence(
                    "encoder_weights", "must be .weights.h5 or .npz unless the package safetensors is installed", path,
                    "Install it with `pip install safetensors`.")) from error
            return load_safetensors(path)
    except ImportError:
        raise
    except Exception as error:  # a truncated zip, a wrong header: each format raises its own
        raise ValueError(checks.sentence("encoder_weights", "must be a readable file", path,
                                         "The file is damaged: copy or download it again.")) from error
    raise ValueError(checks.sentence("encoder_weights", f"must end in one of {FORMATS}", path, "Convert the file."))


def _assign_arrays(encoder, arrays, path, name, row):
    stem = next(variable for variable in encoder.variables if len(variable.shape) == 4)
    groups = stem.shape[2] // max(3, encoder.inputs[0].shape[-1])
    bgr = row.bgr and bool(arrays.get("bgr", False))
    matched = _matched([variable.path for variable in encoder.variables], arrays)
    missing, wrong, values = [], [], []
    for variable in encoder.variables:
        value = matched.get(variable.path)
        if value is None:
            missing.append(variable.path)
            continue
        if variable is stem and value.ndim == 4:
            value = adapt_stem(value, variable.shape[2], groups, bgr)
        if tuple(value.shape) != tuple(variable.shape):
            wrong.append(f"{variable.path} {tuple(value.shape)} instead of {tuple(variable.shape)}")
        values.append((variable, value))
    if missing or wrong:
        first = f"lacks {missing[0]}" if missing else f"holds {wrong[0]}"
        raise ValueError(checks.sentence(
            "encoder_weights", f"must hold every array of encoder {name!r}: {len(missing)} missing, {len(wrong)} of "
            f"another shape", path, f"The file {first}; use the file of this encoder."))
    if row.bgr and "bgr" not in arrays:  # the arrays of both orders have the same names and shapes
        raise ValueError(checks.sentence(
            "encoder_weights", f"must hold an array 'bgr' for encoder {name!r}, 0 if its stem reads red first as "
            f"kseg's does, 1 if blue first as {row.library}'s does", path,
            "Add it to the file, or pass the .weights.h5 file that `save_weights` writes, of either network."))
    for variable, value in values:
        variable.assign(value)


def _matched(paths, arrays):
    """Return the array of each path; paths that differ in their numbers alone are matched in the order of the numbers.

    Layers without a name of their own are counted on from build to build, so that their paths differ each time.
    """
    ours, theirs = _by_form(paths), _by_form(arrays)
    matched = {path: arrays[path] for path in paths if path in arrays}
    for form, group in ours.items():
        if len(theirs.get(form, ())) == len(group):
            matched.update((path, arrays[key]) for path, key in zip(group, theirs[form]))
    return matched


def _by_form(paths):
    """Return the paths by what remains without numbers, each group in the order of its numbers."""
    def numbers(path):
        return [[int(number) for number in re.findall(r"\d+", part)] for part in path.split("/")]
    groups = {}
    for path in sorted(paths, key=numbers):
        groups.setdefault(re.sub(r"_?\d+", "", path), []).append(path)
    return groups


def save_arrays(encoder, path):
    """Write the weights by variable path, and "bgr" = 0, to an `.npz` file; written to a temporary name and moved."""
    temporary = f"{path}.part.npz"
    np.savez(temporary, bgr=np.uint8(0), **{variable.path: np.asarray(variable) for variable in encoder.variables})
    os.replace(temporary, path)


_TORCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _from_pytorch_lite(arrays, encoder):
    """Rename and transpose EfficientNet-Lite arrays of efficientnet-pytorch to Keras's paths and layouts.

    Kernels OIHW become HWIO, depthwise (C, 1, H, W) become (H, W, C, 1).
    """
    blocks = []
    for variable in encoder.variables:
        match = re.match(r"(block\d+[a-z]+)_", variable.path)
        if match and match.group(1) not in blocks:
            blocks.append(match.group(1))
    renamed = {}
    for key, value in arrays.items():
        layer, _, kind = key.rpartition(".")
        path = _lite_layer(layer, blocks)
        if path is None or kind == "num_batches_tracked":
            continue
        if value.ndim == 4:
            depthwise = path.endswith("dwconv")
            renamed[f"{path}/kernel"] = value.transpose(2, 3, 0, 1) if depthwise else value.transpose(2, 3, 1, 0)
        else:
            renamed[f"{path}/{_TORCH_NORM.get(kind, kind)}"] = value
    return renamed


def _lite_layer(layer, blocks):
    """Return the Keras layer name of a PyTorch module name, or None for the classifier."""
    if layer in ("_conv_stem", "_bn0", "_conv_head", "_bn1"):
        return {"_conv_stem": "stem_conv", "_bn0": "stem_bn", "_conv_head": "top_conv", "_bn1": "top_bn"}[layer]
    match = re.match(r"_blocks\.(\d+)\.(\w+)$", layer)
    if not match or int(match.group(1)) >= len(blocks):
        return None
    parts = {"_expand_conv": "expand_conv", "_bn0": "expand_bn", "_depthwise_conv": "dwconv", "_bn1": "bn",
             "_project_conv": "project_conv", "_bn2": "project_bn"}
    part = parts.get(match.group(2))
    return f"{blocks[int(match.group(1))]}_{part}" if part else None
