"""Encoder weights: the library's ImageNet download, or a file, read into arrays."""

import os
import warnings

import keras
import numpy as np

from kseg import archives, checks, files
from kseg.encoders.assign import assign_arrays
from kseg.encoders.checkpoint import read_checkpoint
from kseg.encoders.row import Encoder, Pairs
from kseg.encoders.stem import copy_pairs
from kseg.encoders.torch_names import keras_names
from kseg.layers.normalize_pixels import as_array, as_text
from kseg.types import EncoderWeights, ImageSize, Path


def _npz(path, argument):
    try:
        return archives.read_npz(path)
    except Exception as error:  # a truncated zip, a wrong header: each raises its own
        raise ValueError(checks.sentence(argument, "must be a readable file of arrays", path,
                                         "The file is damaged: copy or download it again.")) from error


# ending of a file -> function from its path to its arrays
READERS = {".npz": _npz, **dict.fromkeys((".safetensors", ".pth", ".pt", ".bin"), read_checkpoint)}
FORMATS = (".weights.h5", *READERS)


def load_imagenet(row: Encoder, size: ImageSize = (512, 512)) -> keras.Model:
    """Return the library's network of `row`, `size` pixels large, with its ImageNet weights.

    Raises:
        ValueError: if the library offers no ImageNet weights for it.
        ConnectionError: if they cannot be downloaded.
    """
    if not row.imagenet_source:
        raise ValueError(checks.sentence(
            "encoder_weights",
            f"must be None or a file for encoder {row.name!r}, of which nobody publishes ImageNet weights", "imagenet",
            f"Pass the path of a file ({', '.join(FORMATS)})."))
    try:
        return row.build("imagenet", size)
    except Exception as error:  # each library wraps a failed download in another exception
        raise ConnectionError(checks.sentence(
            "encoder_weights",
            f"must be downloadable when it is 'imagenet' ({row.library} could not fetch {row.name!r})", "imagenet",
            "Connect to the internet once (the file is cached), pass the path of a weights file "
            f"({', '.join(FORMATS)}), or use encoder_weights=None.")) from error


def load_classifier(row: Encoder) -> keras.Model:
    """Return the network of `row`, one of keras.applications, with its classifier and its ImageNet weights.

    Raises:
        ConnectionError: if they cannot be downloaded.
    """
    try:
        return getattr(keras.applications, row.class_name)(include_top=True, weights="imagenet")
    except Exception as error:  # Keras wraps a failed download in a bare Exception
        raise ConnectionError(checks.sentence(
            "encoder_weights", f"must be downloadable when it is 'imagenet' (fc6 and fc7 of {row.name!r})", "imagenet",
            "Connect to the internet once (the file is cached), or use encoder_weights=None.")) from error


def load_file(encoder: keras.Model, path: EncoderWeights, row: Encoder, library: keras.Model | None = None,
              pairs: Pairs = (), arrays: dict[str, np.ndarray] | None = None) -> None:
    """Load the weights file at `path` into `encoder`; None leaves it as initialised.

    A `.weights.h5` file may come from the encoder (`encoder.save_weights`) or from the library's network. Arrays of
    an `.npz`, `.safetensors` or PyTorch file (`.pth`, `.pt`, `.bin`; see `read_checkpoint`) are named by Keras's
    variable paths ("conv1_conv/kernel"); EfficientNet-Lite also by PyTorch's ("_blocks.0._depthwise_conv.weight").
    Counters in the paths, which Keras takes on from one build to the next ("variable_54"), need not agree. For VGG and
    kerasresnet50 to 152, which keras.applications trained on BGR, an array "bgr" must tell the order: 0 as in kseg
    (`save_arrays` writes it), 1 as in keras.applications. `arrays` are those of the file if it has been read already.

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
        _load_keras_file(encoder, path, row, library, pairs)
    else:
        arrays = read_arrays(path) if arrays is None else arrays
        assign_arrays(encoder, keras_names(arrays, encoder, row), path, row)


def _load_keras_file(encoder, path, row, library, pairs):
    """Load what kseg saved for the encoder's own bands or for three, or else what the library saved."""
    def own():
        encoder.load_weights(path)

    def rgb():
        twin = keras.models.clone_model(encoder, input_tensors=keras.Input((*encoder.inputs[0].shape[1:3], 3)))
        twin.load_weights(path)
        arrays = {ours.path: np.asarray(theirs) for ours, theirs in zip(encoder.variables, twin.variables)}
        assign_arrays(encoder, {**arrays, "bgr": 0}, path, row)

    def of_library():
        library.load_weights(path)
        copy_pairs(pairs, row.bgr)

    _check_keras_file(path)
    errors = []
    attempts = [own] + [rgb] * (encoder.inputs[0].shape[-1] > 3) + [of_library] * (library is not None)
    with warnings.catch_warnings():  # a file is recognised by failing as another kind first
        warnings.simplefilter("ignore")
        for attempt in attempts:
            try:
                return attempt()
            except Exception as error:  # HDF5 meets damage with errors of many kinds
                errors.append(error)
    raise ValueError(checks.sentence(
        "encoder_weights", f"must fit encoder {row.name!r}, as kseg or {row.library} saves it", path,
        "Save it with `model.encoder.save_weights(path)` from the same encoder.")) from errors[0]


def _check_keras_file(path):
    import h5py

    try:
        with h5py.File(path) as file:
            archives.check_hdf5(file, path)
    except Exception as error:
        raise ValueError(checks.sentence(
            "encoder_weights", "must be an undamaged .weights.h5 file", path,
            f"HDF5 says: {' '.join(str(error).split())[:200]}. Copy or download the file again.")) from error


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """Return the arrays by name of an encoder's weights file, by the ending of `path`; ValueError if it has none."""
    reader = next((read for ending, read in READERS.items() if path.endswith(ending)), None)
    if reader is None:
        raise ValueError(checks.sentence("encoder_weights", f"must end in one of {FORMATS}", path, "Convert the file."))
    return reader(path, "encoder_weights")


def recorded_geometry(path: str) -> str | None:
    """Return what `encoder.save_weights` or `save_arrays` wrote of a network's geometry, or None."""
    try:
        if path.endswith(".npz"):
            found = archives.read_npz(path, only="geometry")
            return as_text(found["geometry"]) if found else None
        if path.endswith(".weights.h5"):
            import h5py

            with h5py.File(path) as file:
                return file.visititems(lambda name, item: as_text(item) if name.endswith("/geometry") else None)
    except Exception:  # a damaged file: the one who loads it says so
        return None
    return None


def save_arrays(encoder: keras.Model, path: Path) -> None:
    """Write the weights by variable path, "bgr" = 0, and the geometry of the network to an `.npz` file."""
    arrays = {variable.path: np.asarray(variable) for variable in encoder.variables}
    with files.draft(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, bgr=np.uint8(0), geometry=as_array(encoder.get_layer("normalize").expected), **arrays)
