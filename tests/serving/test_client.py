import io
import os
import shutil
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

import kseg
from kseg import pictures
from kseg.cli import main
from kseg.serving import Client, ServingError
from tests.export.tiny import tiny_model
from tests.serving.server import GrpcServer, RestServer, Served
from tests.training.tiny import tiny_builder

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return tiny_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    kseg.export.saved_model(model, folder / "street" / "1")
    return folder


@pytest.fixture(scope="module")
def served(exported):
    return Served(exported / "street" / "1", "street")


@pytest.fixture(scope="module", params=["rest", "grpc"])
def server(request, served):
    if request.param == "grpc":
        pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    started = (GrpcServer if request.param == "grpc" else RestServer)(served)
    yield started
    started.close()


@pytest.fixture
def client(server, served):
    served.faults.clear()
    served.requests.clear()
    with Client(server.url, "street", backoff=0.01) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_multilabel_model_answers_a_map_per_class(transport, tmp_path):
    if transport == "grpc":
        pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    model = _with_median_thresholds(tiny_builder(3, task="multilabel"))
    kseg.export.saved_model(model, tmp_path / "spots" / "1")
    server = (GrpcServer if transport == "grpc" else RestServer)(Served(tmp_path / "spots" / "1", "spots"))
    images = _images()[:2]
    wanted = [kseg.predict(model, image) for image in images]
    try:
        with Client(server.url, "spots") as client:
            for found, one in zip(client.segment(images), wanted, strict=True):
                assert found.dtype == np.uint8 and (found == one).mean() > 0.999
            colours = client.segment(images[0], "color")
            expected = pictures.painted(wanted[0], kseg.tasks.of("multilabel").label_set(3))[0]
            assert (abs(colours.astype(int) - expected) <= 1).mean() > 0.999
        for index, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / f"{index}.png")
        arguments = ["request", server.url, "spots", str(tmp_path / "0.png"), "--output", str(tmp_path / "out")]
        assert main(arguments) == 0
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == ["0-0.png", "0-1.png", "0-2.png"]
        assert (np.asarray(Image.open(tmp_path / "out" / "0-1.png")) == wanted[0][..., 1]).mean() > 0.999
        assert main(arguments) == 1  # the files are there
    finally:
        server.close()


def _with_median_thresholds(model):
    """Set thresholds that a half of the pixels exceeds."""
    model.threshold = np.median(kseg.predict(model, _images()[0], "probabilities"), (0, 1)).tolist()
    return model


@pytest.mark.slow
def test_a_binary_model_answers_zeros_and_ones(tmp_path):
    model = _with_median_thresholds(tiny_builder(1, task="binary"))
    kseg.export.saved_model(model, tmp_path / "spots" / "1")
    server = RestServer(Served(tmp_path / "spots" / "1", "spots"))
    try:
        with Client(server.url, "spots") as client:
            for found, image in zip(client.segment(_images()), _images(), strict=True):
                assert found.shape == image.shape[:2] and set(np.unique(found)) == {0, 1}
                assert (found == kseg.predict(model, image)).mean() > 0.999
    finally:
        server.close()


def _images():
    return [kseg.export.structured_images(*size)[index] for index, size in enumerate([(20, 31), (33, 18), (8, 8)])]


def _encoded(array, kind="PNG"):
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def _expected(model, array):
    return keras.ops.convert_to_numpy(model(array[None].astype("float32"), training=False))[0].argmax(-1)


def test_one_image_as_bytes_path_and_array(client, model, tmp_path):
    array = _images()[0]
    (tmp_path / "a.png").write_bytes(_encoded(array))
    for image in (_encoded(array), str(tmp_path / "a.png"), tmp_path / "a.png", array, array.astype("float32")):
        found = client.segment(image)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, _expected(model, array))


def test_batches(client, served, model):
    client.batch_size = 2
    found = client.segment([_encoded(array) for array in _images()])
    assert len(served.requests) == 2
    for label_map, array in zip(found, _images()):
        np.testing.assert_array_equal(label_map, _expected(model, array))
    assert client.segment([]) == []


def test_stacked_arrays(client):
    assert [found.shape for found in client.segment(np.zeros((2, 5, 6, 3), np.uint8))] == [(5, 6), (5, 6)]


def test_colours(client, model):
    array = _images()[0]
    found = client.segment(array, output="color")
    np.testing.assert_array_equal(found, kseg.LabelSet.generic(4).colorize(_expected(model, array)))


def test_status_metadata_and_wait(client):
    client.wait(5)
    assert [(entry["version"], entry["state"]) for entry in client.status()] == [("1", "AVAILABLE")]
    assert "signature_def" in client.metadata()


