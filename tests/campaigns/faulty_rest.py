"""A proxy of TensorFlow Serving's REST protocol that injures a share of the answers, each in one of many ways."""

import collections
import http.client
import http.server
import json
import socket
import struct
import threading
import time
import urllib.parse

import numpy as np

STATUSES = {"status 503": 503, "status 429": 429, "status 504": 504, "status 500": 500}


class FaultyRest:
    """Stand between clients and the server at `url`; `injected` counts what was done."""

    def __init__(self, url, share, timeout, seed):
        self.host = urllib.parse.urlsplit(url).netloc
        self.share, self.timeout, self.injected = share, timeout, collections.Counter()
        self.random, self.lock = np.random.default_rng(seed), threading.Lock()
        handler = type("Handler", (_Handler,), {"between": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def fault(self):
        """Return (the name of a fault or "", a number from 0 to 1 for its place)."""
        with self.lock:
            names = ["", *STATUSES, *_FAULTS]
            name = names[int(self.random.integers(1, len(names)))] if self.random.random() < self.share else ""
            self.injected[name or "nothing"] += 1
            return name, self.random.random()


class _Handler(http.server.BaseHTTPRequestHandler):
    between = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, place = self.between.fault()
        self.close_connection = True
        try:
            if name in STATUSES:
                self._send(_answer(STATUSES[name], b'{"error": "ordered"}'))
            else:
                answer = self._asked(body)
                _FAULTS[name](self, answer, place) if name else self._send(answer)
        except OSError:
            pass  # the client gave up waiting

    def _asked(self, body):
        upstream = http.client.HTTPConnection(self.between.host, timeout=60)
        upstream.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        return _answer(answer.status, content)

    def _send(self, content):
        self.connection.sendall(content)

    def reset(self):
        """End the connection as a machine that is switched off does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _answer(status, body, length=None):
    return b"HTTP/1.1 %d Ordered\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        status, len(body) if length is None else length) + body


def _body(answer):
    return answer.partition(b"\r\n\r\n")[2]


def _cut(start, reset):
    def fault(handler, answer, place):
        head = answer.index(b"\r\n\r\n") + 4
        end = {"nothing": 0, "head": int(place * head), "body": head + int(place * (len(answer) - head))}[start]
        handler._send(answer[:end])
        if reset:
            handler.reset()
    return fault


def _slow(of_timeout):
    def fault(handler, answer, place):
        time.sleep(of_timeout * handler.between.timeout)
        handler._send(answer)
    return fault


def _drip(handler, answer, place):
    """A piece now and then, each within the time limit, all together far beyond it."""
    for start in range(0, 40):
        handler._send(answer[start:start + 1])
        time.sleep(handler.between.timeout / 8)
    handler._send(answer[40:])


def _garbage(handler, answer, place):
    handler._send(np.random.default_rng(int(place * 2**32)).bytes(200))


def _page(handler, answer, place):
    handler._send(_answer(200, b"<html><body>Please log in.</body></html>"))


def _truncated(handler, answer, place):
    body = _body(answer)
    handler._send(_answer(200, body[:int(place * len(body))]))


def _length(difference):
    def fault(handler, answer, place):
        handler._send(_answer(200, _body(answer), max(0, len(_body(answer)) + difference)))
    return fault


def _changed(change):
    def fault(handler, answer, place):
        document = json.loads(_body(answer))
        if document.get("predictions"):
            change(document["predictions"], place)
        handler._send(_answer(200, json.dumps(document).encode()))
    return fault


def _flip(rows, place):
    text = rows[0]["b64"]
    index = int(place * len(text))
    rows[0]["b64"] = text[:index] + ("B" if text[index] == "A" else "A") + text[index + 1:]


def _cut_error(handler, answer, place):
    handler._send(_answer(503, b'{"error": "a lo', 400))


_FAULTS = {
    "cut before the head": _cut("nothing", False), "reset before the head": _cut("nothing", True),
    "cut in the head": _cut("head", False), "reset in the head": _cut("head", True),
    "cut in the body": _cut("body", False), "reset in the body": _cut("body", True),
    "a little late": _slow(0.3), "too late": _slow(1.5), "byte by byte": _drip,
    "garbage": _garbage, "a page": _page, "truncated JSON": _truncated, "an error cut off": _cut_error,
    "length too large": _length(50), "length too small": _length(-50), "length enormous": _length(10**15),
    "an image less": _changed(lambda rows, place: rows.pop()),
    "an image more": _changed(lambda rows, place: rows.append(rows[0])),
    "a letter changed": _changed(_flip), "no rows": _changed(lambda rows, place: rows.clear()),
}
