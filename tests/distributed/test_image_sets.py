"""What may be given as many images, without Ray."""

import pytest
from PIL import Image

from kseg.distributed.image_sets import image_of, image_set, safe_key


@pytest.fixture
def folder(tmp_path):
    for name in ("a/1.png", "b/1.png", "b/1.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "in" / name)
    return tmp_path


def test_equal_names_in_subfolders_stay_apart(folder):
    found = image_set(folder / "in")
    assert sorted(found.files.values()) == [("a/1.png", "a/1"), ("b/1.jpg", "b/1.jpg"), ("b/1.png", "b/1.png")]
    assert found.count == 3 and found.left({"a/1.png"}) == 2


def test_list_of_paths(folder):
    (folder / "list.txt").write_text(f"in/a/1.png\n\n{folder}/in/b/1.png\n")
    found = image_set(folder / "list.txt")
    assert list(found.files.values()) == [("in/a/1.png", "in/a/1"),
                                          (f"{folder}/in/b/1.png"[1:], f"{folder}/in/b/1"[1:])]
    (folder / "twice.txt").write_text("in/a/1.png\nin/./a/1.png\n")
    with pytest.raises(ValueError, match="`images` must list every file once, got images='in/./a/1.png'"):
        image_set(folder / "twice.txt")
    (folder / "missing.txt").write_text("in/c.png\n")
    with pytest.raises(FileNotFoundError, match="`images` must be the path of a file, got .*in/c.png"):
        image_set(folder / "missing.txt")
    (folder / "empty.txt").write_text("\n")
    with pytest.raises(FileNotFoundError, match="`images` must list at least one file"):
        image_set(folder / "empty.txt")


def test_places_that_hold_no_images(folder):
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"`images` must hold image files \(.jpg, "):
        image_set(folder / "empty")
    with pytest.raises(FileNotFoundError, match="`images` must be the path of a file"):
        image_set(folder / "nowhere")
    with pytest.raises(ValueError, match="`images` must be a folder of images, a .txt file"):
        image_set(folder / "in" / "a" / "1.png")
    for name in ("a.tar", "b.parquet"):
        (folder / "empty" / name).touch()
    with pytest.raises(ValueError, match="`images` must hold records of one kind"):
        image_set(folder / "empty")


def test_rows_of_records():
    image = image_of({"image": {"bytes": b"12", "path": "x/a.png"}, "label": 1}, (None, None))
    assert (image.key, image.name, image.content) == ("x/a.png", "x/a.png", b"12")
    image = image_of({"__key__": "s/7", "json": b"{}", "jpg": b"34", "png": None}, (None, None))
    assert (image.key, image.suffix, image.content) == ("s/7", ".jpg", b"34")
    image = image_of({"picture": b"1", "number": 7}, ("picture", "number"))
    assert image.key == "7"
    with pytest.raises(ValueError, match=r"`image_column` must be given .* The columns are \['number', 'picture'\]."):
        image_of({"picture": b"1", "number": 7}, (None, None))
    with pytest.raises(ValueError, match="`image_column` must hold encoded images, bytes"):
        image_of({"image": "a.png", "key": "a"}, (None, None))


@pytest.mark.parametrize("key, name", [("/a/b.png", "a/b.png"), (b"a//b", "a/b"), ("a\\b", "a/b"), (5, "5")])
def test_keys_stay_below_the_output(key, name):
    assert safe_key(key) == name


@pytest.mark.parametrize("key", ["../a", "a/../../b", "", "/", None])
def test_keys_that_would_not(key):
    with pytest.raises(ValueError, match="`key_column` must hold names or relative paths"):
        safe_key(key)
