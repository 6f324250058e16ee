"""Models saved for others: a folder and its card, and a repository of a hub that runs on loopback."""

import json
import os
import re
import socket
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from huggingface_hub import constants
from markdown_it import MarkdownIt

import kseg
from kseg.layers import NormalizePixels, ResizeTo
from kseg.pretrained import push
from tests.conftest import structured_image
from tests.pretrained.hub_server import TOKEN, Hub

NAMES = ("road|lane\nmarking", "<b>sky</b> `code` &#124; *x*", r"end\|[a](b)")
IMAGE = structured_image(17, 23)


def tiny(layer=None, names=("sky", "road", "tree")):
    pixels = keras.Input((None, None, 3), name="pixels")
    features = layer or keras.layers.Conv2D(3, 3, strides=2, padding="same")
    features = features(NormalizePixels([0.5] * 3, [0.2] * 3)(pixels))
    model = kseg.models.Segmenter(pixels, ResizeTo(dtype="float32")(features, pixels), name="tiny",
                                  label_set=kseg.LabelSet(names))
    model.compile("sgd", kseg.losses.CrossEntropy())
    return model


def same(model, other):
    np.testing.assert_array_equal(kseg.predict(model, IMAGE, "logits"), kseg.predict(other, IMAGE, "logits"))
    assert other.label_set == model.label_set


