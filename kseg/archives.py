"""Files of arrays and models from strangers: what ZIP archives, `.npz` and HDF5 files ask for, before it is given.

What goes wrong is a ValueError that says what is wrong; the one who was given the file makes the error sentence of it.
"""

import io
import math
import os
import stat
import zipfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

_EXPANSION, _ALWAYS = 20, 2 ** 26  # how many times the size of the file its content may be, and bytes it may always be


def check_size(claimed: int, path: str) -> None:
    """Raise ValueError if the file at `path` claims to hold far more bytes than are in it."""
    most = max(_ALWAYS, _EXPANSION * os.path.getsize(path))
    if claimed > most:
        raise ValueError(f"it would unpack to {claimed:,} bytes, a file of its size may to {most:,}")


def check_members(archive: zipfile.ZipFile) -> None:
    """Raise ValueError unless an archive, opened by its path, may be unpacked.

    Its members must not be far larger than itself, have names of their own, stay in the folder, and be no links.
    """
    members = archive.infolist()
    check_size(sum(member.file_size for member in members), os.fspath(archive.filename))
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two members have one name")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ":" in name or ".." in name.split("/"):
            raise ValueError(f"the member {name[:80]!r} would leave the folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"the member {name[:80]!r} is a link")


def read_npz(path: str, only: str | None = None) -> dict[str, np.ndarray]:
    """Return the arrays of numbers in an `.npz` file by name; of one name alone, if `only` says so and it is there.

    Raises:
        Exception: of any kind, if the file is damaged, or holds something else, or claims to hold far more than it is.
    """
    with zipfile.ZipFile(path) as archive:
        check_members(archive)
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        return {name: _array(archive.read(member)) for name, member in members.items() if only in (None, name)}


def _array(content):
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, dtype = header(file)
    if dtype.kind not in "biufcSUV" or dtype.hasobject:  # V: Keras's bfloat16
        raise ValueError(f"an array of {dtype}, not of numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError("an array of another size than its header says")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def check_hdf5(file: "h5py.File", path: str) -> None:
    """Raise ValueError unless a file of HDF5, the one at `path` or in it, holds its own arrays of numbers.

    Links to other names or files, arrays kept in other files and such of Python's objects are refused, and arrays that
    are together far larger than the file.
    """
    import h5py

    sizes = []

    def fault_of_link(name, link):
        return None if isinstance(link, h5py.HardLink) else f"{_shown(name)} is a link"

    def fault_of_item(name, item):
        if not isinstance(item, h5py.Dataset):
            return None
        if item.external or item.is_virtual:
            return f"{_shown(name)} stands in another file"
        sizes.append(math.prod(item.shape or (0,)) * item.dtype.itemsize)
        return f"{_shown(name)} is no array of numbers" if item.dtype.hasobject else None

    fault = file.visititems_links(fault_of_link) or file.visititems(fault_of_item)  # stop at the first
    if fault:
        raise ValueError(fault)
    check_size(sum(sizes), path)


def _shown(name):
    return repr(name if len(name) < 80 else name[:80] + "…")
