"""The panel of a run shows the validation images, their truth and what the segmenter answers."""

import numpy as np
from PIL import Image

from kseg import pictures
from kseg.labels import LabelSet
from kseg.training.callbacks.panel import TILE, Panel
from tests.training.tiny import tiny_builder


def test_the_panel_is_a_sheet_of_image_truth_and_prediction(tmp_path):
    model = tiny_builder(2)
    model.label_set = LabelSet(("sky", "road"), np.array([[10, 20, 30], [200, 100, 0]]))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 24, 3)).astype("float32")
    labels = np.random.default_rng(1).choice([0, 1, 255], (2, 16, 24))
    panel = Panel(str(tmp_path / "panel.png"), model, (pixels, labels))
    panel.on_test_end()
    answers = model.predict(pixels, verbose=0).argmax(-1)
    wanted = pictures.sheet(list(zip(pixels, labels, answers)), model.label_set, tile_size=TILE)
    np.testing.assert_array_equal(panel.pixels, wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["panel.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "panel.png")), wanted)