@pytest.fixture
def loopback(tmp_path, monkeypatch):
    """Point huggingface_hub at nothing but `tmp_path` and a closed port; a connection elsewhere fails the test."""
    connect = socket.socket.connect

    def only_loopback(self, address):
        assert address[0] in ("127.0.0.1", "::1"), f"a connection to {address}"
        return connect(self, address)

    def point(endpoint):
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                            endpoint + "/{repo_id}/resolve/{revision}/{filename}")

    monkeypatch.setattr(socket.socket, "connect", only_loopback)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", *(f"{kind}_proxy" for kind in ("http", "https", "all"))):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_TOKEN_PATH": str(tmp_path / "token"),
                        "AGENT_HARNESSES_PATH": str(tmp_path / "none.json"), "HF_HUB_OFFLINE": False,
                        "HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_TELEMETRY": True}.items():
        monkeypatch.setattr(constants, name, value, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    point(closed)
    return point, closed


@pytest.fixture
def hub(loopback):
    with Hub() as server:
        loopback[0](server.endpoint)
        yield server


def test_a_folder_comes_back(tmp_path):
    model = tiny()
    assert push(model, tmp_path / "street") == str(tmp_path / "street")
    assert sorted(path.name for path in (tmp_path / "street").iterdir()) == ["README.md", "config.json", "model.keras"]
    same(model, kseg.load_model(tmp_path / "street"))
    assert not kseg.load_model(tmp_path / "street", compile=False).compiled
    np.testing.assert_array_equal(kseg.predict(str(tmp_path / "street"), IMAGE), kseg.predict(model, IMAGE))
    config = json.loads((tmp_path / "street" / "config.json").read_text())
    assert kseg.LabelSet.from_dict(config["label_set"]) == model.label_set
    assert config["input"] == {"channels": 3, "range": [0, 255], "image_size": [None, None]}


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    push(tiny(), "./street")
    other = tiny()
    assert push(other, "street") == "street"  # it exists now
    same(other, kseg.load_model("street"))

    def fails(path):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    broken = tiny()
    monkeypatch.setattr(broken, "save", fails)
    with pytest.raises(OSError, match="No space left"):
        push(broken, "street")
    same(other, kseg.load_model("street"))
    assert [path.name for path in tmp_path.iterdir()] == ["street"]


def test_nothing_of_others_is_replaced(tmp_path):
    push(tiny(), tmp_path / "street")
    (tmp_path / "street" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="Choose another folder: this one holds notes.txt."):
        push(tiny(), tmp_path / "street")
    with pytest.raises(FileExistsError, match="`repository` must be a folder or new"):
        push(tiny(), tmp_path / "street" / "notes.txt")
    assert (tmp_path / "street" / "notes.txt").read_text() == "mine"


def cells(text):
    """Return the rows of all tables of a Markdown text as readers see them, lists of text, and the whole as HTML."""
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    rows, inside = [], False
    for token in rendered:
        if token.type == "tr_open":
            rows.append([])
        inside = token.type in ("td_open", "th_open") or (inside and token.type not in ("td_close", "th_close"))
        if inside and token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special", "code_inline"}, token.content
            rows[-1].append("".join(child.content for child in token.children))
    return rows


def test_the_card_says_what_it_is(tmp_path):
    model = tiny(names=NAMES)
    recipe = kseg.training.TrainingRecipe(model="UNet", encoder_name="resnet34", data="folder",
                                          data_dir="/home/somebody/street", data_options={"classes": 3})
    scores = {"mean_iou": 0.71239, "pixel_accuracy": float("nan"), "dataset": "a|b",
              "per_class_iou": dict(zip(NAMES, (0.5, 0.25, float("nan"))))}
    push(model, tmp_path / "street", recipe=recipe, scores=scores, licence="apache-2.0")
    text = (tmp_path / "street" / "README.md").read_text()
    front = text.split("---\n")[1].splitlines()
    assert front[:3] == ["library_name: keras", "pipeline_tag: image-segmentation", 'license: "apache-2.0"']
    rows = cells(text.split("---\n", 2)[2])
    assert rows[rows.index(["id", "class", "colour", "IoU"]) + 1:] == [
        ["0", "road|lane marking", "#000000", "0.5000"], ["1", NAMES[1], "#800000", "0.2500"],
        ["2", NAMES[2], "#008000", "–"]]
    assert ["mean IoU", "0.7124"] in rows and ["pixel accuracy", "–"] in rows
    assert ["network", "UNet"] in rows and ["encoder", "resnet34"] in rows
    assert ["parameters", f"{model.count_params():,}"] in rows and ["size of the input", "any height and width"] in rows
    shown = json.loads(re.search("```json\n(.*?)\n```", text, re.DOTALL).group(1))
    assert shown == {**recipe.to_dict(), "data_dir": "street"}
    assert "/home" not in text and 'kseg.load_model("street")' in text


def test_hostile_texts_of_a_recipe_stay_in_their_block(tmp_path):
    recipe = {"note": "```\n\n# Heading <script>alert(1)</script>", "model": "U|Net\n## more"}
    push(tiny(), tmp_path / "street", recipe=recipe, licence='mit"\nlibrary_name: "x')
    text = (tmp_path / "street" / "README.md").read_text()
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text.split("---\n", 2)[2])
    assert "<script>" not in rendered and "Heading" not in re.sub("(?s)<pre>.*?</pre>", "", rendered)
    assert re.findall("<h2>(.*)</h2>", rendered) == ["Network", "Classes", "Training recipe"]
    assert text.count("\nlibrary_name:") == 1
    assert json.loads(re.search("```json\n(.*?)\n```", text, re.DOTALL).group(1)) == recipe


def test_an_evaluation_is_told_in_full(tmp_path):
    model = tiny(names=[f"class {index}" for index in range(3)])
    pixels = np.stack([IMAGE, IMAGE[::-1]])
    labels = np.zeros((2, 17, 23), np.int32)
    found = kseg.evaluate(model, tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(1), boundaries=False)
    push(model, tmp_path / "street", scores=found)
    rows = cells((tmp_path / "street" / "README.md").read_text().split("---\n", 2)[2])
    assert ["mean IoU", f"{found.mean_iou:.4f}"] in rows
    assert ["0", "class 0", "#000000", f"{found.per_class_iou['class 0']:.4f}"] in rows


