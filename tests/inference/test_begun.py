"""A prediction that was killed is known again by its model, images and settings, and by nothing else."""

import pytest

from kseg.inference.begun import Begun


def begun(folder, model, **changed):
    return Begun(str(folder), model, [], {"scales": 1, **changed})


def killed(job):
    with pytest.raises(KeyboardInterrupt), job.marked():
        raise KeyboardInterrupt


def test_the_same_call_is_known_and_others_are_not(tmp_path):
    killed(begun(tmp_path, "torchvision/fcn"))
    assert begun(tmp_path, "torchvision/fcn").here()
    assert not begun(tmp_path, "torchvision/fcn", scales=2).here()
    with begun(tmp_path, "torchvision/fcn").marked():
        pass
    assert not begun(tmp_path, "torchvision/fcn").here()


def test_another_model_in_the_same_folder_is_another(tmp_path):
    folder = tmp_path / "pushed"
    folder.mkdir()
    (folder / "model.keras").write_bytes(b"first")
    killed(begun(tmp_path, folder))
    assert begun(tmp_path, folder).here()
    (folder / "model.keras").write_bytes(b"the second")
    assert not begun(tmp_path, folder).here()


def test_a_model_in_memory_takes_an_older_mark_away(tmp_path):
    """Its files replace those of the call that was killed, which would else go on with them."""
    killed(begun(tmp_path, "a name"))
    killed(begun(tmp_path, object()))
    assert not begun(tmp_path, "a name").here()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    assert not begun(path, "a name").here()
    with pytest.raises(OSError, match="`path` must be a place that can be written to"), begun(path, "a name").marked():
        pass
