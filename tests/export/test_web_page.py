"""The page of `kseg.export.web_page` in a real Chromium: it answers as `kseg.predict` does, and can be used."""

import base64
import io
import json
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import kseg
from kseg import cli, pictures
from kseg.export import litert_runtime as litert_runtime_table
from kseg.labels import LabelSet
from kseg.models.segmenter import Segmenter
from kseg.pages import segment_page
from kseg.tasks import TASKS
from tests.browser import ARGUMENTS, CHROMIUM, opened, served
from tests.conftest import structured_image
from tests.export.tiny import tiny_model

pytestmark = pytest.mark.slow
SIZE = (96, 128)
SIZES = [SIZE, (203, 151), (480, 639), (50, 61), (60, 300)]  # its own, larger, much larger, smaller, one side of each
NAMES = {"multiclass": ("sky", "road", "tree", "car"), "binary": ("nothing", "road"),
         "multilabel": ("sky", "road", "tree")}
THRESHOLDS = {"multiclass": None, "binary": 0.42, "multilabel": (0.4, 0.55, 0.5)}
KINDS = {  # name: (task, channels, arguments of kseg.export.tflite)
    "float32": ("multiclass", 3, {}),
    "int8": ("multiclass", 3, {"quantize": "int8", "minimum_agreement": 0.8}),
    "grey": ("multiclass", 1, {"quantize": "float16"}),
    "binary": ("binary", 3, {}),
    "multilabel": ("multilabel", 3, {}),
    "labels": ("multiclass", 3, {"output": "labels"}),
}
SEGMENT = """async (encoded) => {
  const {open} = await import("./engine_litert.js");
  window.engine ??= await open(await (await fetch("model.json")).json(), () => {});
  const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
  const result = await window.engine.segment(new Blob([bytes]));
  const text = (array) => array && btoa(Array.from(array, (one) => String.fromCharCode(one)).join(""));
  return {...result, labels: text(result.labels), confidence: text(result.confidence), masks: text(result.masks)};
}"""


def model_of(task, channels=3):
    """Return a small model of one size, as the page has one: Keras's answers, too, are resized."""
    tiny = tiny_model(len(NAMES[task]) - int(TASKS[task].background), SIZE, channels)
    scores = kseg.predict(tiny, structured_image(*SIZE, channels), output="logits")
    kernel, bias = tiny.layers[-2].weights
    spread = scores.std((0, 1))
    bias.assign((bias - scores.mean((0, 1))) / spread)  # each class is found somewhere
    kernel.assign(kernel / spread)
    return Segmenter(tiny.inputs[0], tiny.outputs[0], name="tiny", task=task, threshold=THRESHOLDS[task],
                     label_set=LabelSet(NAMES[task]))


@pytest.fixture(scope="module")
def pages(tmp_path_factory, litert_runtime):
    """Return a function from the name of a kind to (model, TFLite file, folder of its page)."""
    root, made = tmp_path_factory.mktemp("pages"), {}

    def page(kind):
        if kind not in made:
            task, channels, arguments = KINDS[kind]
            model, file = model_of(task, channels), str(root / f"{kind}.tflite")
            samples = np.stack([structured_image(*SIZE, channels)] * 2)
            calibration = samples if "int8" in arguments.get("quantize", "") else None
            kseg.export.tflite(model, file, SIZE, calibration=calibration, layer_errors=False,
                               **arguments)
            kseg.export.web_page(file, root / kind, runtime=litert_runtime, title="A street",
                                 examples=[structured_image(70, 90, channels)])
            made[kind] = model, file, root / kind
        return made[kind]

    yield page
    shutil.rmtree(root)


def png(pixels, **save):
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG", **save)
    return buffer.getvalue()