def test_a_refused_image_says_why_and_is_not_sent_again(client, served):
    with pytest.raises(ServingError) as caught:
        client.segment(b"not an image")
    assert "`image_bytes` must be a JPEG, PNG, BMP or GIF file" in str(caught.value)
    assert caught.value.status in (400, "INVALID_ARGUMENT") and not caught.value.retryable
    assert len(served.requests) == 1


def test_an_overloaded_server_is_asked_again(client, served):
    served.faults.extend([503, 503] if "Rest" in str(client._transport) else ["UNAVAILABLE", "UNAVAILABLE"])
    assert client.segment(_images()[2]).shape == (8, 8)
    assert len(served.requests) == 3


def test_it_gives_up_after_the_retries(client, served):
    client.retries = 1
    served.faults.extend([503] * 3 if "Rest" in str(client._transport) else ["UNAVAILABLE"] * 3)
    with pytest.raises(ServingError) as caught:
        client.segment(_images()[2])
    assert len(served.requests) == 2 and caught.value.retryable


def test_a_slow_server(client, served):
    client.retries, client.timeout = 0, 0.2
    served.faults.append(1.0)
    with pytest.raises(ServingError, match="did not answer within 0.2 s. Raise `timeout` or send fewer images"):
        client.segment(_images()[2])
    time.sleep(1.0)


def test_an_unknown_model(server):
    with pytest.raises(ServingError, match="Servable not found"):
        Client(server.url, "roof").segment(_images()[2])


def test_headers_are_sent(server, served):
    served.requests.clear()
    Client(server.url, "street", headers={"Authorization": "Bearer x"}).segment(_images()[2])
    assert {name.lower(): value for name, value in served.requests[0][2].items()}["authorization"] == "Bearer x"


def test_no_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ServingError, match="There is no server at .*Connection refused.*kseg serve-config"):
            Client(url, "street", retries=1, backoff=0.01).segment(_images()[2])
        with pytest.raises(ServingError, match="not available after 0.3 s"):
            Client(url, "street").wait(0.3)


def test_waits_double(monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(ServingError):
        Client("http://127.0.0.1:9", "street", retries=3, backoff=1.0).status()
    assert [1 <= wait * 2 / 2 ** step <= 2 for step, wait in enumerate(waits)] == [True] * 3


@pytest.mark.parametrize("arguments, message", [
    (("localhost:8501", "street"), "`url` must start with http://, https://, grpc:// or grpcs://, got "
     "url='localhost:8501'. Write for example \"http://localhost:8501\" or \"grpc://localhost:8500\"."),
    (("http://", "street"), "`url` must start with http:// or https:// for REST, got url='http://'. Write for example "
     "\"http://localhost:8501\"."),
    (("http://a", ""), "`model` must be the model's name on the server, got model=''. It is the name of the folder "
     "above the version number."),
    (("http://a", "street", -1), "`version` must be an integer of at least 0, got version=-1. Pass the number of a "
     "version folder, or None for the newest."),
])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError) as caught:
        Client(*arguments)
    assert str(caught.value) == message


def test_wrong_images():
    client = Client("http://127.0.0.1:9", "street")
    with pytest.raises(TypeError) as caught:
        client.segment(np.zeros((3, 4, 2)))
    assert str(caught.value) == ("`image` must be the bytes or the path of an image file, or an array [H, W, 3] or "
                                 "[H, W], got image=(3, 4, 2). Read the file with open(path, \"rb\").read().")
    with pytest.raises(FileNotFoundError):
        client.segment("none.jpg")
    with pytest.raises(ValueError, match="`output` must be one of"):
        client.segment(b"x", output="label")


def test_rest_loads_no_tensorflow(exported, served):
    server = RestServer(served)
    code = ("import sys, numpy, kseg; client = kseg.serving.Client(sys.argv[1], 'street'); "
            "assert client.segment(numpy.zeros((6, 7, 3), 'uint8')).shape == (6, 7); "
            "assert not {'tensorflow', 'keras', 'grpc'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code, server.url], check=True, cwd=ROOT)
    server.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tensorflow_model_server") is None, reason="tensorflow_model_server is not installed")
def test_the_real_server(exported, model):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["tensorflow_model_server", f"--rest_api_port={port}", "--port=0",
                                "--model_name=street", f"--model_base_path={exported / 'street'}"])
    try:
        client = Client(f"http://127.0.0.1:{port}", "street")
        client.wait(60)
        np.testing.assert_array_equal(client.segment(_images()[0]), _expected(model, _images()[0]))
    finally:
        process.terminate()
        process.wait()
