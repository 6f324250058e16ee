"""A file's arrays tell which library trained them: the encoder takes that library's geometry over."""

import os
import re
import warnings
from collections.abc import Mapping

import numpy as np

from kseg import checks
from kseg.encoders.families import ENCODERS
from kseg.encoders.row import Encoder
from kseg.encoders.torch_names.schemes import bare, scheme_of
from kseg.encoders.weights import READERS, read_arrays, recorded_geometry
from kseg.layers.normalize_pixels import expected
from kseg.types import EncoderName, EncoderWeights


def row_and_arrays(row: Encoder, encoder_name: EncoderName,
                   encoder_weights: EncoderWeights) -> tuple[Encoder, dict[str, np.ndarray] | None]:
    """Return (the row whose geometry fits the file `encoder_weights`, `row` or one of its siblings; its arrays).

    The arrays are None where they were not read to tell.

    Args:
        row: `Encoder` of `encoder_name`.
        encoder_name: str as the user spells it: timm's `tf_…` tells TensorFlow's padding, another `tu-…` PyTorch's.
        encoder_weights: None, "imagenet" or a path.
    Raises:
        ValueError: if no row of the network has the geometry of the file, or if its names do not tell which.
    """
    path = os.fspath(encoder_weights) if isinstance(encoder_weights, os.PathLike) else encoder_weights
    if not isinstance(path, str) or not os.path.exists(path):
        return row, None
    recorded = recorded_geometry(path)
    if recorded is not None:
        return _row_of_geometry(row, recorded, path), None
    if row.names is None or not path.endswith(tuple(READERS)):
        return row, None
    arrays = read_arrays(path)
    return row_of_arrays(row, encoder_name, arrays, path), arrays


def _row_of_geometry(row, recorded, path):
    """Return `row` or its sibling of the geometry that a file of kseg's own records."""
    rows = {expected(other.geometry, *other.pixels): other for other in
            (*(ENCODERS[name] for name in row.siblings[::-1]), row)}
    if recorded not in rows:
        raise ValueError(checks.sentence(
            "encoder_weights", f"must be saved from a network of {expected(row.geometry, *row.pixels)} for encoder "
            f"{row.name!r}", f"{path} of {recorded}", "Name the encoder that it was saved from."))
    return rows[recorded]


def row_of_arrays(row: Encoder, encoder_name: str, arrays: Mapping[str, np.ndarray], path: str) -> Encoder:
    """Return `row` or the sibling in the geometry of `arrays`; arrays under Keras's names have that of `row`."""
    scheme = scheme_of(bare(dict(arrays)))
    if scheme is None:
        return row
    rows = [row, *(ENCODERS[name] for name in row.siblings)]
    origins = {origin: other for other in rows[::-1] for origin in other.origins if origin.split()[0] == scheme}
    if row.siblings and "timm tf" in origins:  # timm's tf_ networks have the names of its others
        wanted = _spelled(encoder_name)
        if wanted is None:
            raise ValueError(checks.sentence(
                "encoder_name", "must tell which network of timm the arrays are of, as their names do not: "
                f"'tu-tf_…' (padded as TensorFlow pads) or 'tu-…' (symmetrically) before {row.name!r}", encoder_name,
                f"Write encoder_name='tu-tf_{row.name}' or 'tu-{row.name}' for the file {path!r}."))
        origins = {wanted: origins[wanted]} if wanted in origins else {}
    if not origins:
        known = sorted({origin for other in rows for origin in other.origins})
        raise ValueError(checks.sentence(
            "encoder_weights", f"must come from one of {', '.join(known)} for encoder {row.name!r}: kseg does not "
            f"have the geometry of {scheme}'s", path, "Choose an encoder of the file's own geometry."))
    return next(iter(origins.values()))


def _spelled(encoder_name):
    """Return "timm tf" or "timm" where the spelling says which, else None."""
    spelled = str(encoder_name).lower()
    if re.match(r"(tu[-_])?tf[-_]", spelled):
        return "timm tf"
    return "timm" if re.match(r"tu[-_]", spelled) else None


def warn_of_another(row: Encoder, taken: Encoder) -> None:
    """Warn, naming the differences, if the row `taken` from a file's origin is not `row`, the one asked for."""
    if taken is row:
        return
    differences = [f"{field} {getattr(taken, field)} instead of {getattr(row, field) or 'that of ' + row.library}"
                   for field in ("padding", "epsilon", "pixels") if getattr(taken, field) != getattr(row, field)]
    warnings.warn(f"The weights were trained in another geometry than that of encoder {row.name!r}: {taken.name!r} is "
                  f"built ({'; '.join(differences)}). Write encoder_name={taken.name!r} to ask for it.", stacklevel=3)
