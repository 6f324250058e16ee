"""A proxy of gRPC that injures a share of the answers, and before it a relay that cuts connections."""

import collections
import concurrent.futures
import contextlib
import socket
import threading
import time

import grpc
import numpy as np

CODES = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED")
CUT = 0.01  # of the pieces that the relay passes on are the last of their connection


class FaultyGrpc:
    """Stand between clients and the server at `url`; `injected` counts what was done."""

    def __init__(self, url, share, timeout, seed):
        self.share, self.timeout, self.injected = share, timeout, collections.Counter()
        self.random, self.lock = np.random.default_rng(seed), threading.Lock()
        self._channel = grpc.insecure_channel(url.partition("://")[2])
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), handlers=[_Methods(self)])
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.url = f"grpc://127.0.0.1:{self._relayed(port)}"

    def answer(self, method, request, context):
        """Return the bytes that answer a request, injured or not."""
        with self.lock:
            names = [*CODES, *_FAULTS]
            name = names[int(self.random.integers(len(names)))] if self.random.random() < self.share else ""
            place = self.random.random()
            self.injected[name or "nothing"] += 1
        if name in CODES:
            context.abort(grpc.StatusCode[name], "ordered")
        answer = self._channel.unary_unary(method)(request, timeout=60)
        return _FAULTS[name](answer, place, self.timeout) if name else answer

    def _relayed(self, port):
        listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._relay, args=(listening, port), daemon=True).start()
        return listening.getsockname()[1]

    def _relay(self, listening, port):
        while True:
            client = listening.accept()[0]
            server = socket.create_connection(("127.0.0.1", port))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                with self.lock:
                    cut = self.random.random() < CUT
                    self.injected["connection cut"] += cut
                sink.sendall(piece[:len(piece) // 2] if cut else piece)
                if cut:
                    break
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, between):
        self._between = between

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._between.answer(details.method, request, context))


def _late(of_timeout):
    def fault(answer, place, timeout):
        time.sleep(of_timeout * timeout)
        return answer
    return fault


def _changed(change):
    """Return a fault that changes the list of files in an answer."""
    def fault(answer, place, timeout):
        from tensorflow_serving.apis import predict_pb2

        message = predict_pb2.PredictResponse.FromString(answer)
        for tensor in message.outputs.values():
            files = change(list(tensor.string_val), place)
            del tensor.string_val[:]
            tensor.string_val.extend(files)
        return message.SerializeToString()
    return fault


def _flip(files, place):
    changed = bytearray(files[0])
    changed[int(place * len(changed))] ^= 4
    return [bytes(changed), *files[1:]]


_FAULTS = {
    "a little late": _late(0.3), "too late": _late(1.5), "nothing in it": lambda answer, place, timeout: b"",
    "garbage": lambda answer, place, timeout: np.random.default_rng(int(place * 2**32)).bytes(200),
    "truncated": lambda answer, place, timeout: answer[:int(place * len(answer))],
    "an image less": _changed(lambda files, place: files[1:]),
    "an image more": _changed(lambda files, place: [*files, files[0]]), "a bit changed": _changed(_flip),
}