def segmented(page, content):
    """Return what the engine of a page says of an image file, its arrays as NumPy's."""
    result = page.evaluate(SEGMENT, base64.b64encode(content).decode("ascii"))
    size = result["height"], result["width"]
    for name in ("labels", "confidence", "masks"):
        if result[name] is not None:
            array = np.frombuffer(base64.b64decode(result[name]), np.uint8)
            result[name] = array.reshape(-1, *size) if name == "masks" else array.reshape(size)
    return result


def ready(page):
    """Wait until the page has opened its model, or says why it cannot."""
    page.wait_for_function("status.textContent.startsWith('Ready') || !problem.hidden"
                           .replace("status", "document.getElementById('status')")
                           .replace("problem", "document.getElementById('problem')"))
    return page


# The random network decides by narrow margins, and int8 makes steps of them: where Pillow reduces down the columns
# first (since 13, if a side shrinks much more than the other), a grey level moves some labels of (203, 151).
@pytest.mark.parametrize("kind, as_exported, as_original", [
    ("float32", 0.997, 0.997), ("int8", 0.98, 0.96), ("grey", 0.997, 0.995), ("binary", 0.998, 0.998),
    ("multilabel", 0.998, 0.998), ("labels", 0.997, 0.9)])
def test_the_page_answers_as_predict_does(kind, as_exported, as_original, pages, browser):
    model, file, folder = pages(kind)
    channels = KINDS[kind][1]
    with served(folder) as address, opened(browser, address) as page:
        for size in SIZES:
            image = structured_image(*size, channels)
            found = segmented(ready(page), png(image))
            exported, original = kseg.predict(file, image), kseg.predict(model, image)
            answer = found["labels"]
            if kind == "multilabel":
                assert answer.shape == size
                answer = np.moveaxis(found["masks"], 0, -1)
            assert answer.shape == exported.shape and len(np.unique(exported)) > 1
            narrow = size == (203, 151)
            assert (answer == exported).mean() >= (as_exported if narrow else max(as_exported, 0.995)), size
            assert (answer == original).mean() >= as_original, size
            if kind == "labels":
                assert found["confidence"] is None
                continue
            of_classes = kseg.predict(file, image, output="probabilities")
            sure = {"multiclass": lambda: of_classes.max(-1),
                    "binary": lambda: np.where(answer == 1, of_classes[..., 0], 1 - of_classes[..., 0]),
                    "multilabel": lambda: np.where(answer.any(-1), (of_classes * answer).max(-1),
                                                   1 - of_classes.max(-1))}[KINDS[kind][0]]()
            assert np.abs(found["confidence"] - 255 * sure).mean() < 1.5


def test_a_graphics_processor_gives_the_same_labels(pages, browser):
    """One that is computed: it shows that the page asks WebGPU, and compares; not how fast it is."""
    _, file, folder = pages("float32")
    arguments = [*filter(lambda one: one != "--disable-gpu", ARGUMENTS), "--enable-unsafe-webgpu",
                 "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan", "--use-vulkan=swiftshader"]
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=arguments)
    try:
        with served(folder) as address, opened(chromium, address) as page:
            if not page.evaluate("navigator.gpu ? navigator.gpu.requestAdapter().then(Boolean) : false"):
                pytest.skip("this Chromium computes no WebGPU")
            image = structured_image(*SIZE)
            chosen(ready(page), png(image))
            assert page.inner_text("#facts").endswith("WebGPU")
            assert (segmented(page, png(image))["labels"] == kseg.predict(file, image)).mean() >= 0.999
    finally:
        chromium.close()


def pictures_with_peculiarities():
    """Return name -> an image file whose numbers browsers show in another way than they are stored."""
    pixels = structured_image(*SIZE)
    exif, gamma, files = Image.Exif(), PngImagePlugin.PngInfo(), {}
    exif[274] = 6
    files["turned"] = png(np.ascontiguousarray(np.rot90(pixels)), exif=exif)
    gamma.add(b"gAMA", (100000).to_bytes(4, "big"))
    files["gamma"] = png(pixels, pnginfo=gamma)
    files["grey"] = png(pixels[..., :1])
    files["half clear"] = png(np.dstack([pixels, np.full(SIZE, 128, np.uint8)]))
    files["clear"] = png(np.dstack([pixels, np.repeat(np.arange(0, 256, 2, np.uint8)[None], SIZE[0], axis=0)]))
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=92, exif=exif)
    files["jpeg"] = jpeg.getvalue()
    return files


