"""Trained models by name: downloaded, verified, converted, with their label set; and `kseg.load_model`."""

import os

import keras

from kseg import checks
from kseg.data import label_set
from kseg.encoders.downloads import fetch
from kseg.models import Segmenter
from kseg.models.load import load_model as load_file
from kseg.pretrained.convert import convert
from kseg.pretrained.hub import MODEL, SCHEME, downloaded
from kseg.pretrained.origins import kerashub
from kseg.pretrained.zoo import PUBLISHED
from kseg.types import Path

_LIBRARIES = {name.partition("/")[0] for name in PUBLISHED}


def names() -> tuple[str, ...]:
    """Return the names of all trained models, in the order of the table."""
    return tuple(PUBLISHED)


def load(name: str, classes: int | None = None) -> Segmenter:
    """Return a trained model: its file, verified by its hash if it has one, is downloaded into a cache and converted.

    Args:
        name: str, one of `names()`, for example "torchvision/deeplabv3_resnet50".
        classes: int to fine-tune on other classes: all but the classifier is kept, with a warning that says so. None
            for the model's own, which come with their label set.
    Returns:
        `Segmenter`, compiled.
    Raises:
        ValueError: for an unknown name, or a download that fails its hash.
        ConnectionError: if it cannot be downloaded.
        ImportError: if it is KerasHub's and keras_hub is not installed.
    """
    row = PUBLISHED[checks.one_of("name", name, names())]
    own = classes is None or classes == row.classes
    file = row.url if row.url.startswith(kerashub.SCHEME) else fetch(row.url)
    return convert(file, row.name, classes, label_set=label_set(row.label_set) if own else None,
                   replace_classifier=not own)


def load_model(path: Path, compile: bool = True) -> keras.Model:
    """Return a trained model, without `custom_objects`.

    A file from elsewhere runs no code when it is read: Keras's safe mode stays on, and no pickle is opened.

    Args:
        path: str or path: a `.keras` file; a folder that `kseg.pretrained.push` wrote; "hf://user/model" or
            "hf://user/model@revision", of the Hugging Face Hub, whose `model.keras` is then in the hub's cache; or, if
            nothing stands there, a name of `kseg.pretrained.names()` such as "torchvision/deeplabv3_resnet50".
        compile: bool, whether the optimiser, loss and metrics come back too; a model by name is always compiled anew.
    Returns:
        `keras.Model`, pixels → logits.
    Raises:
        FileNotFoundError: if nothing stands at `path`.
        ValueError: if it is no `.keras` file or a damaged one, an unknown name, or a repository without one.
        ImportError: if huggingface_hub is needed and not installed.
        PermissionError: if the hub refuses access.
        ConnectionError: if something must be downloaded and cannot be.
    """
    path = os.fspath(path)
    if path.startswith(SCHEME):
        path = downloaded(path)
    elif os.path.isdir(path):
        path = checks.existing_file("path", os.path.join(path, MODEL), "Give a .keras file or a folder that "
                                    "kseg.pretrained.push wrote; SavedModel folders run with kseg.predict.")
    elif goes_by_name(path):
        return load(path)
    return load_file(path, compile)


def goes_by_name(path: Path) -> bool:
    """Whether `load_model` takes `path` although it is no file: a folder of `push`, an address or a model's name."""
    path = os.fspath(path)
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, MODEL)) and not os.path.isfile(os.path.join(path, "saved_model.pb"))
    named = path.partition("/")[0] in _LIBRARIES and not os.path.splitext(path)[1]
    return path.startswith(SCHEME) or (named and not os.path.exists(path))
