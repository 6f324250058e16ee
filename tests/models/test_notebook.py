"""What notebooks show of a model."""

import re

import keras

import kseg


def rows(text):
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]


def test_stages_and_classes():
    model = kseg.models.DeepLabV3(3, "resnet18", output_stride=8, filters=4, aux=True, compile=False, name="<b>net")
    model.label_set = kseg.LabelSet(("<script>", "b", "c"))
    text = model._repr_html_()
    assert "<script" not in text and "&lt;script&gt;" in text and "&lt;b&gt;net<" in text
    table = rows(text)
    assert ["task", "multiclass, 3 classes"] in table and ["parameters", f"{model.count_params():,}"] in table
    assert ["in training", "1 more output, weight 0.4"] in table
    assert [row for row in table if re.match(r"c\d$", (row or [""])[0])] == [
        ["c1", "2", "64", "1"], ["c2", "4", "64", "1"], ["c3", "8", "128", "1"], ["c4", "8", "256", "2"],
        ["c5", "8", "512", "2, 4"]]


def test_without_an_encoder_or_a_graph():
    text = kseg.models.SegNetBasic(1, filters=4, task="binary", image_size=(64, 96), compile=False)._repr_html_()
    assert ["encoder", "none of its own"] in rows(text) and ["pixels", "[64, 96, 3], 0 to 255"] in rows(text)
    assert ["task", "binary, 1 class, threshold 0.5"] in rows(text) and ["decoder4", "8", "4", "1"] in rows(text)
    pixels = keras.Input((8, 8, 3))
    own = kseg.models.Segmenter(pixels, keras.layers.Conv2D(2, 1)(pixels), pixel_range=(0, 4095))
    assert ["pixels", "[8, 8, 3], stored numbers 0 to 4095"] in rows(own._repr_html_())
