"""Files and folders appear complete or not at all."""

import errno
import os
import subprocess
import sys

import pytest

from kseg import files


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a" / "b" / "m.tflite"
    with files.draft(target) as temporary:
        with open(temporary, "w") as file:
            file.write("x")
        assert not target.exists()
        assert os.path.basename(temporary) == ".m.part.tflite"
    assert os.listdir(target.parent) == ["m.tflite"]


def test_nothing_remains_after_an_error(tmp_path):
    with pytest.raises(RuntimeError):
        with files.draft(tmp_path / "a" / "1") as temporary:
            os.makedirs(os.path.join(temporary, "variables"))
            raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "1"
    target.mkdir()
    (target / "saved_model.pb").write_text("old")
    with files.draft(target, folder_with="saved_model.pb") as temporary:
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
        with files.draft(path, folder_with="saved_model.pb"):
            pass
    assert str(caught.value) == (
        f"`path` must not be a folder that holds other things than saved_model.pb, got path={path!r}. "
        "Choose another path.")
    assert sorted(os.listdir(path)) == ["1", "notes.txt"] and os.listdir(tmp_path) == ["street"]


def test_an_existing_path_is_refused(tmp_path):
    (tmp_path / "m.tflite").write_text("old")
    with pytest.raises(FileExistsError) as caught:
        with files.draft(tmp_path / "m.tflite", overwrite=False):
            pass
    path = str(tmp_path / "m.tflite")
    assert str(caught.value) == f"`path` must not exist, got path={path!r}. Choose another path or pass overwrite=True."


def test_no_permission_is_the_error_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "m.tflite")
    with pytest.raises(OSError) as caught:
        with files.draft(path):
            pass
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 "File exists. Free space or choose another folder.")


def test_a_full_disk_is_the_error_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    path = str(tmp_path / "m.tflite")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError) as caught:
        with files.draft(path) as temporary:
            open(temporary, "w").close()
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 "No space left on device. Free space or choose another folder.")
    assert os.listdir(tmp_path) == []


def test_a_killed_export_leaves_no_version_to_load(tmp_path):
    code = ("import os, sys\nfrom kseg import files\n"
            "with files.draft(sys.argv[1]) as temporary:\n"
            "    os.makedirs(temporary)\n    open(os.path.join(temporary, 'saved_model.pb'), 'w').close()\n"
            "    os._exit(9)\n")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "street" / "1")], cwd=root)
    left = os.listdir(tmp_path / "street")
    assert len(left) == 1 and left[0].startswith(".1.") and not left[0].isdigit()


def test_a_file_never_replaces_a_folder(tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="must not be a folder that holds other things"):
        files.write_text(tmp_path / "runs", "text")
    assert (tmp_path / "runs" / "a").is_dir()


def test_the_next_draft_takes_the_place_of_one_left_behind(tmp_path):
    (tmp_path / ".m.part.txt").mkdir()
    files.write_text(tmp_path / "m.txt", "größer")
    assert os.listdir(tmp_path) == ["m.txt"]
    assert (tmp_path / "m.txt").read_text(encoding="utf-8") == "größer"


def test_two_writers_of_one_path_share_no_draft(tmp_path):
    with files.draft(tmp_path / "m", unique=True) as one, files.draft(tmp_path / "m", unique=True) as other:
        assert one != other
        for name in (one, other):
            open(name, "w").close()
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("moment", ["before the new one came", "before the old one went"])
def test_a_folder_whose_replacing_was_killed_is_there_and_replaced_next_time(tmp_path, moment):
    aside = tmp_path / ".1.part.old"
    aside.mkdir()
    (aside / "saved_model.pb").write_text("old")
    if moment == "before the old one went":
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "saved_model.pb").write_text("new")
    with files.draft(tmp_path / "1", folder_with="saved_model.pb") as temporary:
        assert (tmp_path / "1" / "saved_model.pb").read_text() == ("old" if "came" in moment else "new")
        os.mkdir(temporary)
        with open(os.path.join(temporary, "saved_model.pb"), "w") as file:
            file.write("newer")
    assert os.listdir(tmp_path) == ["1"] and (tmp_path / "1" / "saved_model.pb").read_text() == "newer"


def test_sweeping_takes_old_drafts_of_killed_processes_alone(tmp_path):
    left = tmp_path / ".7.0123abcd.part.npy"
    for path in (left, tmp_path / "7.npy", tmp_path / ".7.part.npy"):
        path.write_text("")
        os.utime(path, (0, 0))
    with files.draft(tmp_path / "8.npy", unique=True) as live:
        open(live, "w").close()
        files.sweep(tmp_path)
        assert not left.exists() and os.path.exists(live)
    files.sweep(tmp_path / "nowhere")
    assert sorted(os.listdir(tmp_path)) == [".7.part.npy", "7.npy", "8.npy"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"),
                                     OSError("80 requested and 16 written")])
def test_a_disk_that_fills_while_a_draft_is_written_is_the_error_sentence(tmp_path, failure):
    path = str(tmp_path / "m.npy")
    with pytest.raises(OSError) as caught:
        with files.draft(path):
            raise failure
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 f"{failure.strerror or failure}. Free space or choose another folder.")


def test_what_cannot_be_read_for_a_draft_is_told_as_it_is(tmp_path):
    failure = PermissionError(errno.EACCES, "Permission denied", "photo.jpg")
    with pytest.raises(PermissionError) as caught:
        with files.draft(tmp_path / "m.npy"):
            raise failure
    assert caught.value is failure


def test_a_draft_in_a_draft_is_told_of_the_outer_path_once(tmp_path):
    with pytest.raises(OSError) as caught:
        with files.draft(tmp_path / "page") as folder, files.refusals(tmp_path / "page"):
            with files.draft(os.path.join(folder, "m.tflite")):
                raise OSError(errno.ENOSPC, "No space left on device")
    path = str(tmp_path / "page")
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 "No space left on device. Free space or choose another folder.")


def test_discarding(tmp_path):
    (tmp_path / "m.json").write_text("")
    for _ in range(2):
        files.discard(tmp_path / "m.json")
        assert os.listdir(tmp_path) == []


def test_a_sentence_about_another_file_is_told_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="^`image` must be the path of a file$"):
        with files.refusals(tmp_path / "out"):
            raise FileNotFoundError("`image` must be the path of a file") from FileNotFoundError(2, "No such file")