def test_a_repository_is_written_in_one_commit_and_read_back(hub):
    model, other = tiny(), tiny()
    address = push(model, "ann/street", token=TOKEN, private=True, licence="mit")
    assert address == f"{hub.endpoint}/ann/street"
    repository = hub.repositories["ann/street"]
    assert repository["private"]
    first, = repository["commits"]
    assert first["written"] == ["README.md", "config.json", "model.keras"]
    assert first["summary"] == f"tiny, saved by kseg {kseg.__version__}"
    assert 'kseg.load_model("hf://ann/street")' in first["files"]["README.md"].decode()
    repository["private"] = False
    push(other, "hf://ann/street", token=TOKEN, commit_message="Train longer")
    assert [commit["summary"] for commit in repository["commits"]][1:] == ["Train longer"]
    hub.seen.clear()
    same(other, kseg.load_model("hf://ann/street"))
    same(model, kseg.load_model(f"hf://ann/street@{first['sha']}"))
    assert {path.rsplit("/", 1)[1] for _, path in hub.seen if "/resolve/" in path} == {"model.keras"}
    np.testing.assert_array_equal(kseg.predict("hf://ann/street", IMAGE), kseg.predict(other, IMAGE))


def test_what_was_downloaded_is_used_without_a_network(hub, loopback):
    model = tiny()
    push(model, "ann/street", token=TOKEN)
    same(model, kseg.load_model("hf://ann/street"))
    hub.seen.clear()
    kseg.load_model("hf://ann/street")
    assert not [request for request in hub.seen if request[0] == "GET" and "/resolve/" in request[1]]
    loopback[0](loopback[1])
    same(model, kseg.load_model("hf://ann/street"))


def test_without_a_network(loopback, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # huggingface_hub tries six times in 23 seconds
    with pytest.raises(ConnectionError) as caught:
        kseg.load_model("hf://ann/street")
    assert str(caught.value) == (
        "`path` must be reachable, got path='hf://ann/street'. Connect to the internet and try again; HF_HUB_OFFLINE "
        "must not be set unless the model is in the hub's cache.")
    with pytest.raises(ConnectionError, match="`repository` must be reachable, got repository='ann/street'"):
        push(tiny(), "ann/street", token=TOKEN)


def test_what_a_hub_refuses_to_give(hub, monkeypatch):
    with pytest.raises(PermissionError, match="`path` must be a repository that exists and that your token gives acc"):
        kseg.load_model("hf://ann/nowhere")
    hub.commit("ann/torch", "Add weights", {"pytorch_model.bin": b"pickle"})
    with pytest.raises(ValueError, match="`path` must be a repository with model.keras, got path='hf://ann/torch'. Wr"):
        kseg.load_model("hf://ann/torch")
    assert not [path for _, path in hub.seen if path.endswith(".bin")]
    with pytest.raises(ValueError, match="`path` must name a branch, tag or commit of the repository"):
        kseg.load_model("hf://ann/torch@v1")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(ValueError, match="`path` must be a repository of the hub, got path='hf://ann/nowhere'"):
        kseg.load_model("hf://ann/nowhere")


def test_what_a_hub_refuses_to_take(hub):
    with pytest.raises(PermissionError, match="`repository` must be a repository that exists and that your token"):
        push(tiny(), "ann/street", token="hf_bad")
    hub.commit("ann/street", "Begin", {"README.md": b""})
    with pytest.raises(PermissionError, match="`private` must be False for ann/street, which everyone sees"):
        push(tiny(), "ann/street", token=TOKEN, private=True)
    with pytest.raises(ValueError) as caught:
        push(tiny(), "ann/street", token=TOKEN, licence="mine")
    assert str(caught.value) == (
        "`repository` must be written as the hub accepts it, got repository='ann/street'. It says: Invalid metadata in "
        'README.md. - "license" must be one of [mit, apache-2.0].')
    hub.failing = True
    with pytest.raises(ConnectionError, match="The hub answered 503: Down for maintenance"):
        push(tiny(), "ann/street", token=TOKEN)
    assert len(hub.repositories["ann/street"]["commits"]) == 1


@pytest.mark.parametrize("place", ["street", "ann/street/deep", "ann/stre et", "ann/street@v1", "hf://ann", "ann/a..b"])
def test_other_names_are_no_repositories(place):
    with pytest.raises(ValueError, match="`repository` must name a repository as user/model, got"):
        push(tiny(), place)


@pytest.mark.parametrize("address", ["hf://", "hf://model", "hf://ann/street/file.keras", "hf://ann/street@../x"])
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match="`path` must name a repository as user/model or user/model@revision, got"):
        kseg.load_model(address)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError) as caught:
        kseg.load_model("hf://ann/street")
    assert str(caught.value) == ("`path` needs the package huggingface_hub, got path='hf://ann/street'. "
                                 'Install it: pip install "kseg[hub]".')
    with pytest.raises(ImportError, match="`repository` needs the package huggingface_hub"):
        push(tiny(), "ann/street")


