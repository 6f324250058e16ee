"""Downloads are cached, verified by the hash in their names, and fail with the sentence."""

import hashlib
import http.server
import threading

import pytest

from kseg.encoders.downloads import fetch, sha256


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server on loopback; returns (folder it serves, its address)."""
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path / "cache"))
    folder = tmp_path / "published"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(folder), **options)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_is_fetched_once_and_verified(served):
    folder, address = served
    content = b"weights" * 100
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    path = fetch(f"{address}/{name}")
    assert open(path, "rb").read() == content and sha256(path) == hashlib.sha256(content).hexdigest()
    (folder / name).unlink()
    assert fetch(f"{address}/{name}") == path


def test_another_content_is_refused_and_removed(served):
    folder, address = served
    (folder / "net-0123abcd.pth").write_bytes(b"something else")
    for _ in range(2):
        with pytest.raises(ValueError, match="SHA-256 that begins with 0123abcd"):
            fetch(f"{address}/net-0123abcd.pth")


def test_without_a_network_the_sentence_says_what_to_do(served):
    with pytest.raises(ConnectionError, match="pass its path"):
        fetch(f"{served[1]}/net-0123abcd.pth")
    with pytest.raises(ConnectionError, match="pass its path"):
        fetch("http://127.0.0.1:9/net-0123abcd.pth")
