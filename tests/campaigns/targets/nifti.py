"""NIfTI volumes as training reads them, plain and compressed, and as prediction does."""

import gzip
import pathlib

from kseg.data.pixel_range import PixelRange
from kseg.inference.images import open_image
from tests.campaigns.file_sets import FileSet, sentences_suppressed
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import volumes

_set = FileSet("nifti", lambda file, content: {})
check = _set.check


def seeds(folder):
    plain = pathlib.Path(volumes.write_nifti(folder))
    labels = plain.parents[1] / "labels" / "a.nii"
    for path in (plain, labels):
        path.with_name("b.nii.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return _set.seeds(folder, "train/*/*", "classes.txt")


def read(content, folder):
    file, _, damaged = content.partition(b"\n")
    if file.startswith(b"train/images"):
        path = pathlib.Path(folder) / file.decode().rpartition("/")[2]
        path.write_bytes(damaged)
        with sentences_suppressed():
            open_image(str(path), 3, "image", batches=True, pixel_range=PixelRange.of((0, 255)))
    return _set.read(content, folder)
