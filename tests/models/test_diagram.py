"""Diagrams say what the models are: strides, channels and rates are measured again, another way, on real tensors."""

import itertools
import xml.etree.ElementTree as xml

import keras
import numpy as np
import pytest

import kseg
from kseg.models.diagram import ink
from kseg.models.diagram.boxes import boxes_of
from kseg.models.diagram.placement import placed
from kseg.models.diagram.spots import LINE
from kseg.models.walk import layers_of
from tests.conftest import structured_image
from tests.models.tiny_backbone import tiny_backbone

SIDE = 128
TINY = {
    "FCN32s": {"fc_filters": 8, "encoder_name": tiny_backbone}, "FCN16s": {"fc_filters": 8, "geometry": "paper"},
    "FCN8s": {"encoder_name": tiny_backbone, "at_once": True},
    "SegNet": {"filters": (4, 4, 6, 8, 8)}, "SegNetBasic": {"filters": 4}, "UNet": {"filters": 4},
    "DeepLabV1": {"fc6_filters": 8, "multi_scale": True, "encoder_name": "resnet18"},
    "DeepLabV2": {"encoder_name": tiny_backbone, "output_stride": 32, "scales": (0.5, 0.75, 1.0)},
    "DeepLabV3": {"encoder_name": "resnet18", "filters": 8, "output_stride": 8, "aux": True},
    "DeepLabV3Plus": {"encoder_name": "mobilenetv2", "filters": 8},
    "RefineNet": {"encoder_name": tiny_backbone, "filters": 4},
    "PSPNet": {"encoder_name": "resnet18", "filters": 8, "aux": True},
    "DilatedFCN": {"encoder_name": "resnet18", "concatenate_input": True},
}


def built(name, **arguments):
    arguments = {**TINY[name], **arguments}
    if arguments.get("encoder_name") is tiny_backbone:
        arguments["encoder_name"] = tiny_backbone()
    return getattr(kseg.models, name)(3, compile=False, **arguments)


def stride_of(array):
    return 2 ** round(np.log2(SIDE / array.shape[1]))


def check_against_tensors(model, boxes):
    """Run the parts of `model` on an image and compare what comes out with the boxes."""
    pixels = structured_image(SIDE, SIDE)[None].astype("float32")
    stages = {box.name: box for box in boxes if box.kind == "stage"}
    if model.encoder is not None:
        for name, features in model.encoder(pixels).items():
            if name in stages:
                assert (stages[name].stride, stages[name].channels) == (stride_of(features), features.shape[-1]), name
        assert stages
    heads = [box for box in boxes if box.kind in ("convolution", "join", "block") and not box.training_only
             and any(box.layers[-1] is layer for layer in model.layers)]
    assert heads or not model.encoder
    values = keras.Model(model.inputs[0], [box.layers[-1].output for box in heads])(pixels)
    for box, value in zip(heads, values if isinstance(values, list) else [values]):
        assert (box.stride, box.channels) == (stride_of(value), value.shape[-1]), box.name


def rectangles(spot):
    """Return the box of a spot and the texts below it: (left, top, right, bottom)."""
    yield spot.left, spot.top, spot.right, spot.y + spot.height / 2
    for number, line in enumerate(spot.lines):
        width = ink.text_width(line, not number)
        if spot.inside:
            assert width <= spot.width, line
        else:
            top = spot.y + spot.height / 2 + 2 + LINE * number
            yield spot.x - width / 2, top, spot.x + width / 2, top + LINE - 1


def check_nothing_overlaps(layout):
    placed_at = [(spot, one) for spot in layout.spots for one in rectangles(spot)]
    for (spot, (left, top, right, bottom)), (other, (left2, top2, right2, bottom2)) in itertools.combinations(
            placed_at, 2):
        apart = right <= left2 or right2 <= left or bottom <= top2 + 0.01 or bottom2 <= top + 0.01
        assert apart, (spot.lines, other.lines)
    for _, (left, top, right, bottom) in placed_at:
        assert left > 0 and top > 0 and right < layout.width and bottom < layout.height
        for route in layout.routes:  # no arrow runs through a text or a box; its ends touch boxes
            for (x, y), (x2, y2) in itertools.pairwise(route.points):
                inside = (min(x, x2) < right - 1 and max(x, x2) > left + 1
                          and min(y, y2) < bottom - 1 and max(y, y2) > top + 1)
                assert not inside, (route, left, top, right, bottom)


@pytest.mark.slow
@pytest.mark.parametrize("name", kseg.models.BUILDERS)
def test_every_builder_is_drawn_as_it_is(name, tmp_path):
    model = built(name)
    layers = list(layers_of(model))
    boxes, arrows = boxes_of(model)
    if TINY[name].get("geometry") != "paper" and name != "DeepLabV2":  # margins of 100 pixels; a head of its own
        check_against_tensors(model, boxes)
    check_nothing_overlaps(placed(boxes, arrows, ink.text_width))
    path = kseg.models.draw(model, tmp_path / "net.svg")
    assert path == str(tmp_path / "net.svg")
    text = (tmp_path / "net.svg").read_text()
    xml.fromstring(text)
    assert len(text) < 60_000 and f"{model.count_params():,} parameters" in text
    assert list(layers_of(model)) == layers  # the model is as it was


def named(boxes, kind):
    return [box for box in boxes if box.kind == kind]


