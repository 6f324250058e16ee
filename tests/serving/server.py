"""A server of TensorFlow Serving's protocols over a SavedModel, for tests on loopback.

REST: https://www.tensorflow.org/tfx/serving/api_rest (row format; outputs whose names end in `_bytes` are base64).
gRPC: PredictionService.Predict, GetModelMetadata and ModelService.GetModelStatus.
"""

import base64
import concurrent.futures
import http.server
import json
import re
import threading
import time

import tensorflow as tf


class Served:
    """A SavedModel under a name, with faults to order."""

    def __init__(self, folder, name, version=1):
        self.signatures = tf.saved_model.load(str(folder)).signatures
        self.name, self.version = name, version
        self.faults = []  # each request takes the first: an HTTP status, or seconds to wait
        self.requests = []

    def run(self, signature, inputs):
        function = self.signatures[signature]
        specs = function.structured_input_signature[1]
        outputs = function(**{name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


class RestServer:
    """Serve `served` on a free port of this machine; `url` says where."""

    def __init__(self, served):
        handler = type("Handler", (_Handler,), {"served": served})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    served = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body):
        self.served.requests.append((self.path, body, dict(self.headers)))
        fault = self.served.faults.pop(0) if self.served.faults else None
        if isinstance(fault, float):
            time.sleep(fault)
        elif fault:
            return self._send(fault, {"error": f"ordered {fault}"})
        match = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)?", self.path)
        if not match or match[1] != self.served.name or match[2] not in (None, str(self.served.version)):
            return self._send(404, {"error": f"Servable not found for request: {self.path}"})
        if match[3] == ":predict":
            return self._predict(body)
        if match[3]:
            names = {name: {} for name in self.served.signatures}
            return self._send(200, {"model_spec": {"name": match[1]}, "metadata": {"signature_def": names}})
        return self._send(200, {"model_version_status": [{
            "version": str(self.served.version), "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""}}]})

    def _predict(self, body):
        name = body.get("signature_name", "serving_default")
        if name not in self.served.signatures:
            return self._send(400, {"error": f"Serving signature name: \"{name}\" not found in signature def"})
        key, = self.served.signatures[name].structured_input_signature[1]
        rows = [row[key] if isinstance(row, dict) and "b64" not in row else row for row in body["instances"]]
        rows = [base64.b64decode(row["b64"]) if isinstance(row, dict) else row for row in rows]
        try:
            outputs = self.served.run(name, {key: rows})
        except tf.errors.OpError as failure:
            return self._send(400, {"error": failure.message})
        columns = {}
        for output, values in outputs.items():
            columns[output] = _as_base64(values.tolist()) if output.endswith("_bytes") else values.tolist()
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        return self._send(200, {"predictions": [next(iter(row.values())) if len(row) == 1 else row for row in rows]})

    def _send(self, status, body):
        content = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up waiting


def _as_base64(values):
    """Return nested lists of bytes as TensorFlow Serving writes them."""
    return ([_as_base64(value) for value in values] if isinstance(values, list)
            else {"b64": base64.b64encode(values).decode()})


class GrpcServer:
    """Serve `served` over gRPC on a free port of this machine; `url` says where."""

    def __init__(self, served):
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        pool = concurrent.futures.ThreadPoolExecutor(2)
        self._server = grpc.server(pool, options=[("grpc.max_receive_message_length", -1)])
        predictions, models = _services(served)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(predictions, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, self._server)
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self):
        self._server.stop(None)


def _services(served):
    import grpc
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            served.requests.append((request.model_spec.signature_name, None, dict(context.invocation_metadata())))
            fault = served.faults.pop(0) if served.faults else None
            if isinstance(fault, float):
                time.sleep(fault)
            elif fault:
                context.abort(grpc.StatusCode[fault], f"ordered {fault}")
            if request.model_spec.name != served.name:
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            try:
                outputs = served.run(request.model_spec.signature_name, inputs)
            except tf.errors.OpError as failure:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, failure.message)
            answer = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return answer

        def GetModelMetadata(self, request, context):
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name in served.signatures:
                signatures.signature_def[name].method_name = "tensorflow/serving/predict"
            answer = get_model_metadata_pb2.GetModelMetadataResponse()
            answer.metadata["signature_def"].Pack(signatures)
            return answer

    class Models(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request, context):
            answer = get_model_status_pb2.GetModelStatusResponse()
            answer.model_version_status.add(version=served.version, state=30)
            return answer

    return Predictions(), Models()
