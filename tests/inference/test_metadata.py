import os
import subprocess
import sys
import zipfile

import keras
import pytest

from kseg.export import read_metadata
from kseg.inference import metadata
from kseg.labels import LabelSet
from tests.export.tiny import tiny_model


def test_description_names_classes_and_pixels():
    labels = LabelSet(("road", "sky", "car", "tree"))
    found = metadata.describe(tiny_model(), kind="tflite", label_set=labels, image_size=(8, 9))
    assert LabelSet.from_dict(found["label_set"]) == labels
    assert found["input"] == {"name": "pixels", "channels": 3, "order": "RGB", "range": [0, 255],
                              "image_size": [8, 9]}
    assert found["normalization"] == {"inside_the_graph": True, "mean": [120.0, 115.0, 100.0],
                                      "std": [58.0, 57.0, 57.0]}


def test_a_label_set_of_another_length_is_refused():
    with pytest.raises(ValueError) as caught:
        metadata.describe(tiny_model(), kind="tflite", label_set=LabelSet(("road", "sky")))
    assert str(caught.value) == ("`label_set` must name the 4 classes of the model, got label_set=['road', 'sky']. "
                                 "Pass the label set the model was trained on.")


def test_packed_behind_a_file_and_read_back(tmp_path):
    keras.backend.clear_session()
    found = metadata.describe(tiny_model(), kind="tflite")
    path = tmp_path / "m.tflite"
    path.write_bytes(metadata.append_to_tflite(b"TFL3" * 100, found))
    assert read_metadata(path) == found
    with zipfile.ZipFile(path) as files:
        assert files.read("labels.txt").decode().splitlines() == ["class 0", "class 1", "class 2", "class 3"]


def test_what_kseg_did_not_write_is_refused(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"TFL3")
    with pytest.raises(ValueError) as caught:
        read_metadata(path)
    assert str(caught.value) == (
        f"`path` must be a model exported by kseg, with kseg.json inside, got path={str(path)!r}. Export it again with "
        "kseg.export.")
    with pytest.raises(FileNotFoundError):
        read_metadata(tmp_path / "none")


def test_reading_loads_no_tensorflow(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(metadata.append_to_tflite(b"TFL3", metadata.describe(tiny_model(), kind="tflite")))
    code = ("import sys, kseg; assert kseg.export.read_metadata(sys.argv[1])['classes'] == 4; "
            "assert not {'tensorflow', 'keras'} & set(sys.modules)")
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=folder)


def test_label_set_must_fit():
    assert metadata.known_labels(None, 2) == LabelSet.generic(2)
    with pytest.raises(ValueError) as caught:
        metadata.known_labels(LabelSet(("road", "sky", "car")), 4)
    assert str(caught.value) == ("`label_set` must name the 4 classes of the model, got label_set=['road', 'sky', "
                                 "'car']. Pass the label set the model was trained on.")


@pytest.mark.parametrize("change", [
    {"label_set": 7}, {"label_set": {"names": ["sky", "road"]}}, {"task": ["binary"]}, {"threshold": "high"},
    {"input": {"pixel_range": "wide"}}, {"input": [1]}, {"label_set": {"names": ["one"], "palette": [[1, 2, 3]],
                                                                       "ignore_class": 255, "ignore_color": [1, 2, 3]}},
    {"label_set": {"names": ["a", "b"], "palette": [[1], [2, 3]], "ignore_class": 255, "ignore_color": [1, 2, 3]}}],
    ids=str)
def test_damaged_descriptions_are_called_so(change):
    with pytest.raises(ValueError, match="^`model` must have a kseg.json inside that describes it as kseg.export does"):
        metadata.checked(change, 2)


def test_what_is_no_description_is_none(tmp_path):
    for text in ("[1]", "{", "[" * 100_000, "7"):
        assert metadata.in_properties({"kseg.json": text}) is None
        with zipfile.ZipFile(tmp_path / "m.tflite", "w") as archive:
            archive.writestr("kseg.json", text)
        assert metadata.found_metadata(str(tmp_path / "m.tflite")) is None
    with zipfile.ZipFile(tmp_path / "m.tflite", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kseg.json", b"{" + b" " * 2 ** 25 + b"}")
    assert metadata.found_metadata(str(tmp_path / "m.tflite")) is None