def test_image_files_are_decoded_as_predict_decodes_them(pages, browser, tmp_path):
    _, file, folder = pages("float32")
    with served(folder) as address, opened(browser, address) as page:
        ready(page)
        for name, content in pictures_with_peculiarities().items():
            path = tmp_path / f"{name}.{'jpg' if name == 'jpeg' else 'png'}"
            path.write_bytes(content)
            expected = kseg.predict(file, path)
            labels = segmented(page, content)["labels"]
            assert labels.shape == expected.shape, name
            assert (labels == expected).mean() >= (0.99 if name == "jpeg" else 0.999), name


def chosen(page, content, name="street.png"):
    """Choose an image file as a person does; return what the page says when it is done."""
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate("document.getElementById('problem').hidden = true")
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
    return finished(page)


def finished(page):
    page.wait_for_function("document.getElementById('status').textContent.startsWith('Segmented') || "
                           "!document.getElementById('problem').hidden")
    return page.inner_text("#status") + page.inner_text("#problem")


def downloaded(page, button, path):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return download.value.suggested_filename, np.asarray(Image.open(path))


def test_a_person_segments_an_image_and_downloads_the_mask(pages, browser, tmp_path):
    _, file, folder = pages("float32")
    image = structured_image(203, 251)
    expected = kseg.predict(file, image)
    shares = {name: f"{100 * (expected == index).mean():.1f} %" for index, name in enumerate(NAMES["multiclass"])}
    with served(folder) as address, opened(browser, address, viewport={"width": 390, "height": 800}) as page:
        assert ready(page).title() == "A street" and "none leaves this device" in page.inner_text("#about")
        assert chosen(page, png(image)).startswith("Segmented street.png in ")
        rows = page.evaluate("Array.from(document.querySelectorAll('#legend tr'), (row) => row.innerText.split('\\t'))")
        assert {name.strip(): share.strip() for name, share in rows} == shares
        name, mask = downloaded(page, "#save-mask", tmp_path / "mask.png")
        assert name == "street_mask.png" and (mask == expected).mean() >= 0.999
        label_set = LabelSet(NAMES["multiclass"])
        assert Image.open(tmp_path / "mask.png").getpalette()[:12] == label_set.palette.ravel().tolist()
        name, overlay = downloaded(page, "#save-overlay", tmp_path / "overlay.png")
        drawn = pictures.overlay(image, mask, label_set, 0.55)
        assert name == "street_overlay.png" and np.abs(overlay[..., :3].astype(int) - drawn).max() <= 2
        page.click("#none")
        assert np.array_equal(downloaded(page, "#save-overlay", tmp_path / "overlay.png")[1][..., :3], image)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("#examples button")
        page.wait_for_function("document.getElementById('status').textContent.startsWith('Segmented image 1')")
        assert "90 × 70 pixels" in page.inner_text("#facts")


