"""Files of weights from the places that publish them, verified by the hash in their names."""

import hashlib
import os
import re

import keras

from kseg import checks

_NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # torchvision, timm and mmsegmentation: "resnet18-f37072fd.pth"


def fetch(url: str, argument: str = "name") -> str:
    """Return the path of the file at `url`, downloaded into Keras's cache, with a progress bar, unless it is there.

    Args:
        url: str, whose file name ends in `-HASH.ending`: the first 8 or more hexadecimal digits of its SHA-256.
        argument: str, the name that the error sentence gives it.
    Raises:
        ConnectionError: if it cannot be downloaded.
        ValueError: if what was downloaded has another hash; the file is removed.
    """
    name = url.rsplit("/", 1)[-1]
    try:
        path = keras.utils.get_file(name, url, cache_subdir="kseg")
    except Exception as error:  # Keras wraps a failed download in a bare Exception
        raise ConnectionError(checks.sentence(
            argument, "must be downloadable", url, "Connect to the internet once (the file is cached), or download it "
            "elsewhere and pass its path.")) from error
    expected, found = _NAMED_HASH.search(name), sha256(path)
    if expected and not found.startswith(expected.group(1)):
        os.remove(path)
        raise ValueError(checks.sentence(
            argument, f"must have the SHA-256 that begins with {expected.group(1)}", f"{name} ({found[:8]}…)",
            "The download was damaged or replaced, and is removed: try again."))
    return path


def sha256(path: str) -> str:
    """Return the SHA-256 of the file at `path`, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
