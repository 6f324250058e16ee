"""`kseg.show`: what the panels and the legend of the figure hold."""

import numpy as np
import pytest
from PIL import Image

import kseg
from tests.conftest import structured_image

NAMES = kseg.LabelSet(("background", "<script>", "_tree $x$", "car"))
PIXELS = structured_image(24, 40)
IDS = (np.arange(40) // 16 * np.ones((24, 1))).astype(np.uint8)  # 0, 1, 2
IDS[:3] = 255


def panels(figure):
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes}


def legend(figure):
    return [text.get_text().strip("\u200b") for text in figure.legends[0].get_texts()]


def test_labels_and_truth_beside_the_image(tmp_path):
    figure = kseg.show(PIXELS, IDS, np.zeros_like(IDS), NAMES, opacity=1.0)
    shown = panels(figure)
    assert list(shown) == ["image", "labels", "truth"]
    np.testing.assert_array_equal(shown["image"], PIXELS)
    np.testing.assert_array_equal(shown["labels"][3:], NAMES.colorize(IDS)[3:])
    np.testing.assert_array_equal(shown["labels"][:3], PIXELS[:3])
    assert not shown["truth"].any()
    assert legend(figure) == ["background", "<script>", "_tree $x$", "ignored"]
    figure.savefig(tmp_path / "seen.png")
    assert Image.open(tmp_path / "seen.png").width > 3 * 300


def test_paths_without_a_label_set(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    kseg.pictures.write_labels(tmp_path / "ids.png", IDS, NAMES)
    figure = kseg.show(tmp_path / "a.png", str(tmp_path / "ids.png"), opacity=0.0)
    np.testing.assert_array_equal(panels(figure)["labels"], PIXELS)
    assert legend(figure) == ["class 0", "class 1", "class 2", "ignored"]


@pytest.mark.parametrize("task, classes", [("multiclass", 3), ("binary", 1), ("multilabel", 1), ("multilabel", 3)])
def test_a_model_predicts_what_is_shown(task, classes):
    model = kseg.models.SegNetBasic(classes, filters=4, task=task, compile=False)
    labels, label_set = kseg.predict(model, PIXELS), kseg.tasks.of(task).label_set(classes)
    figure = kseg.show(PIXELS, model_or_label_set=model)
    np.testing.assert_array_equal(panels(figure)["labels"], kseg.pictures.overlay(PIXELS, labels, label_set))
    found = labels.any((0, 1)) if task == "multilabel" else np.isin(np.arange(len(label_set)), labels)
    expected = [name for name, there in zip(label_set.names, found) if there]
    assert (legend(figure) if figure.legends else []) == expected


def test_grey_images_and_stored_numbers():
    assert panels(kseg.show(PIXELS[..., 0], IDS))["image"].shape == (24, 40, 3)
    model = kseg.models.SegNetBasic(2, filters=4, compile=False)
    model.pixel_range = (0, 2550)
    shown = panels(kseg.show(10 * PIXELS.astype(np.uint16), model_or_label_set=model))
    np.testing.assert_array_equal(shown["image"], PIXELS)


@pytest.mark.parametrize("arguments, kind, beginning", [
    ((PIXELS,), ValueError, "`label_map` must be given where there is no model to predict it, got label_map=None."),
    ((PIXELS, IDS[:5]), ValueError, "`label_map` must be ids [24, 40] or [24, 40, classes], as large as the image,"),
    ((PIXELS, IDS, IDS.astype(float)), TypeError, "`truth` must hold integer class ids, got truth='float64'."),
    ((PIXELS, IDS + 3, None, NAMES), ValueError, "`label_map` must be ids below 4, or 255, got label_map=[4, 5]."),
    ((PIXELS[None], IDS), ValueError, "`image` must be one image [H, W] or [H, W, channels] of numbers 0 to 255, got"),
    ((PIXELS, "none.png"), FileNotFoundError, "`label_map` must be the path of a file, got label_map='none.png'."),
])
def test_mistakes(arguments, kind, beginning):
    with pytest.raises(kind) as caught:
        kseg.show(*arguments)
    assert str(caught.value).startswith(beginning)


def test_a_notebook_shows_it_without_pyplot():
    figure = kseg.show(structured_image(20, 30), np.zeros((20, 30), np.uint8))
    assert figure._repr_png_().startswith(b"\x89PNG")
