"""`encoder_weights="imagenet"` from the files of torchvision and timm."""

import dataclasses
import hashlib
import json
import pathlib
import re

import numpy as np
import pytest

import kseg
from kseg.encoders import build_encoder
from kseg.encoders.families import ENCODERS
from tests.data.golden.weights import draw_all
from tests.encoders.test_downloads import served  # noqa: F401
from tests.encoders.torch_files import write_arrays

GOLDEN = pathlib.Path(__file__).parent.parent / "data" / "golden"


def publish(folder, address, monkeypatch, name, arrays):
    """Serve `arrays` as the ImageNet weights of the row `name`, under a name like torchvision's."""
    write_arrays(folder / "file.pth", arrays)
    content = (folder / "file.pth").read_bytes()
    file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / "file.pth").rename(folder / file)
    monkeypatch.setitem(ENCODERS, name, dataclasses.replace(ENCODERS[name], url=f"{address}/{file}"))


def test_the_call_that_everyone_types(served, monkeypatch):  # noqa: F811
    with np.load(GOLDEN / "resnet_resnet34.npz") as golden:
        arrays = draw_all(json.loads(golden["shapes"].tobytes()))
    publish(*served, monkeypatch, "resnet34", arrays)
    model = kseg.models.UNet(encoder_name="resnet34", encoder_weights="imagenet", in_channels=1, classes=3)
    assert model.input_shape == (None, None, None, 1) and model.classes == 3
    kernel = model.encoder.get_layer("layer2_0_conv1").kernel
    np.testing.assert_array_equal(kernel, arrays["layer2.0.conv1.weight"].transpose(2, 3, 1, 0))
    grey = np.full((1, 64, 64, 1), 90, "float32")
    assert np.isfinite(model(grey)).all()


def test_without_a_network(monkeypatch):
    monkeypatch.setitem(ENCODERS, "resnet34", dataclasses.replace(
        ENCODERS["resnet34"], url="http://127.0.0.1:9/resnet34-00000000.pth"))
    with pytest.raises(ConnectionError, match="must be downloadable.*pass its path"):
        kseg.models.UNet(encoder_name="resnet34", encoder_weights="imagenet", in_channels=1, classes=3)


def test_a_network_that_is_published_in_another_geometry_alone_takes_it_over(served, monkeypatch):  # noqa: F811
    with np.load(GOLDEN / "encoder_timm_tf_efficientnet_lite0.npz") as golden:
        facts = json.loads(golden["facts"].tobytes())
    arrays = draw_all(facts["arrays"], facts["gain"])
    publish(*served, monkeypatch, "tfefficientnetlite0", arrays)
    with pytest.warns(UserWarning, match="another geometry.*tfefficientnetlite0"):
        encoder = build_encoder("efficientnetlite0", encoder_weights="imagenet")
    assert encoder.get_layer("normalize").mean == [127.5] * 3


def test_every_file_is_named_by_its_hash_and_every_source_has_a_licence():
    for row in ENCODERS.values():
        assert not row.url or re.search(r"-[0-9a-f]{8}\.pth$", row.url), row.url
        assert bool(row.licence) == bool(row.imagenet_source), row.name
