"""Bytes that arrive at the local server: the right status, the right answer, and a good request is answered after."""

import json
import pathlib
import socket

import numpy as np

import kseg
from kseg.serving import LocalServer
from tests.campaigns import coded_images, mutations

_LABELS = coded_images.coded(3)[1]
_STATUSES = (400, 403, 404, 405, 408, 411, 413, 414, 415, 417, 422, 431, 501, 505)
_made = {}


class Refused(Exception):
    """The server's own sentence, with a status that fits."""


refusals = (Refused,)


def seeds(folder):
    _made["model"] = coded_images.model()
    server = LocalServer(_made["model"], port=0, timeout=0.5, max_megabytes=1.0, max_megapixels=1.0,
                         on_request=lambda line: None)
    _made["server"] = server.__enter__()
    _made["host"] = server.url.split("/")[2]
    for kind in ("png", "jpeg", "turned", "gif"):
        yield _upload(coded_images.encoded(_LABELS, kind))
    yield _upload(coded_images.encoded(_LABELS, "png"), "Expect: 100-continue", f"Origin: http://{_HOST}")
    yield _head("GET / HTTP/1.1") + _head("HEAD /model.json HTTP/1.1", "Connection: close")


def damage(content, others, random):
    head, line, body = content.partition(b"\r\n\r\n")
    if random.random() < 0.5 and body and content.startswith(b"POST"):
        return _upload(mutations.damaged(body, [body], random))
    return mutations.damaged(content, others, random)


_HOST = "127.0.0.1:00000"  # a stand-in of the same length, for the port differs from process to process


def read(content, folder):
    received = _said(content.replace(_HOST.encode(), _made["host"].encode().rjust(len(_HOST), b" ")))
    good = _upload(coded_images.encoded(_LABELS, "png"), "Connection: close")
    after = _said(good.replace(_HOST.encode(), _made["host"].encode()))
    assert after[:12] == b"HTTP/1.1 200" and np.array_equal(_labels(after.partition(b"\r\n\r\n")[2]), _LABELS), after
    status = int(received[9:12]) if received else 0
    if status >= 300 or not received:
        head, _, body = received.partition(b"\r\n\r\n")
        assert not received or status in _STATUSES and json.loads(body.split(b"HTTP/1.1 ")[0])["error"], received
        assert status != 422 or not np.ndim(_predicted(content, folder)), received
        raise Refused(status)
    return received, _predicted(content, folder)


def check(answer, content):
    received, wanted = answer
    assert received.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n")), received[:200]
    if wanted is not None:
        assert wanted is not False, "kseg.predict refuses what was answered"
        assert np.array_equal(_labels(received.partition(b"\r\n\r\n")[2]), wanted)


def _predicted(content, folder):
    """Return what `kseg.predict` says of the body of a request whose head is undamaged; None if the head is not."""
    body = content.partition(b"\r\n\r\n")[2]
    if content != _upload(body):
        return None
    path = pathlib.Path(folder) / "image"
    path.write_bytes(body)
    try:
        return kseg.predict(_made["model"], path)
    except ValueError:
        return False


def _said(content):
    host, port = _made["host"].split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=4) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has refused and closed already
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    return received


def _labels(body):
    head, _, planes = body.partition(b"\n")
    size = json.loads(head)["height"], json.loads(head)["width"]
    return np.frombuffer(planes, np.uint8, size[0] * size[1]).reshape(size)


def _head(*lines):
    return "\r\n".join([lines[0], f"Host: {_HOST}", *lines[1:], "\r\n"]).encode()


def _upload(body, *lines):
    return _head("POST /segment HTTP/1.1", "Content-Type: application/octet-stream", f"Content-Length: {len(body)}",
                 *lines) + body
