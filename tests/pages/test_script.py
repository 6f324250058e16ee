"""The pages in Chromium: tables are sorted, pictures open by keyboard, images are filtered; nothing is fetched."""

import dataclasses
import datetime
import json
import os
import pathlib

import numpy as np
import pytest

import kseg
from kseg.labels import LabelSet
from kseg.training import write_run_page
from tests.inference.function_runner import FunctionRunner
from tests.training.run_page.run_files import HOSTILE, NAMES, write_files

IMAGES = 5


@pytest.fixture
def look(browser):
    """Return a function that opens a file; whatever the page asks for, complains of or pops up fails the test."""
    found, contexts = [], []

    def open_page(path, before=lambda page: None, **options):
        contexts.append(browser.new_context(**options))
        page, address = contexts[-1].new_page(), pathlib.Path(path).as_uri()
        page.on("console", lambda line: found.append(f"console: {line.text}"))
        page.on("pageerror", lambda error: found.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith((address, "data:"))
                or found.append(f"request: {request.url}"))
        before(page)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert found == []


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a model of three colours: `HOSTILE` is only in odd images, and all classes have harmful names."""
    def scene(index):
        labels = np.zeros((20, 30), int)
        labels[5:15, :10 + 2 * index] = 2
        pixels = np.stack([labels == 0, labels == 1, labels == 2], -1).astype(np.uint8) * 200
        if index % 2:
            labels[15:, :index + 1], pixels[15:, :1] = 1, (0, 200, 0)  # found in one of its `index + 1` columns
        return pixels, labels

    evaluation = kseg.evaluate(FunctionRunner(lambda pixels: pixels / 50, 3, 3, LabelSet(NAMES)),
                               [scene(index) for index in range(IMAGES)], keep_worst=2)
    renamed = {row["name"]: f"{row['name']} {mark}><img src=x onerror=alert(3)>" for row, mark in
               zip(evaluation.images, '"<>&\'')}
    evaluation.images[:] = [{**row, "name": renamed[row["name"]]} for row in evaluation.images]
    evaluation.worst[:] = [dataclasses.replace(one, name=renamed[one.name]) for one in evaluation.worst]
    for name, one in evaluation.worst_of_class.items():
        evaluation.worst_of_class[name] = dataclasses.replace(one, name=renamed[one.name])
    folder = tmp_path_factory.mktemp("evaluation")
    evaluation.write(folder)
    return evaluation, folder / "report.html"


def column(page, table, place):
    return page.locator(f"#{table} tbody tr:not([hidden]) td:nth-child({place})").all_text_contents()


def test_tables_are_sorted_by_click_and_by_keyboard(look, report):
    page = look(report[1])
    names = column(page, "images", 1)
    scores = [float(text) for text in column(page, "images", 2)]
    assert scores == sorted(scores) and len(names) == IMAGES  # the worst first
    head = page.locator("#images th").nth(1)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert [float(text) for text in column(page, "images", 2)] == sorted(scores, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    page.locator("#images th").first.locator("button").focus()
    page.keyboard.press("Enter")
    assert column(page, "images", 1) == sorted(names) and head.get_attribute("aria-sort") is None
    page.keyboard.press("Enter")
    assert column(page, "images", 1) == sorted(names, reverse=True)


def test_images_are_filtered_by_class(look, report):
    evaluation, path = report
    page = look(path)
    page.select_option("#class-filter", label=HOSTILE)
    rows = {row["name"]: row["per_class"][HOSTILE]["iou"] for row in evaluation.images if HOSTILE in row["per_class"]}
    assert 0 < len(rows) < IMAGES and column(page, "images", 1) == sorted(rows, key=rows.get)
    assert column(page, "images", 5) == [f"{value:.4f}" for value in sorted(rows.values())]
    assert page.locator("#images th.class-iou").inner_text().startswith(f"IoU of {HOSTILE}")
    shown = [one.name for one in (*evaluation.worst, *evaluation.worst_of_class.values()) if one.name in rows]
    shown = sorted(set(shown), key=rows.get)
    titles = page.locator(".example:visible h3").all_text_contents()
    assert len(titles) == len(shown) and all(title.startswith(name) and title.endswith(f"{rows[name]:.4f}")
                                             for title, name in zip(titles, shown))
    assert shown[0] == min(rows, key=rows.get)  # the class's own worst image has its pictures
    assert page.locator("#filtered").inner_text() == f"{len(rows)} images, {len(shown)} of them with pictures"
    page.select_option("#class-filter", value="")
    assert len(column(page, "images", 1)) == IMAGES and not page.locator("#images th.class-iou").is_visible()
    assert page.locator(".example:visible").count() == 2


def test_pictures_open_large_by_keyboard(look, report):
    page = look(report[1])
    first, dialog = page.locator("button.zoom").first, page.locator("#zoom")
    first.focus()
    page.keyboard.press("Enter")
    large = dialog.locator("img")
    assert dialog.is_visible() and large.get_attribute("src") == first.locator("img").get_attribute("src")
    assert large.bounding_box()["width"] > 2 * first.bounding_box()["width"]
    before = large.get_attribute("alt")
    page.keyboard.press("ArrowRight")
    assert large.get_attribute("alt") == before.replace("image of", "truth of", 1)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert first.evaluate("element => element === document.activeElement")
    first.click()
    dialog.locator("[data-close]").click()
    assert not dialog.is_visible()


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_pages_fit_the_screen(look, report, tmp_path, width, scheme):
    for path in (report[1], write_run_page(write_files(str(tmp_path / "run")))):
        page = look(path, viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 250)"
        assert light == (scheme == "light")
        swatches = page.locator("table .swatch")
        assert [swatches.nth(place).evaluate("element => getComputedStyle(element).backgroundColor")
                for place in range(3)] == ["rgb(0, 0, 0)", "rgb(128, 0, 0)", "rgb(0, 128, 0)"]  # VOC's colours
        assert page.locator("svg polyline").first.evaluate("element => getComputedStyle(element).stroke") != "none"


def test_the_slider_goes_through_the_epochs(look, tmp_path):
    page = look(write_run_page(write_files(str(tmp_path / "run"))))
    shown = page.locator(".example").first.locator("[data-place]:visible img")
    slider, output = page.locator("#epoch"), page.locator("output")
    latest = shown.get_attribute("src")
    assert shown.get_attribute("alt") == "prediction of image 1 after epoch 7" and "7, mean IoU" in output.inner_text()
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert shown.get_attribute("alt") == "prediction of image 1 after epoch 5" and shown.get_attribute("src") != latest
    assert output.inner_text() == slider.get_attribute("aria-valuetext") == "5, mean IoU 0.7000"
    page.reload()
    assert shown.get_attribute("alt") == "prediction of image 1 after epoch 5"  # what one looks at stays


def test_the_page_of_a_run_that_goes_on_reloads_and_says_when_nothing_comes(look, tmp_path):
    folder = write_files(str(tmp_path / "run"))
    path = write_run_page(folder)
    written = os.path.getmtime(os.path.join(folder, "run.json"))
    page = look(path, lambda page: page.clock.install(time=datetime.datetime.fromtimestamp(written + 5)))
    loads = []
    page.on("load", lambda _: loads.append(1))
    assert not page.locator("#late").is_visible()
    with page.expect_event("load"):
        page.clock.run_for(21_000)
    page.locator("#reload").uncheck()
    page.clock.run_for(400_000)
    assert len(loads) == 1 and page.locator("#late").is_visible()
    assert "kseg train --resume" in page.locator("#late").inner_text()
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        report = json.load(file)
    with open(os.path.join(folder, "run.json"), "w", encoding="utf-8") as file:
        json.dump({**report, "status": "finished"}, file)
    write_run_page(folder)
    page.reload()
    assert page.locator("#reload").count() == page.locator("#late").count() == 0
