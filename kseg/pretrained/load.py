"""Trained models by name: downloaded, verified, converted, with their label set."""

from kseg import checks
from kseg.data import label_set
from kseg.encoders.downloads import fetch
from kseg.models import Segmenter
from kseg.pretrained.convert import convert
from kseg.pretrained.zoo import PUBLISHED


def names() -> tuple[str, ...]:
    """Return the names of all trained models, in the order of the table."""
    return tuple(PUBLISHED)


def load(name: str, classes: int | None = None) -> Segmenter:
    """Return a trained model: its file downloaded into Keras's cache, verified by its hash, and converted.

    Args:
        name: str, one of `names()`, for example "torchvision/deeplabv3_resnet50".
        classes: int to fine-tune on other classes: all but the classifier is kept, with a warning that says so. None
            for the model's own, which come with their label set.
    Returns:
        `Segmenter`, compiled.
    Raises:
        ValueError: for an unknown name, or a download that fails its hash.
        ConnectionError: if it cannot be downloaded.
    """
    row = PUBLISHED[checks.one_of("name", name, names())]
    own = classes is None or classes == row.classes
    return convert(fetch(row.url), row.like, classes, label_set=label_set(row.label_set) if own else None,
                   replace_classifier=not own)
