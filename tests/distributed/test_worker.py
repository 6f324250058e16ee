"""What goes wrong in a worker is what the driver raises; a lost peer is left to Ray."""

import types

import pytest
import tensorflow as tf

from kseg.distributed import worker
from kseg.distributed.train import _raise_what_workers_said


@pytest.fixture
def notes(monkeypatch):
    monkeypatch.setattr(worker.ray, "get", lambda reference: reference)
    return []


def _failed(notes, failure):
    board = types.SimpleNamespace(post=types.SimpleNamespace(remote=lambda kind, value: notes.append((kind, value))))
    with pytest.raises(type(failure)):
        with worker._told(board, 1, 8):
            raise failure
    return [value for kind, value in notes if kind == "failure"]


@pytest.mark.parametrize("failure, kind, words", [
    (FileNotFoundError("`data_dir` must be"), FileNotFoundError, "`data_dir` must be$"),
    (KeyError("odd"), RuntimeError, "'odd'"),
    (MemoryError(), ValueError, "`batch_size` must be low enough for the memory of each worker, got batch_size=8. "),
])
def test_the_driver_raises_what_a_worker_met(notes, failure, kind, words):
    said = _failed(notes, failure)
    with pytest.raises(kind, match=words):
        _raise_what_workers_said(said, ValueError("of Ray"))


def test_a_worker_elsewhere_is_named(notes, monkeypatch):
    monkeypatch.setattr(worker.socket, "gethostname", lambda: "elsewhere")
    said = _failed(notes, FileNotFoundError("`data_dir` must be"))
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"must be \(Worker 1 on elsewhere; all workers must see the same"):
        _raise_what_workers_said(said, ValueError("of Ray"))


def test_a_lost_peer_is_rays_to_tell(notes):
    assert not _failed(notes, tf.errors.UnavailableError(None, None, "peer lost"))
