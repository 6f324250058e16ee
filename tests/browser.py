"""Chromium for tests of pages, LiteRT.js for it, and a server on this machine alone. Skipped where they are missing.

`tests/conftest.py` hands the fixtures to all: one browser per process, as one loop of Playwright runs in a thread.
"""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import threading

import pytest

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="session")
def browser():
    """Yield a headless Chromium, a `playwright.sync_api.Browser`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright for Python")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@contextlib.contextmanager
def served(folder):
    """Yield the address at which a folder is served on this machine."""
    handler = functools.partial(_Quiet, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def opened(browser, address, problems=None, **context):
    """Yield a page at `address` in a new context; at the end nothing may have gone wrong, nor left this machine.

    Args:
        browser: the fixture.
        address: of the page.
        problems: list that what the console and the network said is put into instead; None: it fails the test.
        context: keyword arguments of `playwright`'s `new_context`.
    """
    found = [] if problems is None else problems
    origin = "/".join(address.split("/")[:3])
    within = browser.new_context(**context)
    try:
        page = within.new_page()
        page.on("console", lambda line: line.type == "error" and found.append(f"console: {line.text}"))
        page.on("pageerror", lambda error: found.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith((origin, "blob:", "data:"))
                or found.append(f"request: {request.url}"))
        page.goto(address)
        yield page
    finally:
        within.close()
    if problems is None:
        assert not found, found


@pytest.fixture(scope="session")
def litert_runtime(tmp_path_factory):
    """Return the folder in which npm installed LiteRT.js, in the version that `kseg.export.web_page` is made for."""
    from kseg.export.litert_runtime import PACKAGES

    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if done.returncode:
        pytest.skip(f"npm could not install LiteRT.js: {done.stderr.strip()[-200:]}")
    return folder
