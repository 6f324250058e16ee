"""Everything that `check` has to find, in one broken folder each."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg import cli
from kseg.data.check import check
from tests.data.conftest import make_folder


def kinds(findings):
    return sorted({finding["kind"] for finding in findings})


def path(folder, part, index, split="train"):
    return os.path.join(folder, split, part, f"{index:03d}.png")


def test_a_sound_set_has_no_findings_and_its_counts_are_right(folder):
    steps = []
    report = check("folder", "train", data_dir=folder, other_splits=False,
                   progress=lambda done, total: steps.append((done, total)))
    assert report.ok and not report.errors and not report.warnings
    assert steps == [(index, 6) for index in range(1, 7)]
    labels = np.stack([np.asarray(Image.open(path(folder, "labels", index))) for index in range(6)])
    assert report.class_pixels == np.bincount(labels.ravel(), minlength=3).tolist()
    assert report.class_images == [int((labels == c).any((1, 2)).sum()) for c in range(3)]
    assert report.sizes == {"20x30": 6} and report.void_share == 0 and report.pairs == 6
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_every_kind_of_error_is_found_and_named(folder):
    open(path(folder, "images", 0), "wb").close()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(path(folder, "labels", 1))
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(path(folder, "labels", 2))
    with open(path(folder, "labels", 3), "wb") as file:
        file.write(b"no mask")
    os.remove(path(folder, "labels", 4))
    report = check("folder", "train", data_dir=folder, classes=3, other_splits=False)
    assert not report.ok
    assert kinds(report.errors) == ["different size", "illegal ids", "missing partner", "unreadable image",
                                    "unreadable labels"]
    by_kind = {finding["kind"]: finding for finding in report.errors}
    assert by_kind["missing partner"]["path"] == path(folder, "images", 4)
    assert by_kind["illegal ids"]["message"] == (
        f"`labels` must hold class ids 0..2 or 255 (ignore); {path(folder, 'labels', 2)!r} has other pixels by id, got "
        "labels={9: 600}. The ids look stretched for viewing (multiples of 9): pass label_map={0: 0, 9: 1, …}.")


def black_and_white(folder):
    for index in range(6):
        values = (np.asarray(Image.open(path(folder, "labels", index))) > 0) * np.uint8(255)
        Image.fromarray(values).save(path(folder, "labels", index))


def test_0_255_masks_are_sound_where_label_map_says_so(folder):
    black_and_white(folder)
    report = check("folder", "train", data_dir=folder, label_map={0: 0, 255: 1}, other_splits=False)
    assert report.ok and not report.warnings and all(report.class_pixels)


def test_masks_whose_classes_cannot_be_counted_are_reported(folder, capsys):
    black_and_white(folder)
    os.remove(path(folder, "labels", 5))
    assert cli.main(["check-data", "--data", "folder", "--data-dir", folder, "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert kinds(report["errors"]) == ["0/255 masks", "missing partner"] and len(report["errors"]) == 2
    assert report["errors"][0]["message"] == (
        "folder train: `labels` must hold class ids (0, 1, …) and 255 for ignore, got labels=[0, 255]. These look "
        "like 0/255 masks, and 255 means ignore: pass label_map={0: 0, 255: 1} to read 255 as class 1, or "
        "task='binary' for a model of one class.")
    Image.fromarray(np.full((20, 30), 9000, np.uint16)).save(path(folder, "labels", 0))
    report = check("folder", "train", data_dir=folder, other_splits=False)
    assert kinds(report.errors) == ["illegal ids", "missing partner"]
    assert report.errors[0]["message"] == (
        "folder train: `labels` must hold class ids (0, 1, …) and 255 for ignore, got labels=[0, 255, 9000]. These "
        "look like 16-bit instance or scaled ids: store class ids below 255 in 8 bits.")


def test_0_255_masks_void_and_empty_classes(folder):
    black_and_white(folder)
    report = check("folder", "train", data_dir=folder, classes=2, other_splits=False)
    assert kinds(report.errors) == ["0/255 masks"]
    assert kinds(report.warnings) == ["empty class", "much void"]
    assert report.warnings[0]["message"] == "folder train: class 1 (class 1) never occurs"


def test_duplicates_within_and_across_splits(folder):
    shutil.copy(path(folder, "images", 0), path(folder, "images", 1))
    for index in range(6):
        image = np.asarray(Image.open(path(folder, "images", index, "val"))).copy()
        image[0, 0] = 255
        Image.fromarray(image).save(path(folder, "images", index, "val"))
    shutil.copy(path(folder, "images", 5), path(folder, "images", 2, "val"))
    report = check("folder", "train", data_dir=folder)
    assert report.ok
    assert kinds(report.warnings) == ["duplicate across splits", "duplicate image"]
    assert [finding["path"] for finding in report.warnings] == [path(folder, "images", 1),
                                                                path(folder, "images", 2, "val")]


def test_images_of_another_split_that_look_alike_are_found_the_most_alike_first(tmp_path):
    """Of six validation images one is saved again, one is darker and smaller, and one has the same bytes."""
    folder = make_folder(tmp_path / "set", size=(60, 90))
    train = np.asarray(Image.open(path(folder, "images", 0)))
    noise = np.random.default_rng(0).integers(-9, 9, train.shape)
    Image.fromarray((train + noise).clip(0, 255).astype(np.uint8)).save(path(folder, "images", 3, "val"))
    smaller = Image.fromarray((train * 0.8).astype(np.uint8)).resize((60, 40))
    smaller.save(path(folder, "images", 4, "val"))
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(path(folder, "labels", 4, "val"))
    shutil.copy(path(folder, "images", 0), path(folder, "images", 5, "val"))
    for index, split in ((1, "train"), (2, "val")):  # flat: they look alike, and say nothing
        Image.fromarray(np.full((60, 90, 3), 100 + index, np.uint8)).save(path(folder, "images", index, split))
    steps = []
    report = check("folder", "train", data_dir=folder, progress=lambda *step: steps.append(step))
    found = [finding for finding in report.warnings if finding["kind"] == "near-duplicate across splits"]
    assert {finding["path"] for finding in found} == {path(folder, "images", index, "val") for index in (3, 4)}
    bits = [int(finding["message"].split(": ")[-1].split()[0]) for finding in found]
    assert bits == sorted(bits) and bits[-1] <= 8
    assert found[0]["message"].endswith(f"looks like {path(folder, 'images', 0)} (train): {bits[0]} of 64 bits of "
                                        "their difference hashes differ")
    assert kinds(report.warnings) == ["duplicate across splits", "near-duplicate across splits"]
    assert steps == [(index, 6) for index in range(1, 7)] * 2


def test_rare_classes_are_told_with_weights_for_the_loss(folder):
    for index in range(6):
        ids = np.zeros((20, 30), np.uint8)
        ids[:10] = 1
        ids[0, :10] = 2 if index < 3 else 0
        Image.fromarray(ids).save(path(folder, "labels", index))
    report = check("folder", "train", data_dir=folder, other_splits=False)
    np.testing.assert_allclose(report.class_weights, kseg.data.class_weights("folder", data_dir=folder))
    assert [finding["message"] for finding in report.warnings] == [  # 1830, 1740 and 30 pixels, of 3600, 3600 and 1800
        "folder train: class 2 (class 2) has 61 times fewer pixels than class 0 (class 0); weigh them in the loss, for "
        "example class_weights=[0.951, 1.0, 29.0] or --class-weights median_frequency"]


def test_an_image_that_is_ignored_everywhere(folder):
    Image.fromarray(np.full((20, 30), 255, np.uint8)).save(path(folder, "labels", 0))
    report = check("folder", "train", data_dir=folder, other_splits=False)
    assert kinds(report.warnings) == ["ignored everywhere"]
    assert report.void_share == pytest.approx(1 / 6)


def test_exif_orientation_is_a_warning(folder):
    image = Image.open(path(folder, "images", 0)).copy()
    exif = image.getexif()
    exif[274] = 6
    image.save(path(folder, "images", 0), exif=exif)
    report = check("folder", "train", data_dir=folder, other_splits=False)
    assert kinds(report.warnings) == ["EXIF orientation"]


def test_embedded_data_and_rendering():
    import io

    from rich.console import Console
    report = kseg.data.source("shapes", "test", image_size=(32, 32))
    report = check(report, "test")
    assert report.ok and report.pairs == 100
    console = Console(file=io.StringIO(), width=100)
    console.print(report.table())
    assert "triangle" in console.file.getvalue()
    assert str(report) == "shapes test: 100 pairs, 0 errors, 0 warnings"


def test_missing_folder_raises():
    with pytest.raises(FileNotFoundError, match="`data_dir` must be the path of a folder"):
        check("folder", "train", data_dir="nowhere")
