"""Label files of arrays, and those of TIFF: pixel by pixel, and what is refused before memory is asked for."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from kseg.data import decode, label_ids
from kseg.data.colours import Colours

IDS = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)
TABLE = label_ids.identity_table(3)


def saved(path, array, **arrays):
    (np.savez if arrays else np.save)(path, **(arrays or {"arr": array}))
    return str(path)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "uint16", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (1, 2, 3)])
def test_arrays_of_every_kind_and_shape(tmp_path, kind, shape):
    ids = np.minimum(IDS, 1) if kind == "bool" else np.minimum(IDS, 2)
    path = saved(tmp_path / "a.npy", ids.astype(kind).reshape(shape))
    np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3), ids)


def test_an_array_in_fortran_order_and_an_archive(tmp_path):
    np.testing.assert_array_equal(decode.read_labels(saved(tmp_path / "a.npy", np.asfortranarray(IDS)), TABLE, 3), IDS)
    for names in (["anything"], ["image", "labels"], ["mask", "weights"]):
        arrays = {name: IDS if name in ("anything", "labels", "mask") else np.ones(5) for name in names}
        for save in (np.savez, np.savez_compressed):
            save(tmp_path / "a.npz", **arrays)
            np.testing.assert_array_equal(decode.read_labels(str(tmp_path / "a.npz"), TABLE, 3), IDS)


def test_colours_in_an_array(tmp_path):
    palette = np.array([[9, 8, 7], [1, 2, 3]], np.uint8)
    colours = Colours(((9, 8, 7, 0), (1, 2, 3, 1)))
    path = saved(tmp_path / "a.npy", palette[IDS % 2])
    np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3, colours), IDS % 2)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_tiff_of_every_kind(tmp_path, kind, compression):
    Image.fromarray(IDS.astype(kind)).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(decode.read_labels(str(tmp_path / "a.tif"), TABLE, 3), IDS)


def header_alone(shape, kind="|u1"):
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": kind, "fortran_order": False, "shape": shape})
    return data.getvalue()


def test_a_header_that_asks_for_gigabytes_is_refused_before_memory_is_asked_for(tmp_path):
    big = header_alone((50000, 50000))
    (tmp_path / "a.npy").write_bytes(big + b"\0" * 100)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", big)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError) as failure:
            decode.read_labels(str(tmp_path / name), TABLE, 3)
        assert str(failure.value) == (
            f"`labels` must have at most {2 * Image.MAX_IMAGE_PIXELS:,} numbers; the header of "
            f"{str(tmp_path / name)!r} says more, got labels=(50000, 50000). Cut it into tiles, or set "
            "PIL.Image.MAX_IMAGE_PIXELS, which is the limit of image files too.")


@pytest.mark.parametrize("content, said", [
    (header_alone((4, 4)) + b"\0" * 3, "must be a whole file of one array of numbers"),
    (b"\x93NUMPY", "must be a whole file of one array of numbers"),
    (b"\x93NUMPY\x01\x00\xff\xff{", "must be a whole file of one array of numbers"),
    (header_alone((4, 4)).replace(b"}", b" "), "must be a whole file of one array of numbers"),
    (b"PK\x03\x04 no archive", "must be a whole file of one array of numbers"),
    (header_alone((-4, 4)), "must be a whole file of one array of numbers"),
    (header_alone((4, 4), "|O"), "must be an array of numbers"),
    (header_alone((2,)) + b"\0\0", "must be class ids [H, W]"),
    (header_alone((0, 5)), "must be class ids [H, W]"),
    (header_alone((2, 2, 4)) + b"\0" * 16, "must be class ids [H, W]"),
    (header_alone((1, 2), "<c8") + b"\0" * 16, "must be an array of numbers"),
])
def test_other_arrays_are_refused_by_the_sentence(tmp_path, content, said):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError) as failure:
        decode.read_labels(str(tmp_path / "a.npy"), TABLE, 3)
    assert str(failure.value).startswith(f"`labels` {said}") and "a.npy" in str(failure.value)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="must be an array of numbers; .* is not, got labels='object'"):
        decode.read_labels(str(tmp_path / "a.npy"), TABLE, 3)


def test_fractions_are_refused_by_the_sentence(tmp_path):
    path = saved(tmp_path / "a.npy", np.array([[0, 0.5, np.nan]]))
    with pytest.raises(ValueError) as failure:
        decode.read_labels(path, TABLE, 3)
    assert str(failure.value) == (f"`labels` must be whole numbers, class ids; {path!r} has others, got labels=[0.5, "
                                  "nan]. Take the argmax of scores, or round, before saving.")


def test_several_arrays_without_a_name_are_refused_by_the_sentence(tmp_path):
    for arrays in ({"a": IDS, "b": IDS}, {"labels": IDS, "mask": IDS}):
        path = str(tmp_path / "a.npz")
        np.savez(path, **arrays)
        with pytest.raises(ValueError) as failure:
            decode.read_labels(path, TABLE, 3)
        assert str(failure.value) == (f"`labels` must be one array, or one named 'labels' or 'mask'; {path!r} holds, "
                                      f"got labels={list(arrays)}. Save the labels alone.")


def test_ids_beyond_the_classes_are_named(tmp_path):
    path = saved(tmp_path / "a.npy", np.array([[0, -1, 300]]))
    with pytest.raises(ValueError, match=r"must hold class ids 0..2 .*a.npy' has other ids, got labels=\[-1, 300\]"):
        decode.read_labels(path, TABLE, 3)
