"""predict_files on files and folders."""

import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.inference import predict_files
from kseg.inference.images import open_image
from kseg.labels import LabelSet
from tests.inference.function_runner import FunctionRunner

LABELS = LabelSet(("dark", "red", "green"))


def by_colour(pixels):
    """Class 1 where red is strongest, 2 where green is, else 0."""
    return np.concatenate([np.full_like(pixels[..., :1], 90), pixels[..., :2]], -1)


@pytest.fixture
def run():
    return FunctionRunner(by_colour, 3, 3, LABELS)


@pytest.fixture
def folder(tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :10, 0] = image[5:, 20:, 1] = 200
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    Image.fromarray(image).save(tmp_path / "in" / "a.png")
    Image.fromarray(image[::-1]).save(tmp_path / "in" / "deeper" / "b.jpg", quality=95)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path


def test_folder_becomes_labels_overlays_and_a_sheet(run, folder):
    written = predict_files(run, folder / "in", folder / "out", progress=True)
    names = sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*") if path.is_file())
    assert names == ["labels/a.png", "labels/deeper/b.png", "overlays/a.png", "overlays/deeper/b.png", "sheet.png"]
    assert sorted(written) == sorted(str(folder / "out" / name) for name in names)
    stored = Image.open(folder / "out" / "labels" / "a.png")
    assert stored.mode == "P"
    np.testing.assert_array_equal(np.asarray(stored), kseg.predict(run, folder / "in" / "a.png"))
    assert np.asarray(stored)[10, [2, 15, 25]].tolist() == [1, 0, 2]


def test_files_and_options(run, folder):
    Image.open(folder / "in" / "a.png").save(folder / "in" / "a.bmp")
    written = predict_files(run, [folder / "in" / "a.png", folder / "in" / "a.bmp"], folder / "out", overlays=False,
                            sheet=False, window=16, flip=True, scales=(1.0, 2.0))
    assert [path.rsplit("/", 1)[1] for path in written] == ["a.png.png", "a.bmp.png"]


def test_overlays_of_large_images_are_thinned(run, folder, monkeypatch):
    image = folder / "in" / "a.png"
    whole = np.asarray(Image.open(predict_files(run, image, folder / "out", sheet=False)[1]))
    monkeypatch.setattr("kseg.inference.file_prediction._OVERLAY_PIXELS", 200)
    written = predict_files(run, image, folder / "thinned", sheet=False)
    assert Image.open(written[0]).size == (30, 20)
    np.testing.assert_array_equal(np.asarray(Image.open(written[1])), whole[::2, ::2])


def test_bad_input(run, folder):
    predict_files(run, folder / "in" / "a.png", folder / "out")
    with pytest.raises(FileExistsError, match="`output_dir` must not hold these files already, got output_dir="):
        predict_files(run, folder / "in" / "a.png", folder / "out")
    predict_files(run, folder / "in" / "a.png", folder / "out", overwrite=True)
    Image.open(folder / "in" / "a.png").save(folder / "in" / "other.png")
    with pytest.raises(FileExistsError, match="`output_dir` must not hold these files already, got .*sheet.png"):
        predict_files(run, folder / "in" / "other.png", folder / "out")
    predict_files(run, folder / "in" / "other.png", folder / "out", sheet=False)
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"`inputs` must hold image files \(.jpg, "):
        predict_files(run, folder / "empty", folder / "out")
    with pytest.raises(FileNotFoundError) as caught:
        predict_files(run, "nowhere", folder / "out")
    assert str(caught.value) == ("`inputs` must be the path of a file, got inputs='nowhere'. "
                                 "Give image files or folders of them.")
    with pytest.raises(ValueError, match="`inputs` must have different file names, got inputs='a.png'"):
        predict_files(run, [folder / "in", folder / "out" / "labels"], folder / "out2")


def test_the_same_call_goes_on_after_one_that_was_killed(run, folder, monkeypatch):
    monkeypatch.setattr("kseg.inference.predict.runner_for", lambda model: run)
    model, seen = folder / "m.keras", []
    model.write_text("")
    for name in "bcd":
        Image.open(folder / "in" / "a.png").save(folder / "in" / f"{name}.png")

    def killed_at_the_sheet(*_):
        raise KeyboardInterrupt

    def noted(path, *arguments, **options):
        seen.append(os.path.basename(path))
        return open_image(path, *arguments, **options)

    monkeypatch.setattr("kseg.inference.label_files.open_image", noted)
    call = lambda **options: predict_files(model, folder / "in", folder / "out", **{"sheet_rows": 1, **options})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("kseg.pictures.sheet", killed_at_the_sheet)
        call()
    os.remove(folder / "out" / "overlays" / "c.png")  # killed between its two files
    with pytest.raises(FileExistsError, match="`output_dir` must not hold these files already"):
        call(flip=True)
    seen.clear()
    written = call()
    assert seen == ["a.png", "c.png"]  # the one on the sheet, and the one that was not done
    assert len(written) == 2 * 5 + 1 and all(map(os.path.exists, written))
    assert sorted(os.listdir(folder / "out")) == ["labels", "overlays", "sheet.png"]
    with pytest.raises(FileExistsError, match="`output_dir` must not hold these files already"):
        call()
