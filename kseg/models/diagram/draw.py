"""`kseg.models.draw`: the architecture of a model as a picture, read from its graph."""

import os

import keras

from kseg import checks, files
from kseg.models.diagram import ink
from kseg.models.diagram.boxes import boxes_of
from kseg.models.diagram.placement import placed
from kseg.types import Path

ENDINGS = (".svg", ".png")


def draw(model: keras.Model, path: Path, *, title: str | None = None) -> str:
    """Write the architecture of a model as a diagram, and return its path.

    Boxes stand in a lane per stride (1 is the image's size, 1/32 at the bottom), as wide as their channels; stages of
    the encoder, convolutions, dilation rates, bins of pyramids, skips, the places that unpooling reads, and dashed what
    runs in training alone. All of it is read from the graph of this very model, not from its name, so any functional
    model of one image can be drawn; beyond 48 boxes its layers are gathered by stride.

    Args:
        model: functional `keras.Model`, for example of a builder.
        path: str or path, ending in .svg or .png.
        title: str or None, over the picture; None for the model's name.
    Returns:
        str, `path`.
    Raises:
        ValueError: for another ending, a model that is not functional, or one that takes anything but one image.
        TypeError: if `path` is no path.
    """
    path = checked_picture_path(path)
    boxes, arrows = boxes_of(model)
    layout = placed(boxes, arrows, ink.text_width)
    parameters = model.count_params()
    figure = ink.drawn(layout, model.name if title is None else title,
                       f"{parameters:,} parameters; lanes: share of the image's side; widths: channels")
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kseg"}), files.draft(path) as temporary:
        written = {"metadata": {"Date": None}} if path.lower().endswith(".svg") else {"dpi": 200}
        figure.savefig(temporary, transparent=False, facecolor="none", **written)
    return path


def checked_picture_path(path: Path) -> str:
    """Return `path` as str if a picture can be written of its ending."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(checks.sentence("path", "must be the path of a picture", path, "Write for example net.svg."))
    path = os.fspath(path)
    if not path.lower().endswith(ENDINGS):
        raise ValueError(checks.sentence("path", "must end in .svg or .png", path, "Write for example net.svg."))
    return path