def test_the_keyboard_is_enough(pages, browser):
    _, file, folder = pages("float32")
    image = structured_image(*SIZE)
    expected, names = kseg.predict(file, image), NAMES["multiclass"]
    with served(folder) as address, opened(browser, address) as page:
        ready(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        for _ in range(2):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the example
        finished(page)
        chosen(page, png(image))
        page.focus("#stage")
        page.keyboard.press("ArrowRight")
        row, column = SIZE[0] // 2, SIZE[1] // 2 + 3
        assert page.inner_text("#reading").startswith(names[expected[row, column]] + ", ")
        assert page.inner_text("#reading").endswith(f"(column {column}, row {row})")
        for _ in range(12):
            page.keyboard.press("Shift+ArrowUp")
        assert page.inner_text("#reading").endswith(f"(column {column}, row 0)")
        page.keyboard.press("Tab")
        page.keyboard.press("End")
        assert page.evaluate("getComputedStyle(document.getElementById('overlay')).opacity") == "1"
        page.keyboard.press("Tab")
        page.keyboard.press("Space")  # the most frequent class is hidden, and stays in the legend, and in focus
        assert page.evaluate("document.activeElement.type + document.activeElement.checked") == "checkboxfalse"
        most = np.bincount(expected.ravel()).argmax()
        alpha = "(at) => document.getElementById('overlay').getContext('2d').getImageData(...at, 1, 1).data[3]"
        assert page.evaluate(alpha, [int(place) for place in np.argwhere(expected == most)[0][::-1]]) == 0
        assert page.evaluate(alpha, [int(place) for place in np.argwhere(expected != most)[0][::-1]]) == 255


def test_the_pointer_reads_class_and_probability(pages, browser):
    _, file, folder = pages("float32")
    image = structured_image(*SIZE)
    expected, names = kseg.predict(file, image), NAMES["multiclass"]
    with served(folder) as address, opened(browser, address) as page:
        chosen(ready(page), png(image))
        probabilities = kseg.predict(file, image, output="probabilities")
        page.locator("#stage").scroll_into_view_if_needed()
        box = page.locator("#image").bounding_box()
        for at in ((3, 5), (SIZE[0] // 8, SIZE[1] - 9)):  # the pointer needs no focus
            page.mouse.move(box["x"] + box["width"] * (at[1] + 0.5) / SIZE[1],
                            box["y"] + box["height"] * (at[0] + 0.5) / SIZE[0])
            found = re.fullmatch(r"(\w+), ([\d.]+) % \(column (\d+), row (\d+)\)", page.inner_text("#reading"))
            assert found and found[1] == names[expected[at]] and (int(found[4]), int(found[3])) == at
            assert abs(float(found[2]) - 100 * probabilities[at].max()) <= 1


def test_several_classes_of_a_pixel_are_each_downloaded(pages, browser, tmp_path):
    _, file, folder = pages("multilabel")
    image = structured_image(*SIZE)
    expected = kseg.predict(file, image)
    with served(folder) as address, opened(browser, address) as page:
        chosen(ready(page), png(image))
        page.click("#none")
        assert page.locator("#legend input:checked").count() == 0
        page.click("#all")
        assert page.locator("#legend input:checked").count() == page.locator("#legend input").count() > 1
        page.click("#none")
        page.check("[data-id='1']")
        name, mask = downloaded(page, "#save-mask", tmp_path / "mask.png")
        assert name == "street_road.png" and np.array_equal(mask, expected[..., 1])


def test_the_runtime_of_the_network_is_the_one_installed_here(pages, browser, litert_runtime, tmp_path):
    """What stands at the addresses is played from npm's folder: version, paths, hashes and order of loading hold."""
    _, file, _ = pages("float32")
    kseg.export.web_page(file, tmp_path / "page")
    assert not (tmp_path / "page" / "runtime").exists()
    fetched = []

    def play(route):
        address = route.request.url
        scope, package, path = re.fullmatch(r"https://[^/]+/npm/(@\w+)/([\w-]+)@[\d.]+/(.+)", address).groups()
        fetched.append(path)
        route.fulfill(path=litert_runtime / "node_modules" / scope / package / path,
                      headers={"Access-Control-Allow-Origin": "*"})

    problems = []
    with served(tmp_path / "page") as address, opened(browser, "about:blank", problems) as page:
        page.context.route("https://cdn.jsdelivr.net/**", play)
        page.goto(address)
        image = structured_image(*SIZE)
        assert (segmented(ready(page), png(image))["labels"] == kseg.predict(file, image)).mean() >= 0.997
    assert any(path.endswith(".wasm") for path in fetched) and not [one for one in problems if "request" not in one]


def broken(folder, tmp_path, change):
    """Return a copy of a page's folder that `change` was made to."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(copy)
    return copy


def damaged(folder):
    next((folder / "runtime" / "core" / "wasm").glob("litert_wasm_internal.js")).write_text("alert(1)")


def half_a_model(folder):
    (folder / "model.tflite").write_bytes((folder / "model.tflite").read_bytes()[:1000])


@pytest.mark.parametrize("change, sentence", [
    (damaged, "runtime/core/wasm/litert_wasm_internal.js is not the file that this page was made for: its integrity "
              "hash differs, so that the runtime was not loaded."),
    (half_a_model, "model.tflite is not the file that this page was made for"),
    (lambda folder: shutil.rmtree(folder / "runtime"), "could not be fetched, so that the runtime is missing"),
    (lambda folder: os.remove(folder / "model.json"), "The file model.json of this page could not be fetched"),
])
def test_the_page_says_what_is_wrong_with_it(change, sentence, pages, browser, tmp_path):
    with served(broken(pages("float32")[2], tmp_path, change)) as address, opened(browser, address, []) as page:
        assert sentence in ready(page).inner_text("#problem")
        assert page.inner_text("#status") == ""


def test_the_page_says_what_is_wrong_with_an_image_and_with_the_browser(pages, browser):
    folder, problems = pages("float32")[2], []
    with served(folder) as address:
        with opened(browser, address) as page:
            sentence = "street.png: This file could not be opened as an image"
            assert chosen(ready(page), b"no image").startswith(sentence)
            assert chosen(page, png(structured_image(*SIZE))[:500]).startswith(sentence)
            assert chosen(page, png(structured_image(*SIZE))).startswith("Segmented")  # it goes on, the message is gone
            assert page.is_hidden("#problem")
            page.click("#camera")
            page.wait_for_function("!document.getElementById('problem').hidden")
            assert page.inner_text("#problem").startswith("The camera was refused.")
        with opened(browser, address, permissions=["camera"]) as page:
            ready(page).click("#camera")
            page.wait_for_selector("#result:not([hidden])")
            page.click("#camera")
            assert page.inner_text("#camera") == "Use the camera"
        with opened(browser, "about:blank", problems) as page:
            page.add_init_script("delete globalThis.WebAssembly")
            page.goto(address)
            assert ready(page).inner_text("#problem").startswith("This browser has no WebAssembly")
        with opened(browser, f"file://{folder}/index.html", problems) as page:
            assert "python -m http.server" in ready(page).inner_text("#problem")


class Small:
    """A `.tflite` file and the model it came from, for what needs no browser."""

    def __init__(self, folder):
        self.model, self.file = model_of("multiclass"), str(folder / "small.tflite")
        self.report = kseg.export.tflite(self.model, self.file, SIZE)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return Small(tmp_path_factory.mktemp("small"))


def test_a_model_is_exported_with_its_proof_and_the_page_fetches_its_runtime(small, tmp_path):
    photo = tmp_path / "a b.jpg"
    Image.fromarray(structured_image(40, 50)).save(photo)
    small.model.save(tmp_path / "small.keras")
    report = kseg.export.web_page(tmp_path / "small.keras", tmp_path / "deep" / "page", SIZE, quantize="float16",
                                  examples=[photo, structured_image(30, 40)])
    folder = tmp_path / "deep" / "page"
    assert report.label_agreement > 0.99 and report.path == str(folder / "model.tflite")
    assert json.loads((folder / "model.tflite.parity.json").read_text())["path"] == report.path
    said = json.loads((folder / "model.json").read_text())
    assert said["engine"] == "litert" and said["input"] == {"channels": 3, "image_size": list(SIZE)}
    assert [one["name"] for one in said["classes"]] == list(NAMES["multiclass"])
    assert said["examples"] == [{"file": "examples/1.jpg", "name": "a b.jpg"},
                                {"file": "examples/2.png", "name": "image 2"}]
    assert (folder / "examples" / "1.jpg").read_bytes() == photo.read_bytes()
    for one in said["litert"]["runtime"]["files"].values():
        assert one["address"].startswith("https://cdn.jsdelivr.net/npm/@litertjs/") and "@2.5.3/" in one["address"]
        assert one["integrity"].startswith("sha384-") and len(one["integrity"]) == 71
    assert set(os.listdir(folder)) == {*segment_page.files("litert"), "model.json", "model.tflite",
                                       "model.tflite.parity.json", "examples"}
    with pytest.raises(FileExistsError, match="`path` must not exist"):
        kseg.export.web_page(small.file, folder)
    kseg.export.web_page(small.file, folder, overwrite=True, title="Other")
    assert json.loads((folder / "model.json").read_text())["title"] == "Other"
    assert not (folder / "examples").exists()


def test_a_runtime_that_is_another_is_refused(small, tmp_path, litert_runtime):
    assert litert_runtime_table.checked_packages(litert_runtime / "node_modules").name == "@litertjs"
    copy = shutil.copytree(litert_runtime, tmp_path / "npm")
    (copy / "node_modules" / "@litertjs" / "core" / "dist" / "index.js").write_text("alert(1)")
    with pytest.raises(ValueError, match="`runtime` must hold LiteRT.js in version 2.5.3, unchanged, got"):
        kseg.export.web_page(small.file, tmp_path / "page", runtime=copy)
    with pytest.raises(FileNotFoundError, match="`runtime` must be a folder in which npm installed LiteRT.js, with "):
        kseg.export.web_page(small.file, tmp_path / "page", runtime=tmp_path)
    assert os.listdir(tmp_path) == ["npm"]


def with_range(model):
    model.pixel_range = (0, 4095)
    return model


@pytest.mark.parametrize("model, arguments, sentence", [
    (lambda small: small.file, {"quantize": "float16"}, "`quantize` must be None for a .tflite file, which is taken as "
     "it is, got quantize='float16'. Give the .keras file to export it anew."),
    (lambda small: small.file, {"maximum_megabytes": 0.01}, "`maximum_megabytes` must be at least the "),
    (lambda small: small.file, {"examples": [__file__]}, "`image` must be a complete image file, got "),
    (lambda small: small.file, {"examples": "a.png"}, "`examples` must be a list of images, got examples='str'. "),
    (lambda small: small.model, {}, "`image_size` must be two positive integers (height, width), got image_size=None."),
    (lambda small: with_range(model_of("multiclass")), {"image_size": SIZE}, "`model` must take pixels of 8 bits, the "
     "only ones that browsers open, got model='a pixel_range of [[0.0, 4095.0]]'. "),
    (lambda small: model_of("multiclass", 4), {"image_size": SIZE}, "`channels` must be one of (1, 3), got channels=4. "
     "A browser opens grey and RGB images alone: use kseg.predict."),
    (lambda small: "none.tflite", {}, "`model` must be the path of a file, got model='none.tflite'. "),
])
def test_what_no_page_can_run_is_refused_and_leaves_nothing(small, tmp_path, model, arguments, sentence):
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as failure:
        kseg.export.web_page(model(small), tmp_path / "page", **arguments)
    assert str(failure.value).startswith(sentence)
    assert os.listdir(tmp_path) == []


def test_the_command_writes_a_page(small, tmp_path, capsys):
    small.model.save(tmp_path / "small.keras")
    words = ["export", str(tmp_path / "small.keras"), str(tmp_path / "page"), "--web", "--image-size", "96", "128",
             "--data", "shapes"]
    assert cli.main(["export", small.file, str(tmp_path / "file"), "--web", "--title", "A file"]) == 0
    assert capsys.readouterr().out.startswith("Serve the folder to look at the page: python -m http.server ")
    assert cli.main(words) == 0, capsys.readouterr().err
    assert "the exported model answers as the original" in capsys.readouterr().out
    assert len(os.listdir(tmp_path / "page" / "examples")) == 4
