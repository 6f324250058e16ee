"""Every error is one sentence: name, rule, value, next step."""

import re

import pytest

from kseg import checks


def raises(kind, message):
    return pytest.raises(kind, match=re.escape(message))


def test_one_of_suggests_the_nearest_choice():
    with raises(ValueError, "`encoder_name` must be one of ('resnet50', 'vgg16'), got encoder_name='resnet5'. "
                            "Did you mean 'resnet50'?"):
        checks.one_of("encoder_name", "resnet5", ("resnet50", "vgg16"))


def test_one_of_gives_context_and_advice():
    with raises(ValueError, "`output_stride` must be one of (8, 16) for encoder 'vgg16', got output_stride=4. "
                            "Use 8 for the densest features."):
        checks.one_of("output_stride", 4, (8, 16), "Use 8 for the densest features.", " for encoder 'vgg16'")


def test_true_is_not_one():
    with pytest.raises(ValueError):
        checks.one_of("output_stride", True, (1, 8))


@pytest.mark.parametrize("value, kind", [(0, ValueError), (-3, ValueError), (2.5, TypeError), (True, TypeError)])
def test_positive_integer(value, kind):
    with raises(kind, f"`classes` must be a positive integer, got classes={value!r}. "
                      "Pass a whole number of at least 1."):
        checks.positive_integer("classes", value)


@pytest.mark.parametrize("value", [384, (384,), (384, 0), (384, 2.5), "384x384", (None, 3), (True, 3)])
def test_image_size(value):
    with raises(ValueError, f"`image_size` must be two positive integers (height, width), got image_size={value!r}. "
                            "Write for example image_size=(384, 512)."):
        checks.image_size(value)


def test_image_size_returns_plain_integers():
    assert checks.image_size([3, 4]) == (3, 4) and checks.image_size((None, 4), allow_none=True) == (None, 4)


def test_missing_folder_and_file(tmp_path):
    missing = str(tmp_path / "nowhere")
    with raises(FileNotFoundError, f"`data_dir` must be the path of a folder, got data_dir={missing!r}. "
                                   "Check the spelling of the path."):
        checks.existing_folder("data_dir", missing)
    with raises(FileNotFoundError, f"`path` must be the path of a file, got path={missing!r}."):
        checks.existing_file("path", missing)
