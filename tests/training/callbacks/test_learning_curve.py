"""The learning curve: each measured series is drawn, the best epoch is marked, the file appears whole."""

import subprocess
import sys

import numpy as np
from PIL import Image

from kseg.training.callbacks.learning_curve import learning_curve, write_learning_curve

HISTORY = [{"epoch": 1, "loss": 1.5, "mean_iou": 0.1},
           {"epoch": 2, "loss": 0.5, "val_loss": 1.2, "mean_iou": 0.5, "val_mean_iou": 0.6},
           {"epoch": 3, "loss": 0.4, "val_loss": float("nan"), "mean_iou": 0.6, "val_mean_iou": 0.4}]


def _series(axes):
    return {line.get_label(): np.column_stack(line.get_data()).tolist() for line in axes.get_lines()}


def test_each_measured_series_is_drawn_and_the_best_epoch_marked():
    losses, scores = learning_curve(HISTORY).axes
    loss, score = _series(losses), _series(scores)
    assert loss["training"] == [[1, 1.5], [2, 0.5], [3, 0.4]] and loss["validation"] == [[2, 1.2]]
    assert score["training"] == [[1, 0.1], [2, 0.5], [3, 0.6]] and score["validation"] == [[2, 0.6], [3, 0.4]]
    assert score["best: 0.600 in epoch 2"] == [[2, 0.6]]
    assert [text.get_text() for text in scores.get_legend().get_texts()] == [
        "training", "validation", "best: 0.600 in epoch 2"]
    assert (losses.get_title(), scores.get_title(), scores.get_ylim()) == ("loss", "mean IoU", (0.0, 1.0))


def test_the_file_appears_whole_also_before_anything_was_measured(tmp_path):
    for history in (HISTORY, []):
        write_learning_curve(tmp_path / "curve.png", history)
        assert Image.open(tmp_path / "curve.png").size == (1000, 400)
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_the_global_state_of_pyplot_is_left_alone(tmp_path):
    script = ("import sys\nfrom kseg.training.callbacks.learning_curve import write_learning_curve\n"
              "assert 'matplotlib' not in sys.modules\n"
              f"write_learning_curve({str(tmp_path / 'curve.png')!r}, [])\n"
              "assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", script], check=True)
