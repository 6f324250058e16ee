"""Graphs for other machines hold no operation that only some machines have."""

import keras
import pytest
import tensorflow as tf

from kseg.export.graphs import traced_for
from kseg.layers import AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D
from kseg.models.walk import layers_of


def dilated_model():
    pixels = keras.Input((None, None, 4))
    features = pixels
    for layer in (AtrousConv2D(4, 3, padding="same", dilation_rate=2),
                  AtrousDepthwiseConv2D(3, padding="same", dilation_rate=2),
                  AtrousSeparableConv2D(4, 3, padding="same", dilation_rate=2)):
        features = layer(features)
    image = keras.Input((None, None, 4))
    return keras.Model(image, keras.Model(pixels, features, name="encoder")(image))


def dilated_depthwise(model):
    graph = tf.function(lambda pixels: model(pixels)).get_concrete_function(tf.TensorSpec((1, 16, 16, 4))).graph
    return [node.name for node in graph.as_graph_def().node
            if node.op == "DepthwiseConv2dNative" and max(node.attr["dilations"].list.i) > 1]


@pytest.mark.parametrize("onednn", [False, True])
def test_depthwise_convolutions_are_regrouped_for_other_machines_and_whole_for_converters(onednn, monkeypatch):
    monkeypatch.setattr("kseg.layers.dilated_convolution.runs_here", lambda kind, dtype: onednn)
    model = dilated_model()
    before = len(dilated_depthwise(model))
    with traced_for(layers_of(model), "any machine"):
        assert dilated_depthwise(model) == []
    with traced_for(layers_of(model), "a converter"):
        assert len(dilated_depthwise(model)) == 2
    assert len(dilated_depthwise(model)) == before == (2 if onednn else 0)
