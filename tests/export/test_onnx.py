"""ONNX files: they answer as Keras does at any size, say what they are, and are refused with reasons."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg import models
from kseg.labels import LabelSet
from kseg.layers import AtrousSeparableConv2D
from kseg.models import onnx_graph
from tests.conftest import structured_image
from tests.export.tiny import tiny_model, with_statistics
from tests.models.tiny_backbone import tiny_backbone

LABELS = LabelSet(("road", "sky", "car", "tree"))
# Those families whose operations are not all in `tiny_model`, each at its smallest.
FAMILIES = {"FCN8s": {}, "SegNet": {"filters": (4, 6, 8, 8, 8)}, "UNet": {},
            "DeepLabV3Plus": {"output_stride": 32}, "RefineNet": {"filters": 8},
            "PSPNet": {"output_stride": 32, "aux": True}}


@pytest.fixture
def runtime():
    pytest.importorskip("tf2onnx")
    return pytest.importorskip("onnxruntime")


def images(height, width, count=2):
    image = structured_image(height, width)
    return np.stack([image, 255 - image[::-1]][:count])


def test_it_answers_as_keras_at_any_size_and_number(runtime, tmp_path):
    model, path = tiny_model(), tmp_path / "made" / "m.onnx"
    report = kseg.export.onnx(model, path, label_set=LABELS)
    assert report.kind == "onnx" and report.label_agreement == 1 and report.size_bytes == path.stat().st_size
    assert report.operators["Conv"] == 5 and not {"SpaceToDepth", "Loop"} & set(report.operators)
    assert kseg.export.ParityReport.load(f"{path}.parity.json") == report
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given, made = session.get_inputs()[0], session.get_outputs()[0]
    assert (given.name, given.type, given.shape) == ("pixels", "tensor(float)", ["batch", "height", "width", 3])
    assert (made.name, made.type, made.shape) == ("logits", "tensor(float)", ["batch", "height", "width", 4])
    for size in ((33, 47), (64, 40)):
        pixels = images(*size).astype("float32")
        logits, = session.run(None, {"pixels": pixels})
        np.testing.assert_allclose(logits, np.asarray(model(pixels, training=False)), atol=1e-4)
    assert kseg.predict(str(path), images(33, 47)[0]).shape == (33, 47)
    described = kseg.export.read_metadata(path)
    assert LabelSet.from_dict(described["label_set"]) == LABELS and described["opset"] == 17
    assert session.get_modelmeta().custom_metadata_map["labels.txt"].split() == list(LABELS.names)


def test_of_one_size_with_labels(runtime, tmp_path):
    model = tiny_model(channels=1)
    report = kseg.export.onnx(model, tmp_path / "m.onnx", (32, 48), output="labels")
    assert report.max_abs_difference is None and report.label_agreement >= 0.999
    run = kseg.export.ONNXModel(tmp_path / "m.onnx")
    assert (run.shape, run.classes, run.labels_only) == ((32, 48, 1), 4, True)
    pixels = images(32, 48)[..., :1]
    answer = run(pixels)
    assert answer.dtype == np.uint8 and (answer == np.asarray(model(pixels)).argmax(-1)).mean() >= 0.999
    assert run.metadata["input"]["image_size"] == [32, 48]


def test_only_same_padding_is_written_out(runtime):
    from onnx import helper

    nodes = [helper.make_node("Conv", ["x", "k"], ["y"], kernel_shape=[3, 3], **attributes) for attributes in (
        {"auto_pad": "SAME_UPPER", "dilations": [2, 2]}, {"auto_pad": "VALID", "dilations": [2, 2]},
        {"auto_pad": "NOTSET", "dilations": [2, 2], "pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER"})]
    expected = [node.SerializeToString() for node in nodes]
    graph = helper.make_graph(nodes, "graph", [], [])
    onnx_graph.make_runnable(graph)
    found = {attribute.name: list(attribute.ints) for attribute in graph.node[0].attribute}
    assert found["pads"] == [2, 2, 2, 2] and "auto_pad" not in found
    assert [node.SerializeToString() for node in graph.node[1:]] == expected[1:]


def test_a_resize_by_no_whole_factor(runtime, tmp_path):
    """3 rows to 20 by the factor 20 / 3, which float32 rounds down, are 20 and not 19."""
    report = kseg.export.onnx(tiny_model(), tmp_path / "m.onnx", (40, 56))
    assert report.label_agreement == 1


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_as_keras_exports_it(runtime, tmp_path, dynamic):
    """`model.export(format="onnx")` of a model that was never called, with dilated convolutions and fixed resizes."""
    size = (None, None) if dynamic else (40, 56)
    model = kseg.models.DeepLabV3Plus(4, encoder_name=tiny_backbone(), output_stride=32, image_size=size, rates=(1, 2),
                                      separable=True, filters=16, decoder_filters=16)
    model.export(str(tmp_path / "m.onnx"), format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    pixels = images(40, 56).astype("float32")
    logits, = session.run(None, {session.get_inputs()[0].name: pixels})
    expected = np.asarray(model(pixels))
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("opset", [13, 18])
def test_opsets_from_first_to_last(runtime, tmp_path, opset):
    import onnx

    pixels = keras.Input((None, None, 3), name="pixels")
    features = keras.layers.Conv2D(8, 3, strides=2, padding="same")(pixels)
    for rate in (2, 9):  # the second reaches beyond a map of 16x24
        features = AtrousSeparableConv2D(8, 3, padding="same", dilation_rate=rate, activation="relu")(features)
    logits = keras.layers.UpSampling2D(2)(keras.layers.Conv2D(4, 1)(features))
    report = kseg.export.onnx(with_statistics(keras.Model(pixels, logits)), tmp_path / "m.onnx", opset=opset,
                              images=images(32, 48))
    assert report.label_agreement >= 0.999
    versions = {entry.domain: entry.version for entry in onnx.load(tmp_path / "m.onnx").opset_import}
    assert versions[""] == opset


def test_a_mixed_precision_model_is_exported_in_float32(runtime, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny_model()
    finally:
        keras.config.set_dtype_policy("float32")
    report = kseg.export.onnx(model, tmp_path / "m.onnx", (32, 32))
    assert report.max_abs_difference < 1e-4


def test_another_answer_raises_and_leaves_nothing(runtime, tmp_path, monkeypatch):
    from kseg.export import graphs

    honest = graphs.constant_graph
    monkeypatch.setattr(graphs, "constant_graph",
                        lambda original, answer, name: honest(original, lambda logits: logits[..., ::-1], name))
    with pytest.raises(ValueError, match="`model` must answer after export as it does in Keras") as caught:
        kseg.export.onnx(tiny_model(), tmp_path / "folder" / "m.onnx", (32, 32))
    assert "Nothing was written" in str(caught.value) and list(tmp_path.iterdir()) == []


def test_an_operation_that_onnx_lacks_is_named(runtime, tmp_path):
    @keras.saving.register_keras_serializable(package="test")
    class LogGamma(keras.layers.Layer):
        def call(self, inputs):
            return tf.math.lgamma(inputs)

    pixels = keras.Input((None, None, 3))
    model = keras.Model(pixels, LogGamma()(keras.layers.Conv2D(4, 1)(pixels)))
    with pytest.raises(ValueError) as caught:
        kseg.export.onnx(model, tmp_path / "m.onnx")
    assert str(caught.value) == ("`model` must be made of operations that ONNX has, got model=['Lgamma']. Leave out "
                                 "the layers with these operations of TensorFlow.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path, arguments, sentence", [
    ("m.tflite", {}, '`path` must end in ".onnx", got path=\'m.tflite\'. Add the ending.'),
    ("m.onnx", {"opset": 9}, "`opset` must be one of (13, 14, 15, 16, 17, 18), got opset=9. "
                              "Choose one of (13, 14, 15, 16, 17, 18)."),
    ("m.onnx", {"output": "label"}, "`output` must be one of ('logits', 'labels'), got output='label'. "
                                    "Did you mean 'labels'?"),
])
def test_illegal_arguments_are_refused(path, arguments, sentence):
    with pytest.raises(ValueError) as caught:
        kseg.export.onnx(None, path, **arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("package", ["tf2onnx", "onnx"])
def test_a_missing_converter_is_named(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError) as caught:
        kseg.export.onnx(tiny_model(name="small"), tmp_path / "m.onnx")
    assert str(caught.value) == ("`model` needs the packages tf2onnx and onnx, got model='small'. "
                                 'Install it: pip install "kseg[onnx]".')


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_other_operations(runtime, name, tmp_path):
    """At any height and width, odd ones included."""
    arguments = FAMILIES[name] if name == "SegNet" else {"encoder_name": tiny_backbone(), **FAMILIES[name]}
    model = getattr(models, name)(4, compile=False, **arguments)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:  # classifiers start at zero, which would hide everything before them
        variable.assign(variable + 0.05 * random.standard_normal(variable.shape).astype("float32"))
    kseg.export.onnx(model, tmp_path / "m.onnx", images=images(64, 96))
    texture = random.integers(-9, 10, (2, 65, 97, 3))  # values of a pooling window tie in flat areas
    pixels = np.clip(images(65, 97) * 0.9 + 10 + texture, 0, 255).astype("float32")
    found = kseg.export.ONNXModel(tmp_path / "m.onnx")(pixels)
    wanted = np.asarray(model(pixels, training=False))
    assert wanted.std((1, 2)).min() > 1e-3 * np.abs(wanted).max()  # the images matter
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
