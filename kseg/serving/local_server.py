"""A page on which a person drops a photograph and sees its classes, served on this machine with a model behind it."""

import contextlib
import http.server
import ipaddress
import json
import logging
import mimetypes
import os
import socket
import socketserver
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from typing import Any, Self

from kseg import checks, tasks
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model
from kseg.pages import segment_page
from kseg.serving.admission import Admission
from kseg.serving.handler import Handler
from kseg.serving.photograph import PhotographSegmenter

_LOG = logging.getLogger("kseg")
_PORTS = range(8000, 8020)  # tried in turn where none is asked for
_CONNECTIONS = 32  # at once; a browser opens six
_FAREWELL = 3.0  # seconds in which clients must have taken their last answer
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class LocalServer:
    """A server of one model: the page, and `POST /segment` of an image file.

    It listens from the moment it is made, and answers within `with`, or while `serve_forever` runs:

        with kseg.serving.LocalServer("model.keras") as server:
            print(server.url)

    It takes requests of its own page and of programs, not of other sites' pages, and gives out nothing but the page. It
    has no password and no encryption: leave it on loopback, or put both before it.

    Args:
        model: as in `kseg.predict`.
        host: str, the address to listen on. Default "127.0.0.1": only this machine reaches it.
        port: int, 0 for any that is free; None for the first free one from 8000.
        max_megabytes: float, the largest file taken, in millions of bytes.
        max_megapixels: float, the largest image taken, in millions of pixels; a small file may hold many.
        timeout: float, seconds in which a request must arrive, and an answer be taken.
        title: str or None (the model's name), the heading of the page.
        on_request: called with one line of text per request, from several threads; None: they go to the logger "kseg".
        batch_size, window, overlap, blend, scales, flip, threshold: as in `kseg.predict`. Without a window,
            photographs above four million pixels are segmented by windows of 1024×1024, as large GeoTIFFs are.
    Attributes:
        url: str, address of the page.
    Raises:
        ValueError, TypeError, FileNotFoundError: as `kseg.predict`.
        OSError: if the port is taken, or there is no such address on this machine.
    """

    def __init__(self, model: Model, *, host: str = "127.0.0.1", port: int | None = None, max_megabytes: float = 32.0,
                 max_megapixels: float = 50.0, timeout: float = 60.0, title: str | None = None,
                 on_request: Callable[[str], None] | None = None, batch_size: int = 4,
                 window: int | Sequence[int] | None = None, overlap: float = 0.5, blend: str = "hann",
                 scales: float | Sequence[float] = (1.0,), flip: bool = False, threshold: tasks.Threshold = None):
        max_bytes = int(1e6 * checks.number_between("max_megabytes", max_megabytes, 0.001, 2000))
        max_pixels = int(1e6 * checks.number_between("max_megapixels", max_megapixels, 0.001, 10000))
        self.timeout = checks.number_between("timeout", timeout, 0.05, 86400)
        self.told = on_request or _LOG.info
        self._listener = _listening(host, port, type("Handler", (Handler,), {"owner": self}))
        try:
            self.segment = PhotographSegmenter(model, max_pixels, {
                "batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend, "scales": scales,
                "flip": flip, "threshold": threshold})
            self.pages = _pages(self.segment, title or _title(model), max_bytes, max_pixels)
        except BaseException:
            self._listener.server_close()
            raise
        address = ipaddress.ip_address(self._listener.server_address[0].partition("%")[0])
        names = {"localhost", host.lower()} | (set() if address.is_loopback else {socket.gethostname().lower()})
        self.admission = Admission(address.is_loopback, frozenset(names), max_bytes)
        shown = ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else str(address)
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self._listener.server_address[1]}/"
        self._begun = False

    def methods(self, path: str) -> tuple[str, ...] | None:
        """Return what can be done at a path: a fixed table, so that no address leads to a file."""
        return ("GET", "HEAD") if path in self.pages else ("POST",) if path == "/segment" else None

    def serve_forever(self) -> None:
        """Answer requests until `close` is called from another thread, or this one is interrupted."""
        self._begun = True
        self._listener.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stop: a photograph in work is finished first, and no other begun."""
        if self._begun:
            self._listener.shutdown()
        self._listener.server_close()
        self.segment.close()
        self._listener.disconnect()

    def __enter__(self) -> Self:
        self._begun = True  # before the thread runs, so that `close` may come at any time
        threading.Thread(target=self.serve_forever, name="kseg serve", daemon=True).start()
        return self

    def __exit__(self, *_):
        self.close()


def serve(model: Model, *, open_browser: bool = False, on_start: Callable[[LocalServer], None] | None = None,
          **options: Any) -> None:
    """Serve the page until Ctrl-C.

    Args:
        model: as in `kseg.predict`.
        open_browser: bool, whether the page is opened in this machine's browser.
        on_start: called once with the server when it is ready; None: its address goes to the logger "kseg".
        options: the other arguments of `LocalServer`.
    Raises:
        ValueError, TypeError, FileNotFoundError, OSError: as `LocalServer`.
    """
    server = LocalServer(model, **options)
    try:
        (on_start or (lambda server: _LOG.info("serving on %s", server.url)))(server)
        if open_browser:
            webbrowser.open(server.url)
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()


class _Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The listening socket: a thread per connection, and so many at once."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = os.name == "posix"  # elsewhere two programs could listen on one port

    def __init__(self, family, address, handler):
        self.address_family = family
        self._places, self._open = threading.BoundedSemaphore(_CONNECTIONS), set()
        super().__init__(address, handler)

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the name service who this machine is
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        if not self._places.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.settimeout(0.5)
                request.sendall(_BUSY)
            return self.shutdown_request(request)
        self._open.add(request)
        try:
            return super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._open.discard(request)
            self._places.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)
            self._places.release()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # else the client went away
            _LOG.exception("a connection failed")

    def disconnect(self):
        """End the connections that are still open: no more is read from them, and answers under way are given out."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RD)
        end = time.monotonic() + _FAREWELL
        while self._open and time.monotonic() < end:
            time.sleep(0.01)


