"""Templates escape every value; a page runs the script of this room and no other."""

import base64
import hashlib
import re

import pytest

from kseg.pages import environment
from kseg.training.run_page.write import run_charts


@pytest.fixture(scope="module")
def page():
    class Values(dict):
        __getattr__ = dict.__getitem__

    story = Values(status="not begun", epochs=1, history=[], name="<b>", report={"status": "<s>"}, running=False,
                   written=0.0, best=None, per_class=[], commands={"resume": "'", "repeat": "<u>"}, recipe=list,
                   machine=lambda: [("<", ">")], old_panel=lambda: None)
    return environment.rendered("kseg.training.run_page", "run.html", story=story, charts=run_charts([], None),
                                classes=[], panels=None, columns=[], reload=10, clock=str, sparkline=str)


def test_values_are_escaped(page):
    assert "Run &lt;b&gt;" in page and "<b>" not in page and "<u>" not in page and "&lt;</th>" in page


def test_the_script_is_the_one_that_the_page_allows(page):
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#43;", "+").replace("&#39;", "'")
    assert "</" not in script and page.count("<script") == 1


@pytest.mark.parametrize("seconds, text", [
    (None, "–"), (float("nan"), "–"), (0.04, "0.0 s"), (59.6, "1 min 0 s"), (48, "48 s"), (200.4, "3 min 20 s"),
    (3600, "1 h 0 min"), (7530, "2 h 5 min"), (4e6, "1,111 h 6 min")])
def test_durations(seconds, text):
    assert environment.duration(seconds) == text


def test_numbers_that_are_not_known_have_no_place_in_an_order():
    assert [environment.sortable(value) for value in (None, float("nan"), 0.25, 0)] == ["", "", "0.25", "0"]