def test_code_in_a_model_of_others_does_not_run(hub, tmp_path):
    mark = str(tmp_path / "ran")
    tiny(keras.layers.Lambda(lambda values: [open(mark, "w").close(), values][1])).save(tmp_path / "model.keras")
    os.remove(mark)  # of building it
    hub.commit("eve/street", "Add model", {"model.keras": (tmp_path / "model.keras").read_bytes()})
    with pytest.raises(ValueError, match="this one has a Lambda layer"):
        kseg.load_model("hf://eve/street")
    assert not os.path.exists(mark)
    keras.saving.load_model(tmp_path / "model.keras", safe_mode=False, compile=False)
    assert os.path.exists(mark)  # it would have run


def test_illegal_arguments_leave_nothing(tmp_path):
    model, folder = tiny(), tmp_path / "street"
    pixels = keras.Input((4,))
    for arguments, error, words in (
            ({"scores": {"mean_iou": "good"}}, TypeError, "`scores` must hold numbers, also under 'mean_iou'"),
            ({"scores": 0.7}, TypeError, "`scores` must be what kseg.evaluate returned, or a dict of numbers"),
            ({"scores": {"per_class_iou": {"sky": 1.0}}}, ValueError, "`scores` must name the classes"),
            ({"recipe": "PSPNet"}, TypeError, "`recipe` must be a TrainingRecipe or a dict that JSON can hold"),
            ({"recipe": {"model": object()}}, TypeError, "`recipe` must be a TrainingRecipe or a dict"),
            ({"model": "m.keras"}, TypeError, "`model` must be a functional keras.Model"),
            ({"model": keras.Model(pixels, keras.layers.Dense(2)(pixels))}, TypeError, "`model` must be a functional")):
        with pytest.raises(error, match=re.escape(words)):
            push(**{"model": model, "repository": folder, **arguments})
    model.label_set = kseg.LabelSet(("one",))
    with pytest.raises(ValueError, match="`label_set` must name the 3 classes of the model"):
        push(model, folder)
    assert not list(tmp_path.iterdir())


def test_a_name_works_wherever_a_file_does(tmp_path, monkeypatch):
    model, asked = tiny(), []
    monkeypatch.setattr(sys.modules["kseg.pretrained.load"], "load", lambda name: asked.append(name) or model)
    monkeypatch.chdir(tmp_path)
    name = "torchvision/deeplabv3_resnet50"
    assert kseg.load_model(name) is model
    np.testing.assert_array_equal(kseg.predict(name, IMAGE), kseg.predict(model, IMAGE))
    assert asked == [name, name]
    push(tiny(), tmp_path / name)  # what stands there goes first
    assert kseg.load_model(name) is not model
    kseg.predict(name, IMAGE)
    assert asked == [name, name]


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'torchvision/deeplabv3_resnet50'?"):
        kseg.load_model("torchvision/deeplabv3_resnet5")
    with pytest.raises(FileNotFoundError, match="`model` must be the path of a file, got model='torchvision/m.keras'"):
        kseg.predict("torchvision/m.keras", IMAGE)


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="Give a .keras file or a folder that kseg.pretrained.push wrote"):
        kseg.load_model(tmp_path)
