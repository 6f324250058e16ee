"""Messages that no well-made server sends over gRPC: each is told in a sentence."""

import concurrent.futures

import numpy as np
import pytest

from kseg.serving import Client, ServingError
from tests.serving.test_answers import FILE, LABELS

pytest.importorskip("tensorflow_serving.apis.predict_pb2")


class Answering:
    """A server that answers every method with `answer`, bytes."""

    def __init__(self):
        import grpc

        class Handler(grpc.GenericRpcHandler):
            def service(handler, details):
                return grpc.unary_unary_rpc_method_handler(lambda request, context: self.answer)

        self.answer, self._server = b"", grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[Handler()])
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self):
        self._server.stop(None)


@pytest.fixture(scope="module")
def server():
    made = Answering()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(server):
    with Client(server.url, "street", retries=0) as made:
        yield made


def prediction(shape, files, name="labels_png_bytes"):
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
    from tensorflow_serving.apis import predict_pb2

    sides = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=side) for side in shape])
    answer = predict_pb2.PredictResponse()
    answer.outputs[name].CopyFrom(tensor_pb2.TensorProto(dtype=7, tensor_shape=sides, string_val=files))
    return answer.SerializeToString(deterministic=True)


IMAGE = np.zeros((7, 9, 3), np.uint8)


def test_whole_answers(server, client):
    server.answer = prediction([1], [FILE])
    np.testing.assert_array_equal(client.segment(IMAGE), LABELS)
    server.answer = prediction([1, 2], [FILE, FILE])
    np.testing.assert_array_equal(client.segment(IMAGE), np.stack([LABELS, LABELS], -1))


@pytest.mark.parametrize("shape, files", [([1], []), ([2], [FILE]), ([1, 0], [FILE]), ([1, -1], [FILE]), ([1, 0], []),
                                          ([1, 3], [FILE, FILE]), ([1, 1, 1], [FILE]), ([0, 0], [])])
def test_a_shape_that_the_files_do_not_have(server, client, shape, files):
    server.answer = prediction(shape, files)
    with pytest.raises(ServingError, match="The server"):
        client.segment(IMAGE)


@pytest.mark.parametrize("answer", [b"", b"\xff" * 40, prediction([1], [FILE])[:30], prediction([1], [FILE], "other"),
                                    prediction([1], [FILE[:50]])])
def test_damaged_predictions(server, client, answer):
    server.answer = answer
    with pytest.raises(ServingError, match="[Ss]erver"):
        client.segment(IMAGE)


def test_a_state_that_a_later_version_of_the_protocol_may_have(server, client):
    from tensorflow_serving.apis import get_model_status_pb2

    answer = get_model_status_pb2.GetModelStatusResponse()
    answer.model_version_status.add(version=1).state = 77
    server.answer = answer.SerializeToString()
    assert client.status()[0]["state"] == "77"


def test_damaged_signatures(server, client):
    from tensorflow_serving.apis import get_model_metadata_pb2

    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.metadata["signature_def"].Pack(get_model_metadata_pb2.SignatureDefMap())
    answer.metadata["signature_def"].value = b"\xff" * 9
    server.answer = answer.SerializeToString()
    with pytest.raises(ServingError, match="described its signatures by bytes that are damaged"):
        client.metadata()
