"""Datasets by name, and what is said when they are not there."""

import os

import pytest

import kseg
from kseg.data import sources


def test_missing_partners_and_folders_raise(folder):
    os.remove(os.path.join(folder, "train", "labels", "004.png"))
    with pytest.raises(ValueError) as failure:
        sources.source("folder", data_dir=folder)
    image = os.path.join(folder, "train", "images", "004.png")
    assert str(failure.value) == (
        f"`data_dir` must hold a partner for every file; 1 of 6 have no labels file, the first is {image!r}, got "
        f"data_dir={folder!r}. Add the missing files or remove the unpaired ones; names must agree up to the suffix.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("folder", "test", data_dir=folder)
    test = os.path.join(folder, "test")
    assert str(failure.value) == (
        f"`split` must have files below data_dir {folder!r}, got split='test'. Expected {test}/images and "
        f"{test}/labels, or pass image_pattern and label_pattern.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("camvid", data_dir="nowhere")
    assert str(failure.value) == ("`data_dir` must be the path of a folder, got data_dir='nowhere'. Pass the folder "
                                  "that holds the files of 'camvid'.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("voc2012", data_dir=folder)
    assert str(failure.value) == (f"`data_dir` must hold split 'train' of 'voc2012', got data_dir={folder!r}. Expected "
                                  "ImageSets/Segmentation/train.txt below it.")


def test_unknown_names_and_misplaced_arguments_raise(folder):
    with pytest.raises(ValueError) as failure:
        sources.source("camvit", data_dir=folder)
    assert str(failure.value) == (
        "`name` must be one of ('shapes', 'folder', 'camvid', 'voc2012', 'cityscapes', 'ade20k', 'coco', "
        "'coco_panoptic', 'yolo', 'labelme', 'cvat', 'cvat_masks', 'label_studio', 'supervisely', 'nifti', "
        "'records'), got name='camvit'. Did you mean 'camvid'?")
    with pytest.raises(ValueError) as failure:
        sources.source("camvid", data_dir=folder, classes=4)
    assert str(failure.value) == ("`classes` must be None for 'camvid', whose files and classes are known, got "
                                  "classes=4. Leave it out, or read the files as 'folder'.")


def test_shapes_are_embedded():
    assert kseg.data.label_set("shapes").names == ("background", "disk", "square", "triangle", "cross")
    chosen = sources.source("shapes", "validation", image_size=(32, 48), channels=1)
    pixels, labels = chosen.read(3)
    assert len(chosen) == 100 and pixels.shape == (32, 48, 1) and labels.shape == (32, 48)


@pytest.mark.parametrize("reader", [kseg.data.load, kseg.data.check, kseg.data.class_weights,
                                    lambda source, *words, **options: kseg.data.write_records(source, "ram://none",
                                                                                              *words, **options)])
def test_options_of_a_source_that_is_given_itself_raise(folder, reader):
    chosen = sources.source("folder", "train", data_dir=folder)
    for options, rule in (({"split": "validation"}, "None or 'train'"), ({"channels": 1}, "None or 3"),
                          ({"classes": 4}, "None"), ({"label_map": {0: 1}}, "None"), ({"data_dir": "."}, "None")):
        (name, value), = options.items()
        with pytest.raises(ValueError) as failure:
            reader(chosen, **options)
        assert str(failure.value) == (f"`{name}` must be {rule} where a source is given, got {name}={value!r}. Pass it "
                                      "to kseg.data.source, which makes the source.")
    reader(chosen, split="train", channels=3)
