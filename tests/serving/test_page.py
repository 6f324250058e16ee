"""The page over the server, in Chromium: a photograph is chosen, its classes appear, and nothing leaves the machine."""

import io

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.serving import LocalServer
from tests.browser import opened, served
from tests.conftest import structured_image
from tests.export.tiny import tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    model = tiny_model()
    model.label_set = kseg.LabelSet(("road", "sky", "tree", "car"))
    return model


@pytest.fixture(scope="module")
def server(model):
    with LocalServer(model, port=0, title="Street", max_megabytes=0.5, max_megapixels=0.1) as server:
        yield server


def photograph(image, kind="JPEG", **options):
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind, **options)
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": content.getvalue()}


def choose(page, file):
    page.locator("#file:enabled").set_input_files(files=[file])


def mask(page):
    with page.expect_download() as saved:
        page.click("#save-mask")
    return np.asarray(Image.open(saved.value.path()))


def test_a_chosen_photograph_is_segmented_as_predict_does(browser, server, model, tmp_path):
    turned = Image.Exif()
    turned[274] = 6
    file = photograph(structured_image(60, 90), exif=turned)
    path = tmp_path / file["name"]
    path.write_bytes(file["buffer"])
    expected = kseg.predict(model, path)
    with opened(browser, server.url, viewport={"width": 390, "height": 844}) as page:
        choose(page, file)
        page.wait_for_selector("#legend tr")
        names = page.locator("#legend tr th").all_inner_texts()
        counts = np.bincount(expected.ravel(), minlength=4)
        assert [name.strip() for name in names] == [model.label_set.names[one] for one in np.argsort(-counts)
                                                    if counts[one]]
        assert page.title() == "Street" and "60 × 90 pixels" in page.inner_text("#facts")
        assert "server" in page.inner_text("#facts")
        np.testing.assert_array_equal(mask(page), expected)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_dropped_photograph_and_sentences(browser, server):
    """What the server refuses is said on the page, and the next photograph is segmented."""
    problems = []
    file = photograph(structured_image(50, 50))
    with opened(browser, server.url, problems) as page:
        for given, said in (({**file, "buffer": b"no image"}, "cannot show the file"),
                            ({**file, "buffer": b""}, "is empty"),
                            ({**file, "buffer": bytes(600_000)}, "at most 0.5 million"),
                            (photograph(np.zeros((400, 400, 3), np.uint8)), "400×400 pixels")):
            choose(page, given)
            page.locator("#problem", has_text=said).wait_for()
        drop = """async (bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", {type: "image/jpeg"}));
            document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }"""
        page.evaluate(drop, list(file["buffer"]))
        page.wait_for_selector("#legend tr")
        assert page.locator("#problem").is_hidden()
    assert [one for one in problems if "413" not in one] == []  # the browser writes the refusal to the console


def test_a_server_that_stopped_is_said(browser, model):
    with LocalServer(model, port=0) as server, opened(browser, server.url, []) as page:
        page.wait_for_selector("#file:enabled")
        server.close()
        choose(page, photograph(structured_image(20, 20)))
        page.locator("#problem", has_text="The server does not answer").wait_for()


def test_another_sites_page_gets_nothing(browser, model, tmp_path):
    """Chromium sends what a page of another origin asks for, and says whose page it is."""
    (tmp_path / "index.html").write_text("<!doctype html><title>evil</title><link rel='icon' href='data:,'>")
    lines, ask = [], """async (address) => {
        const post = {method: "POST", mode: "no-cors", body: "x"};
        return [await fetch(address + "model.json").then(() => "read", () => "refused"),
                await fetch(address + "segment", post).then((answer) => answer.type, () => "refused"),
                await import(address + "app.js").then(() => "read", () => "refused")];
    }"""
    with LocalServer(model, port=0, on_request=lines.append) as server, served(tmp_path) as evil:
        with opened(browser, evil, []) as page:
            assert page.evaluate(ask, server.url) == ["refused"] * 3
    assert sorted(line.split()[1:4] for line in lines) == [  # a line is written after its answer
        ["GET", "/app.js", "403"], ["GET", "/model.json", "403"], ["POST", "/segment", "403"]], lines
