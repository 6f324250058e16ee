"""One connection to a local server: HTTP/1.1 by the standard library, with an end to everything a client may send."""

import contextlib
import http.client
import http.server
import json
import logging
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from kseg.serving.admission import Admission, Refusal
from kseg.serving.received import HEAD_BYTES, Received

_LOG = logging.getLogger("kseg")
_LINGER = 2.0  # seconds in which a client that was refused while it sends is listened to, so that it reads the answer
_UPLOAD = "/segment"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                               "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Site(Protocol):
    """What a server tells the handlers of its connections.

    Attributes:
        admission: whose requests are taken.
        pages: path → (content type, bytes) of what can be fetched: all there is, so that no address leads to a file.
        segment: from the bytes of an image file to (the bytes of the answer, what is said of it in a log).
        told: called with one line per request.
        timeout: float, seconds in which a request must arrive, and its answer be taken.
    """

    admission: Admission
    pages: Mapping[str, tuple[str, bytes]]
    segment: Callable[[bytes], tuple[bytes, str]]
    told: Callable[[str], None]
    timeout: float


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD of the page's files, which are in memory, and POST of photographs; nothing else is there."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits until the head was acknowledged
    owner: Site  # set by the subclass that a server makes

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = Received(self.connection)
        self.close_connection, self._unread, self._answering = False, False, False

    def handle(self) -> None:
        """Answer the requests of the connection, one after the other."""
        with contextlib.suppress(ConnectionError):  # the client went away
            while not self.close_connection:
                self.handle_one_request()

    def handle_one_request(self) -> None:
        """Answer one request; whatever is wrong with it is answered too."""
        self.close_connection, self.command, self.path = True, None, ""
        self.request_version, self.requestline = self.protocol_version, ""
        self.start = time.monotonic()
        try:
            self.rfile.allow(self.owner.timeout)
            first = self.rfile.peek(1)  # until then the connection is idle, and ends without a word
        except TimeoutError:
            return
        if not first:
            return
        self.start, self._unread, self._answering = time.monotonic(), True, False
        try:
            self.rfile.allow(self.owner.timeout)
            self.rfile.begin_headers()
            self.raw_requestline = self.rfile.readline()
            self.rfile.begin_headers()
            if self.parse_request():
                self._unread = "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"
                self._dispatch()
        except http.client.LineTooLong:
            self._refuse(Refusal(414, f"The first line of a request may have {HEAD_BYTES} bytes."))
        except TimeoutError:
            self._refuse(Refusal(408, f"The request did not arrive within {self.owner.timeout:g} seconds."))
        except Refusal as refusal:
            self._refuse(refusal)
        except ConnectionError:
            raise
        except Exception:  # of the model: the server goes on
            _LOG.exception("segmenting failed")
            self._refuse(Refusal(500, "The model failed. The server's log says more."))

    def handle_expect_100(self) -> bool:
        """Ask for the body only if it will be taken."""
        try:
            self._route()
        except Refusal as refusal:
            self._refuse(refusal)
            return False
        self.connection.settimeout(self.owner.timeout)
        return super().handle_expect_100()

    def finish(self) -> None:
        """Close; a client that is still sending gets the time to read why it was refused."""
        if self._unread:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
                self.rfile.allow(_LINGER)
                while self.rfile.read1(1 << 16):
                    pass
        super().finish()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what `http.server` itself finds wrong with a request."""
        del explain
        said = message or HTTPStatus(code).phrase
        self._refuse(Refusal(code, f"This is no request that the server can read: {said.rstrip('.')}."))

    def version_string(self) -> str:
        return "kseg"

    def log_message(self, *_) -> None:  # one line per request is written when it is answered
        pass

    def _route(self):
        """Return (path, bytes of the body) of a request that may be done; raise `Refusal` of any other."""
        self.owner.admission.check_caller(self.headers)
        path = self.path.partition("?")[0]
        allowed = ("POST",) if path == _UPLOAD else ("GET", "HEAD") if path in self.owner.pages else ()
        if not allowed:
            raise Refusal(404, "There is nothing at this address.")
        if self.command not in allowed:
            raise Refusal(405, f"Only {' and '.join(allowed)} can be done here.", {"Allow": ", ".join(allowed)})
        return path, self.owner.admission.body_length(self.headers) if self.command == "POST" else 0

    def _dispatch(self):
        path, length = self._route()
        if self.command != "POST":
            self.close_connection |= self._unread  # or what follows would be taken for a request
            return self._answer(200, *self.owner.pages[path])
        self.rfile.allow(self.owner.timeout)
        body = self.rfile.read(length)
        self._unread = False
        if len(body) < length:
            self.close_connection = True
            raise Refusal(400, f"The file ended after {len(body)} of {length} bytes.")
        content, said = self.owner.segment(body)
        return self._answer(200, "application/octet-stream", content, said=said)

    def _refuse(self, refusal):
        self.close_connection |= self._unread or self._answering or refusal.status in (400, 411)  # lost the thread
        if self._answering:  # it is too late for another answer
            return
        sentence = str(refusal)
        self._answer(refusal.status, "application/json", json.dumps({"error": sentence}).encode(), refusal.headers,
                     sentence)

    def _answer(self, status, kind, content, headers=None, said=""):
        self._answering, self.request_version = True, self.protocol_version  # one of 0.9 would get no headers
        self.connection.settimeout(self.owner.timeout)
        self.send_response_only(status)
        self.send_header("Server", self.version_string())
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in {**HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        command, path = (ascii(text or "-")[1:-1][:80] for text in (self.command, self.path))
        seconds = time.monotonic() - self.start
        self.owner.told(f"{self.client_address[0]} {command} {path} {int(status)} {seconds:.2f} s {said}".rstrip())
