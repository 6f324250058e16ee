import errno
import os
import subprocess
import sys

import pytest

from kseg.export import next_version
from kseg.export.staging import staged


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a" / "b" / "m.tflite"
    with staged(target, False) as temporary:
        with open(temporary, "w") as file:
            file.write("x")
        with open(temporary + ".parity.json", "w") as file:
            file.write("{}")
        assert not target.exists()
        assert os.path.basename(temporary).startswith(".")
    assert sorted(os.listdir(target.parent)) == ["m.tflite", "m.tflite.parity.json"]


def test_nothing_remains_after_an_error(tmp_path):
    with pytest.raises(RuntimeError):
        with staged(tmp_path / "a" / "1", False) as temporary:
            os.makedirs(os.path.join(temporary, "variables"))
            raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "1"
    target.mkdir()
    (target / "saved_model.pb").write_text("old")
    with staged(target, True) as temporary:
        os.makedirs(temporary)
        open(os.path.join(temporary, "new"), "w").close()
        assert (target / "saved_model.pb").exists()
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["1"]


def test_a_folder_of_other_things_is_never_replaced(tmp_path):
    (tmp_path / "street" / "1").mkdir(parents=True)
    (tmp_path / "street" / "notes.txt").write_text("kept")
    path = str(tmp_path / "street")
    with pytest.raises(FileExistsError) as caught:
        with staged(path, True):
            pass
    assert str(caught.value) == (
        f"`path` must be a SavedModel folder where a folder is to be replaced, got path={path!r}. Name a version "
        "inside it, for example serving/street/1.")
    assert sorted(os.listdir(path)) == ["1", "notes.txt"] and os.listdir(tmp_path) == ["street"]


def test_an_existing_path_is_refused(tmp_path):
    (tmp_path / "m.tflite").write_text("old")
    with pytest.raises(FileExistsError) as caught:
        with staged(tmp_path / "m.tflite", False):
            pass
    path = str(tmp_path / "m.tflite")
    assert str(caught.value) == f"`path` must not exist, got path={path!r}. Choose another path or pass overwrite=True."


def test_no_permission_is_the_error_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "m.tflite")
    with pytest.raises(OSError) as caught:
        with staged(path, False):
            pass
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 "File exists. Free space or choose another folder.")


def test_a_full_disk_is_the_error_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    path = str(tmp_path / "m.tflite")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError) as caught:
        with staged(path, False) as temporary:
            open(temporary, "w").close()
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 "No space left on device. Free space or choose another folder.")
    assert os.listdir(tmp_path) == []


def test_a_killed_export_leaves_no_version_to_load(tmp_path):
    code = ("import os, sys\nfrom kseg.export.staging import staged\n"
            "with staged(sys.argv[1], False) as temporary:\n"
            "    os.makedirs(temporary)\n    open(os.path.join(temporary, 'saved_model.pb'), 'w').close()\n"
            "    os._exit(9)\n")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "street" / "1")], cwd=root)
    left = os.listdir(tmp_path / "street")
    assert len(left) == 1 and left[0].startswith(".1.") and not left[0].isdigit()


def test_next_version(tmp_path):
    assert next_version(tmp_path / "street") == str(tmp_path / "street" / "1")
    for name in ("2", "10", "notes", ".11.partial", "10.parity.json"):
        (tmp_path / "street" / name).mkdir(parents=True)
    assert next_version(tmp_path / "street") == str(tmp_path / "street" / "11")
