"""Connecting to Ray fails with the sentence, within seconds."""

import socket
import sys

import pytest

from kseg.distributed.cluster import connected


@pytest.fixture
def disconnected(monkeypatch):
    """As in a program of its own: another test of this process may have connected to Ray."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)


@pytest.mark.usefixtures("disconnected")
@pytest.mark.parametrize("address", ["ray://here:10001", "here", "here:port"])
def test_addresses_that_are_none(address):
    with pytest.raises(ValueError, match="`address` must be 'local', 'auto' or the host:port of a cluster's head"):
        connected(address).__enter__()


@pytest.mark.usefixtures("disconnected")
def test_nobody_answers():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConnectionError, match=r"`address` must be that of a Ray cluster that answers \(Connection ref"):
        connected(address).__enter__()


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'`address` needs Ray, .*pip install "kseg\[ray\]"'):
        connected("local").__enter__()