@pytest.mark.slow
def test_rates_are_those_of_the_model():
    boxes, _ = boxes_of(built("DeepLabV3"))
    assert [box.rates for box in named(boxes, "stage")] == [(), (), (), (2,), (2, 4)]
    assert sorted(box.rates for box in named(boxes, "convolution") if box.rates) == [(12,), (24,), (36,)]
    boxes, _ = boxes_of(built("DeepLabV3", output_stride=32, rates=(4, 10)))
    assert [box.stride for box in named(boxes, "stage")] == [2, 4, 8, 16, 32]
    assert [box.rates for box in named(boxes, "stage")] == [()] * 5
    assert sorted(box.rates for box in named(boxes, "convolution") if box.rates) == [(2,), (5,)]


def arrows_by_name(model):
    boxes, arrows = boxes_of(model)
    return {(boxes[arrow.source].name, boxes[arrow.target].name, arrow.kind, arrow.marks) for arrow in arrows}


def test_skips_of_unet_and_places_of_segnet():
    skips = {(f"down{level}", f"up{level}", "flow", ()) for level in range(1, 5)}
    raised = {(source, f"up{level}", "flow", ("transposed",))
              for level, source in ((4, "down5"), (3, "up4"), (2, "up3"), (1, "up2"))}
    assert skips | raised <= arrows_by_name(built("UNet"))
    places = {arrow[:2] for arrow in arrows_by_name(built("SegNet")) if arrow[2] == "places"}
    assert places == {("c5", "decoder5"), *((f"places{level}", f"decoder{level}") for level in range(1, 5))}


@pytest.mark.slow
def test_heads():
    boxes, arrows = boxes_of(built("PSPNet"))
    texts = [spot.lines for spot in placed(boxes, arrows, ink.text_width).spots]
    assert [f"{side}×{side} bins" for side in (1, 2, 3, 6)] == [lines[0] for lines in texts if "bins" in lines[0]]
    assert {box.name for box in boxes if box.training_only} == {"aux", "aux_logits"}
    boxes, arrows = boxes_of(built("RefineNet", convention="paper"))
    blocks = [spot.lines for spot in placed(boxes, arrows, ink.text_width).spots if spot.box.kind == "block"]
    assert sorted(blocks) == [["RefineNet-1", "2 RCU", "fusion", "CRP × 2", "3 RCU", "4"],
                              *(["RefineNet-" + number, "2 RCU", "fusion", "CRP × 2", "1 RCU", "4"] for number in "23"),
                              ["RefineNet-4", "2 RCU", "CRP × 2", "1 RCU", "8"]]
    scaled, = (marks for source, target, _, marks in arrows_by_name(built("DeepLabV2")) if target == "c1")
    assert scaled == ("×0.75", "×0.5")


def foreign(name="<script>&", layers=6):
    pixels = keras.Input((None, None, 3))
    kept = keras.layers.Conv2D(4, 3, padding="same", name="first")(pixels)
    features = keras.layers.MaxPooling2D(2)(kept)
    for index in range(layers):
        features = keras.layers.Conv2D(5 + index, 3, padding="same", dilation_rate=2, name=f"own{index}_<b>")(features)
    features = keras.layers.UpSampling2D(2)(features)
    features = keras.layers.Concatenate()([features, kept])
    return keras.Model(pixels, keras.layers.Conv2D(2, 1, name="$x$")(features), name=name)


def test_models_of_others(tmp_path):
    model = foreign()
    boxes, arrows = boxes_of(model)
    assert [(box.stride, box.channels, box.rates) for box in named(boxes, "convolution")] == [
        (1, 4, ()), *((2, 5 + index, (2,)) for index in range(6)), (1, 2, ())]
    check_nothing_overlaps(placed(boxes, arrows, ink.text_width))
    model.save(tmp_path / "own.keras")
    kseg.models.draw(kseg.load_model(tmp_path / "own.keras"), tmp_path / "own.svg")
    root = xml.parse(tmp_path / "own.svg").getroot()
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<script>&" in texts and "own1_<b>" in texts and "$x$" in texts
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


@pytest.mark.slow
def test_many_layers_are_gathered_by_stride(tmp_path):
    model = foreign(layers=60)
    boxes, arrows = boxes_of(model)
    assert [(box.kind, box.stride) for box in boxes] == [
        ("input", 1), ("block", 1), ("block", 2), ("block", 1), ("output", 1)]
    classifier = keras.applications.MobileNetV2(weights=None, classes=7, alpha=0.35)
    boxes, arrows = boxes_of(classifier)
    assert [box.stride for box in named(boxes, "block")] == [2, 4, 8, 16, 32] and boxes[-1].channels == 7
    kseg.models.draw(classifier, tmp_path / "classifier.png", title="$a_classifier")
    assert (tmp_path / "classifier.png").read_bytes().startswith(b"\x89PNG")


class Hidden(keras.Model):
    def call(self, inputs):
        return inputs


def two_inputs():
    return keras.Model(inputs := [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))], keras.layers.Add()(inputs))


@pytest.mark.parametrize("model, path, kind, sentence", [
    (foreign, "net.jpg", ValueError,
     "`path` must end in .svg or .png, got path='net.jpg'. Write for example net.svg."),
    (foreign, 3, TypeError, "`path` must be the path of a picture, got path=3. Write for example net.svg."),
    (Hidden, "net.svg", ValueError, "`model` must be a functional Keras model, got model='Hidden'. A subclassed model "
     "hides its graph: build it from keras.Input, or with kseg.models."),
    (two_inputs, "net.svg", ValueError, "`model` must take one image [B, H, W, channels], got model=[(None, 8, 8, 1), "
     "(None, 8, 8, 1)]. Draw the part of it that does."),
])
def test_what_cannot_be_drawn(model, path, kind, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        kseg.models.draw(model(), path)
    assert str(caught.value) == sentence and not list(tmp_path.iterdir())
