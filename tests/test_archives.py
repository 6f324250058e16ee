"""What files of arrays ask for is looked at before it is given."""

import io
import stat
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from kseg import archives


def written(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def array(header):
    """Return the bytes of a `.npy` file whose header says `header`, with eight bytes behind it."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + bytes(8)


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize("members, said", [
    ({"a.npy": bytes(2 ** 27)}, "would unpack to"),
    ({f"{index}.npy": bytes(2 ** 23) for index in range(9)}, "would unpack to"),
    ({"../a.npy": b""}, "would leave the folder"), ({"x/../../a.npy": b""}, "would leave the folder"),
    ({"/etc/a.npy": b""}, "would leave the folder"), ({"..\\a.npy": b""}, "would leave the folder"),
    ({"C:/a.npy": b""}, "would leave the folder"), ({link("a.npy"): "/etc/passwd"}, "is a link"),
    ({"a.npy": array({"descr": "<f8", "fortran_order": False, "shape": (2 ** 40,)})}, "another size"),
    ({"a.npy": array({"descr": "<f8", "fortran_order": False, "shape": (-1,)})}, "another size"),
    ({"a.npy": array({"descr": "|O", "fortran_order": False, "shape": (1,)})}, "not of numbers"),
], ids=range(11))
def test_archives_that_ask_for_too_much(members, said, tmp_path):
    path = written(tmp_path / "a.npz", members)
    del members
    tracemalloc.start()
    with pytest.raises(ValueError, match=said):
        archives.read_npz(str(path))
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_two_members_of_one_name(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for content in (b"1", b"2"):
            archive.writestr("a.npy", content)
    with pytest.raises(ValueError, match="two members have one name"):
        archives.read_npz(str(tmp_path / "a.npz"))


def test_honest_arrays_are_read(tmp_path):
    values = {"bias": np.zeros((0, 3)), "kernel": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
              "text": np.array("é"), "steps": np.int64(3), "on": np.array([True, False])}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **values)
        found = archives.read_npz(str(tmp_path / "a.npz"))
        assert found.keys() == values.keys()
        for name, value in values.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype
    assert list(archives.read_npz(str(tmp_path / "a.npz"), only="steps")) == ["steps"]


def _external_link(file):
    file["a"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(file):
    file["a"] = h5py.SoftLink("/somewhere")


def _external_array(file):
    file.create_dataset("a", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def _virtual_array(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "a", (4,))
    file.create_virtual_dataset("deep/a", layout)


def _huge(file):
    file.create_dataset("a", (2 ** 40,), "f4", chunks=(2 ** 16,), compression="gzip")


def _many(file):
    for index in range(100):
        file.create_dataset(f"deep/{index}", (2 ** 18,), "f4", chunks=(2 ** 16,))


def _objects(file):
    file.create_dataset("a", data=["text"], dtype=h5py.string_dtype())


@pytest.mark.parametrize("make, said", [
    (_external_link, "is a link"), (_soft_link, "is a link"), (_external_array, "stands in another file"),
    (_virtual_array, "stands in another file"), (_huge, "would unpack to"), (_many, "would unpack to"),
    (_objects, "no array of numbers")])
def test_files_of_hdf5_that_ask_for_too_much(make, said, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with h5py.File(tmp_path / "a.h5") as file, pytest.raises(ValueError, match=said):
        archives.check_hdf5(file, str(tmp_path / "a.h5"))


def test_a_group_that_holds_itself_is_looked_at_once(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/again"] = file.create_group("group/inner")
        file["group/inner/above"] = file["group"]
        file["group/numbers"] = np.arange(4.0)
    with h5py.File(tmp_path / "a.h5") as file:
        archives.check_hdf5(file, str(tmp_path / "a.h5"))
