"""TensorFlow Serving's gRPC protocol. Needs the `grpc` extra, whose message classes load TensorFlow."""

import math
from typing import Any

from kseg import checks
from kseg.serving.errors import ServingError

_RETRYABLE = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED")
_LARGEST_MESSAGE = 1 << 30  # bytes; gRPC's own limit of 4 MiB is less than one photograph


class GrpcTransport:
    """Requests to one model over gRPC.

    Args:
        url: str, "grpc://host:8500" (or "grpcs://" for TLS).
        model: str, the model's name on the server.
        version: int or None (the newest).
        headers: dict of str, sent along as metadata.
    Raises:
        ImportError: if `grpcio` or `tensorflow-serving-api` is missing.
    """

    def __init__(self, url: str, model: str, version: int | None = None, headers: dict[str, str] | None = None):
        scheme, separator, target = url.partition("://")
        if not separator or scheme not in ("grpc", "grpcs") or not target.strip("/"):
            raise ValueError(checks.sentence(
                "url", "must start with grpc:// or grpcs:// for gRPC", url,
                'Write for example "grpc://localhost:8500".'))
        try:
            import grpc
            from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
        except ImportError as failure:
            raise ImportError(checks.sentence(
                "url", "needs grpcio and tensorflow-serving-api for gRPC", url,
                'Install them: pip install "kseg[grpc]", or use REST: "http://host:8501".')) from failure
        options = [("grpc.max_send_message_length", _LARGEST_MESSAGE),
                   ("grpc.max_receive_message_length", _LARGEST_MESSAGE)]
        target = target.rstrip("/")
        self._channel = (grpc.secure_channel(target, grpc.ssl_channel_credentials(), options) if scheme == "grpcs"
                         else grpc.insecure_channel(target, options))
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._url, self._model, self._version = url, model, version
        self._metadata = tuple((name.lower(), value) for name, value in (headers or {}).items())

    def images(self, contents: list[bytes], signature: str, output: str, timeout: float) -> list[bytes | list[bytes]]:
        """Send encoded images; return the bytes, or list of bytes, that `output` holds for each."""
        from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        self._name(request.model_spec, signature)
        shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=len(contents))])
        request.inputs["image_bytes"].CopyFrom(
            tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=contents))
        answer = self._call(self._predictions.Predict, request, timeout)
        if output not in answer.outputs:
            raise ServingError(f"The server's answer has no output {output!r}. Serve a model exported by "
                               "kseg.export.saved_model.")
        found = answer.outputs[output]
        files, sides = list(found.string_val), [side.size for side in found.tensor_shape.dim]
        if len(sides) > 2 or math.prod(sides) != len(files):
            raise ServingError(f"The server's answer says that {output!r} has shape {sides}, but holds {len(files)} "
                               "files. Serve a model exported by kseg.export.saved_model.")
        if len(sides) < 2:
            return files
        return [files[start:start + sides[1]] for start in range(0, len(files), sides[1] or 1)]

    def status(self, timeout: float) -> list[dict[str, Any]]:
        """Return the versions of the model and their states, a list of dicts."""
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        self._name(request.model_spec)
        states = get_model_status_pb2.ModelVersionStatus.State
        names = {number: name for name, number in states.items()}
        return [{"version": str(entry.version), "state": names.get(entry.state, str(entry.state)),
                 "status": {"error_code": entry.status.error_code, "error_message": entry.status.error_message}}
                for entry in self._call(self._models.GetModelStatus, request, timeout).model_version_status]

    def metadata(self, timeout: float) -> dict[str, Any]:
        """Return the signatures of the model as the server describes them, a dict."""
        from google.protobuf import json_format, message
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name(request.model_spec)
        answer = self._call(self._predictions.GetModelMetadata, request, timeout)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        try:
            answer.metadata["signature_def"].Unpack(signatures)
        except message.DecodeError as failure:
            raise ServingError(f"The server at {self._url} described its signatures by bytes that are damaged. Is it "
                               "TensorFlow Serving's gRPC port (8500)?") from failure
        return {"signature_def": json_format.MessageToDict(signatures, preserving_proto_field_name=True)}

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _name(self, spec, signature=None):
        spec.name = self._model
        if self._version is not None:
            spec.version.value = self._version
        if signature:
            spec.signature_name = signature

    def _call(self, method, request, timeout):
        import grpc

        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as failure:
            name = failure.code().name
            text = " ".join((failure.details() or "it does not say why").split())[:600]
            if name == "DEADLINE_EXCEEDED":
                message = (f"The server at {self._url} did not answer within {timeout:g} s. Raise `timeout` or send "
                           "fewer images at once.")
            elif name == "UNAVAILABLE":
                message = (f"There is no server at {self._url}: {text}. Start one (`kseg serve-config` writes the "
                           "command) or correct `url`.")
            else:
                message = f"The server at {self._url} answered status {name}: {text}"
            raise ServingError(message, name, name in _RETRYABLE) from failure
