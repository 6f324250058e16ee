"""What a server of TensorFlow Serving's REST protocol answers, head and body, given to the client."""

import base64
import io
import json

import numpy as np
from PIL import Image

from kseg.serving import Client, ServingError
from tests.campaigns import mutations
from tests.serving.raw_server import RawServer, json_answer

LABELS = (np.arange(63) % 7).reshape(7, 9).astype(np.uint8)
refusals = (ServingError,)
_made = {}


def label_file(labels=LABELS):
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "PNG")
    return file.getvalue()


def seeds(folder):
    _made["server"] = RawServer()
    _made["client"] = Client(_made["server"].url, "street", retries=0, timeout=1)
    file = {"b64": base64.b64encode(label_file()).decode()}
    for rows in ([file], [{"labels_png_bytes": file}], [{"labels_png_bytes": file, "other": [1.5, None]}]):
        yield json_answer(json.dumps({"predictions": rows}).encode())
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
        return json_answer(_damaged_file(json.loads(body), random))
    return json_answer((mutations.damaged_json if choice < 0.8 else mutations.damaged)(body, [body], random))


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