def _listening(host, port, handler):
    """Return a `_Listener` on an address and a port, or on the first free one where `port` is None."""
    if port is not None and checks.positive_integer("port", port, "Pass 0 for any that is free.", minimum=0) > 65535:
        raise ValueError(checks.sentence("port", "must be at most 65535", port, "Pass 0 for any that is free."))
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as failure:
        raise OSError(checks.sentence("host", "must be an address of this machine", host,
                                      "Leave it out for this machine alone, or pass 0.0.0.0 for all.")) from failure
    for last in (candidates := _PORTS if port is None else [port]):
        try:
            return _Listener(family, (address[0], last, *address[2:]), handler)
        except PermissionError as failure:
            raise PermissionError(checks.sentence("port", "must be one that this user may listen on", last,
                                                  "Pass a number above 1023.")) from failure
        except OSError as failure:
            taken = failure
    raise OSError(checks.sentence(
        "port", f"must be free on {host}; the system says: {taken.strerror}", port if port is not None else
        f"{candidates[0]}-{candidates[-1]}", "Pass another, or 0 for any that is free.")) from taken


def _pages(segmenter, title, max_bytes, max_pixels):
    """Return path → (type, bytes) of all that can be fetched."""
    run = segmenter.run
    contents = segment_page.manifest(
        "server", title=title, about="Photographs are sent to the program that serves this page, and nowhere else.",
        label_set=known_labels(run.label_set, run.classes, run.task), task=run.task.name,
        threshold=segmenter.threshold, channels=run.in_channels, image_size=run.image_size,
        details={"max_bytes": max_bytes, "max_pixels": max_pixels})
    pages = {f"/{name}": (_type(name), path.read_bytes()) for name, path in segment_page.files("server").items()}
    return {**pages, "/": pages["/index.html"], "/model.json": ("application/json", json.dumps(contents).encode())}


def _type(name):
    kind = mimetypes.types_map[os.path.splitext(name)[1]] if not name.endswith(".js") else "text/javascript"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _title(model):
    if isinstance(model, (str, os.PathLike)):
        return os.path.basename(os.path.normpath(os.fspath(model)))
    return getattr(model, "name", "Segmentation")
