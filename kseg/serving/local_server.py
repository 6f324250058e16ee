"""A page on which a person drops a photograph and sees its classes, served on this machine with a model behind it."""

import functools
import ipaddress
import json
import logging
import mimetypes
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from typing import Any, Self

from rich.console import Console

from kseg import checks, tasks
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model
from kseg.pages import segment_page
from kseg.serving.admission import Admission
from kseg.serving.handler import Handler
from kseg.serving.listener import listening
from kseg.serving.photograph import PhotographSegmenter

_LOG = logging.getLogger("kseg")


class LocalServer:
    """A server of one model: the page, and `POST /segment` of an image file.

    It listens from the moment it is made, and answers within `with`, or while `serve_forever` runs:

        with kseg.serving.LocalServer("model.keras") as server:
            print(server.url)

    It takes requests of its own page and of programs, not of other sites' pages, and gives out nothing but the page. It
    has no password and no encryption: leave it on loopback.

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
        self._listener = listening(host, port, type("Handler", (Handler,), {"owner": self}))
        try:
            self.segment = PhotographSegmenter(model, max_pixels, {
                "batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend, "scales": scales,
                "flip": flip, "threshold": threshold})
            self.pages = _pages(self.segment, title or _title(model), max_bytes)
        except BaseException:
            self._listener.server_close()
            raise
        address = ipaddress.ip_address(self._listener.server_address[0].partition("%")[0])
        names = {"localhost", host.lower()} | (set() if address.is_loopback else {socket.gethostname().lower()})
        self.admission = Admission(address.is_loopback, frozenset(names), max_bytes)
        shown = ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else str(address)
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self._listener.server_address[1]}/"
        self._begun = False

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


def serve(model: Model, *, open_browser: bool = False, quiet: bool = False, **options: Any) -> None:
    """Serve the page until Ctrl-C, and say on the terminal where it is and, in a line each, what was asked for.

    Args:
        model: as in `kseg.predict`.
        open_browser: bool, whether the page is opened in this machine's browser.
        quiet: bool, whether requests are not told.
        options: the other arguments of `LocalServer`.
    Raises:
        ValueError, TypeError, FileNotFoundError, OSError: as `LocalServer`.
    """
    say = functools.partial(Console(soft_wrap=True).print, markup=False, highlight=False)
    server = LocalServer(model, **{"on_request": (lambda line: None) if quiet else say, **options})
    try:
        say(f"Open {server.url} in a browser. Ctrl-C stops the server.")
        if not server.admission.loopback:
            say("Everybody who reaches this machine may use it: there is no password and no encryption.")
        if open_browser:
            webbrowser.open(server.url)
        server.serve_forever()
    except KeyboardInterrupt:
        say("Stopping. A photograph in work is finished first; Ctrl-C again ends at once.")
    finally:
        server.close()


def _pages(segmenter, title, max_bytes):
    """Return path → (type, bytes) of all that can be fetched."""
    run = segmenter.run
    contents = segment_page.manifest(
        "server", title=title, about="Photographs are sent to the program that serves this page, and nowhere else.",
        label_set=known_labels(run.label_set, run.classes, run.task), task=run.task.name,
        threshold=segmenter.threshold, channels=run.in_channels, image_size=run.image_size,
        details={"max_bytes": max_bytes})
    pages = {f"/{name}": (_type(name), path.read_bytes()) for name, path in segment_page.files("server").items()}
    return {**pages, "/": pages["/index.html"], "/model.json": ("application/json", json.dumps(contents).encode())}


def _type(name):
    kind = mimetypes.types_map[os.path.splitext(name)[1]] if not name.endswith(".js") else "text/javascript"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _title(model):
    if isinstance(model, (str, os.PathLike)):
        return os.path.basename(os.path.normpath(os.fspath(model)))
    return getattr(model, "name", "Segmentation")
