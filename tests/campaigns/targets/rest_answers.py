"""What a server of TensorFlow Serving's REST protocol answers, head and body, given to the client."""

import base64
import io
import json
import socket
import threading

import numpy as np
from PIL import Image

from kseg.serving import Client, ServingError
from tests.campaigns import mutations

LABELS = (np.arange(63) % 7).reshape(7, 9).astype(np.uint8)
refusals = (ServingError,)
_made = {}


def label_file(labels=LABELS):
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "PNG")
    return file.getvalue()


def seeds(folder):
    _made["server"] = _Server()
    _made["client"] = Client(_made["server"].url, "street", retries=0, timeout=1)
    file = {"b64": base64.b64encode(label_file()).decode()}
    for rows in ([file], [{"labels_png_bytes": file}], [{"labels_png_bytes": file, "other": [1.5, None]}]):
        yield _answer(json.dumps({"predictions": rows}).encode())
    body = json.dumps({"predictions": [file]}, indent=2).encode()
    yield _head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    yield _head("Connection: close") + body


def damage(content, others, random):
    """Damage the body alone, three times of four, and then mostly what the JSON holds."""
    head, line, body = content.partition(b"\r\n\r\n")
    choice = random.random()
    if choice < 0.25 or not body.startswith(b"{"):
        return mutations.damaged(content, others, random)
    if choice < 0.5:
        return _answer(_damaged_file(json.loads(body), random))
    return _answer((mutations.damaged_json if choice < 0.8 else mutations.damaged)(body, [body], random))


def read(content, folder):
    _made["server"].answer = content
    return _made["client"].segment(np.zeros((*LABELS.shape, 3), np.uint8))


def check(answer, content):
    for plane in np.moveaxis(answer, -1, 0) if answer.ndim == 3 else [answer]:  # 3: an answer as of a multi-label model
        np.testing.assert_array_equal(plane, LABELS)
    assert answer.dtype == np.uint8, answer.dtype


def _damaged_file(document, random):
    row = document["predictions"][0]
    row = row.get("labels_png_bytes", row)
    file = base64.b64decode(row["b64"])
    row["b64"] = base64.b64encode(mutations.damaged(file, [file], random)).decode()
    return json.dumps(document).encode()


def _head(*lines):
    return "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: application/json", *lines, "\r\n"]).encode()


def _answer(body):
    return _head(f"Content-Length: {len(body)}") + body


class _Server:
    """Answers every request with `answer`, byte by byte as it is, and closes."""

    def __init__(self):
        self.answer = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection = self._listening.accept()[0]
            try:
                with connection:
                    _take_request(connection)
                    connection.sendall(self.answer)
            except OSError:
                pass  # the client hung up


def _take_request(connection):
    taken = b""
    while b"\r\n\r\n" not in taken:
        taken += connection.recv(65536)
    head, _, body = taken.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")),
                  0)
    while len(body) < length:
        body += connection.recv(65536)
