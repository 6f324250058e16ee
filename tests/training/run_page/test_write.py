"""The page of a run says what its files say, of young, old, killed and staged runs, and escapes every name."""

import json
import os
import re
import shutil

import pytest
from PIL import Image

from kseg.training import write_run_page
from kseg.training.run_page.write import run_charts
from tests.training.run_page.run_files import HOSTILE, write_files


def page_of(folder):
    with open(write_run_page(folder), encoding="utf-8") as file:
        return file.read()


def text_of(page):
    """Return what a reader sees of a page: without style, script and tags."""
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


@pytest.fixture
def folder(tmp_path):
    return write_files(str(tmp_path / "a <b>" / "street"))


def test_the_page_of_a_run_that_goes_on(folder):
    page = page_of(folder)
    text = text_of(page)
    for words in ("Run street running", "after epoch 7", "epoch 7 of 12", "best mean IoU 0.7000 epoch 5", "20 min 34 s",
                  "time left 5 min 0 s", "4,000 for training, 100 for validation", "resumed 1 ×", "devices CPU, GPU",
                  "processor a &amp; b", "7, mean IoU 0.4229"):
        assert words in text, words
    assert "kseg train --resume &#39;" in page and "a &lt;b&gt;/street&#39;" in page  # quoted for the shell, too
    assert 'data-reload="20"' in page and 'data-silent="300.0"' in page
    assert page.count("data:image/jpeg;base64,") == 2 and page.count("data:image/png;base64,") == 2 * (1 + 4)
    rows = re.findall(r'<tr><td class="name">.*?</tr>', page)
    assert ["0.4200" in rows[1], "0.4429" in rows[1], "+0.0229" in rows[1]] == [True] * 3  # best, last, change
    assert rows[2].count("–") == 3  # a class that does not occur


def test_names_stay_text(folder):
    page = page_of(folder)
    assert page.count("<script") == 1 and HOSTILE not in page and "<img src=x" not in page
    assert text_of(page).count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3  # legend, table, recipe's data_dir


def test_nothing_is_fetched(folder):
    page = page_of(folder)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', page) and "url(" not in page and "@import" not in page


@pytest.mark.parametrize("status, done, shown", [("finished", 12, "finished"), ("finished", 9, "stopped early"),
                                                 ("interrupted", 7, "interrupted")])
def test_how_it_ended(tmp_path, status, done, shown):
    page = page_of(write_files(str(tmp_path / "run"), done=done, status=status))
    assert f"Run run {shown}" in text_of(page) and "data-reload" not in page and "time left" not in text_of(page)
    assert ("kseg train --resume" in page) == (status == "interrupted")


def test_a_run_without_an_epoch(tmp_path):
    text = text_of(page_of(write_files(str(tmp_path / "run"), done=0)))
    assert "The first epoch has not been finished." in text and "not validated yet" in text


def test_pictures_of_epochs_whose_state_was_not_saved_are_left_out(folder):
    shutil.copy(os.path.join(folder, "panels", "epoch-0007-1.png"), os.path.join(folder, "panels", "epoch-0009-1.png"))
    assert "data-epoch=\"9\"" not in page_of(folder)


def test_a_run_of_an_earlier_kseg(tmp_path):
    """No `classes.csv`, no `panels/`, no palette, and little in its report."""
    folder = write_files(str(tmp_path / "old"), done=12, status="finished", panels=False)
    os.remove(os.path.join(folder, "classes.csv"))
    path = os.path.join(folder, "run.json")
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    old = {name: report[name] for name in ("recipe", "status", "data")}
    del old["data"]["palette"]
    old["best"] = {"epoch": 5, "mean_iou": 0.7, "per_class_iou": {"sky": 0.8125, HOSTILE: 0.6}}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(old, file)
    Image.new("RGB", (8, 8)).save(os.path.join(folder, "panel.png"))
    page = page_of(folder)
    assert "0.8125" in page and "this run kept no earlier ones" in page and page.count("data:image/png;base64,") == 1


def test_the_stages_have_a_page_of_their_own(tmp_path):
    stages = {"recipe": {"data": "shapes", "epochs": 12}, "stages": ["FCN32s", "FCN16s", "FCN8s"], "mean_iou": {}}
    (tmp_path / "stages.json").write_text(json.dumps(stages))
    write_files(str(tmp_path / "FCN32s"), done=12, status="finished")
    page_of(write_files(str(tmp_path / "FCN16s"), done=3))  # writes that of all stages, too
    page = (tmp_path / "report.html").read_text()
    text = text_of(page)
    assert "FCN32s finished 12 of 12 0.7000 5" in text and "FCN16s running 3 of 12 0.3467 3" in text
    assert "FCN8s not begun" in text and "data-reload" in page
    assert re.findall(r'href="(?!data:)([^"]*)"', page) == ["FCN32s/report.html", "FCN16s/report.html"]
    assert write_run_page(tmp_path) == str(tmp_path / "report.html")


def test_every_measure_has_a_chart():
    """Adversarial training measures more losses."""
    history = [{"epoch": 1, "loss": 1.0, "val_loss": 2.0, "adversarial_loss": -3.0, "learning_rate": 0.1, "seconds": 5}]
    charts = run_charts(history, None)
    assert [chart["title"] for chart in charts] == ["loss", "mean IoU", "adversarial loss", "learning rate",
                                                    "seconds per epoch"]
    assert len(charts[0]["lines"]) == 2 and charts[2]["rows"][0]["text"] == "-3"


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_run_page(tmp_path)
    assert str(caught.value) == ("`output_dir` must be the path of a file, "
                                 f"got output_dir={str(tmp_path / 'run.json')!r}. "
                                 "Give the folder that `kseg train` wrote.")
