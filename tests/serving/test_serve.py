"""`kseg serve` as it is typed: it says its address, a line per request, and ends at Ctrl-C."""

import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest

from kseg import cli
from tests.export.tiny import tiny_model

STOPPING = "Stopping. A photograph in work is finished first; Ctrl-C again ends at once.\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def _hear_ctrl_c():
    """A shell has what it starts in the background ignore Ctrl-C, and so would a child of such a test run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_it_serves_until_ctrl_c(tmp_path):
    path = tmp_path / "street.keras"
    tiny_model().save(path)
    command = [sys.executable, "-m", "kseg.cli", "serve", str(path), "--port", "0", "--title", "My street"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                          preexec_fn=_hear_ctrl_c) as process:
        ended = threading.Timer(120, process.kill)
        ended.start()
        lines = [process.stdout.readline(), process.stdout.readline()]
        address = re.search(r"http://127\.0\.0\.1:\d+/", lines[1])[0]
        with urllib.request.urlopen(address, timeout=20) as page:
            assert b"<!doctype html>" in page.read()
        lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        lines += process.stdout.readlines()
        assert process.wait() == 0
        ended.cancel()
        said = process.stderr.read()
    assert lines[0] == f"Loading {path} …\n" and "127.0.0.1 GET / 200" in lines[2] and lines[3:] == [STOPPING]
    assert "Traceback" not in said


def test_what_is_typed_arrives(monkeypatch):
    given = {}
    monkeypatch.setattr("kseg.serving.local_server.serve", lambda model, **options: given.update(options, model=model))
    words = ("m.keras --host 0.0.0.0 --port 9000 --open --max-megabytes 5 --max-megapixels 2 --timeout 3 "
             "--window 64 32 --overlap 0.25 --scales 0.5 1 --flip --batch-size 2 --threshold 0.3")
    assert cli.main(["serve", *words.split()]) == 0
    assert given == {"model": "m.keras", "host": "0.0.0.0", "port": 9000, "open_browser": True, "title": None,
                     "quiet": False, "max_megabytes": 5.0, "max_megapixels": 2.0, "timeout": 3.0, "window": (64, 32),
                     "overlap": 0.25, "blend": "hann", "scales": (0.5, 1.0), "flip": True, "batch_size": 2,
                     "threshold": 0.3}


def test_what_is_wrong_is_one_sentence(capsys, tmp_path):
    assert cli.main(["serve", str(tmp_path / "none.keras"), "--port", "0"]) == 1
    assert "kseg: `model` must be the path of a file" in capsys.readouterr().err
