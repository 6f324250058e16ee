"""What a server of TensorFlow Serving's gRPC protocol answers, given to the client."""

import concurrent.futures

import numpy as np

from kseg.serving import Client, ServingError
from tests.campaigns import mutations
from tests.campaigns.targets.rest_answers import LABELS, label_file
from tests.campaigns.targets.rest_answers import check as check_labels

refusals = (ServingError,)
_made = {}


def seeds(folder):
    import grpc
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[_any_method(grpc)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _made.update(server=server, client=Client(f"grpc://127.0.0.1:{port}", "street", retries=0, timeout=2))
    for name, shape in (("labels_png_bytes", [1]), ("labels_png_bytes", [1, 1])):
        dimensions = [tensor_shape_pb2.TensorShapeProto.Dim(size=side) for side in shape]
        tensor = tensor_pb2.TensorProto(dtype=7, tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dimensions),
                                        string_val=[label_file()])
        answer = predict_pb2.PredictResponse()
        answer.outputs[name].CopyFrom(tensor)
        answer.model_spec.name = "street"
        yield b"P" + answer.SerializeToString(deterministic=True)
    status = get_model_status_pb2.GetModelStatusResponse()
    status.model_version_status.add(version=1, state=30).status.error_message = "fine"
    yield b"S" + status.SerializeToString()
    yield b"M" + _metadata().SerializeToString()


def damage(content, others, random):
    """Keep the first byte, which says what is asked; the others are the same question's answers."""
    return content[:1] + mutations.damaged(content[1:], [other[1:] for other in others if other[:1] == content[:1]],
                                           random)


def read(content, folder):
    _made["answer"], client = content[1:], _made["client"]
    if content[:1] == b"P":
        return client.segment(np.zeros((*LABELS.shape, 3), np.uint8))
    return client.status() if content[:1] == b"S" else client.metadata()


def check(answer, content):
    if content[:1] == b"P":
        check_labels(answer, content)
    else:
        assert isinstance(answer, list if content[:1] == b"S" else dict)


def _metadata():
    from tensorflow_serving.apis import get_model_metadata_pb2

    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["serve_bytes"].inputs["image_bytes"].dtype = 7
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.metadata["signature_def"].Pack(signatures)
    return answer


def _any_method(grpc):
    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: _made["answer"])

    return Handler()
