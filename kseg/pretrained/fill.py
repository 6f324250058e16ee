"""PyTorch's arrays in the layers of a Keras model, each accounted for."""

import difflib

import keras
import numpy as np

from kseg import checks
from kseg.encoders import row_of
from kseg.encoders.assign import assign_arrays
from kseg.encoders.torch_names import keras_names
from kseg.encoders.torch_names.schemes import bare, scheme_of
from kseg.models import Segmenter
from kseg.pretrained.origins.plan import Arrays, Plan

_SUFFIXES = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}
SHOWN = 5  # names of arrays that an error lists


def fill(model: Segmenter, arrays: Arrays, plan: Plan, path: str, *, classifier: bool = True) -> list[str]:
    """Give every weight of `model` its array of the checkpoint.

    Args:
        model: what the plan's builder made.
        arrays: dict of PyTorch name to array.
        plan: `Plan`.
        path: str, the file, for the error sentence.
        classifier: bool; False leaves the layers whose shape depends on the classes as they were initialised.
    Returns:
        The names of the arrays that were left out, sorted.
    Raises:
        ValueError: if an array is missing, has another shape, or belongs nowhere.
    """
    encoder = {plan.kept + name[len(plan.encoder):]: value for name, value in arrays.items()
               if name.startswith(plan.encoder)}
    row = row_of(plan.options["encoder_name"])
    _check_origin(row, encoder, path)
    decoder = {name: value for name, value in arrays.items()
               if not name.startswith(plan.encoder) and not name.endswith("num_batches_tracked")}
    values, missing, wrong, used = [], [], [], set()
    for module, layer_name in plan.modules.items():
        if not classifier and layer_name.endswith("logits_scores"):
            used |= {name for name in decoder if name.startswith(f"{module}.")}
            continue
        for name, variable, value in _of_layer(model.get_layer(layer_name), module, decoder, plan):
            used.add(name)
            if value is None:
                missing.append(name)
            elif value.shape != tuple(variable.shape):
                wrong.append(f"{name} {decoder[name].shape} for {layer_name} {tuple(variable.shape)}")
            values.append((variable, value))
    left = sorted(set(decoder) - used)
    extra = [name for name in left if not name.startswith(plan.ignored or ("\0",))]
    if missing or wrong or extra:
        raise ValueError(_sentence(plan, path, missing, wrong, extra, decoder))
    assign_arrays(model.encoder, keras_names(encoder, model.encoder, row, "checkpoint"), path, row, "checkpoint")
    for variable, value in values:
        variable.assign(value)
    return left


def _check_origin(row, arrays, path):
    """Raise ValueError if the names of an encoder's `arrays` are those of a library with another geometry."""
    scheme = scheme_of(bare(arrays))
    if scheme is not None and scheme not in {origin.split()[0] for origin in row.origins}:
        raise ValueError(checks.sentence(
            "checkpoint", f"must hold the arrays of encoder {row.name!r} under the names of "
            f"{', '.join(row.origins) or row.library}, not of {scheme}", path, "Check `like`."))


def _of_layer(layer, module, arrays, plan):
    """Yield (PyTorch name, variable, array in Keras's layout or None) for each weight of `layer`."""
    for variable in layer.weights:
        name = f"{module}.{_SUFFIXES[variable.name]}"
        value = arrays.get(name)
        yield name, variable, None if value is None else _in_keras_layout(value, layer, plan.moved.get(layer.name))


def _in_keras_layout(value, layer, moved):
    """Return a kernel `[out, in, h, w]` as `[h, w, in, out]` (depthwise `[h, w, in, 1]`); other arrays as they are."""
    if value.ndim != 4:
        return value
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return value.transpose(2, 3, 0, 1)
    kernel = value.transpose(2, 3, 1, 0)
    if moved:
        blocks = np.split(kernel, len(moved), axis=2)
        kernel = np.concatenate([blocks[moved.index(place)] for place in range(len(moved))], axis=2)
    return kernel


def _sentence(plan, path, missing, wrong, extra, arrays):
    told = []
    for title, names in (("missing", missing), ("of another shape", wrong), ("that belong nowhere", extra)):
        if names:
            told.append(f"{len(names)} {title} ({', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''})")
    near = {name: difflib.get_close_matches(name, arrays, 1) for name in missing[:SHOWN]}
    nearest = "; ".join(f"{name} is nearest to {found[0]}" for name, found in near.items() if found)
    return checks.sentence(
        "checkpoint", f"must hold the arrays of a {plan.builder} of {plan.origin} with encoder "
        f"{plan.options['encoder_name']!r}: {'; '.join(told)}", path,
        f"{nearest + '. ' if nearest else ''}Check that the file is of this network, and `like`.")
