"""A workplace of its own for each document, and datasets of one batch."""

import shutil

import pytest

from kseg import data
from tests.documents.workplace import furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    furnish(folder)
    return folder


@pytest.fixture
def workplace(furnished, tmp_path):
    return shutil.copytree(furnished, tmp_path / "workplace")


@pytest.fixture
def one_batch(monkeypatch):
    """Let every dataset be of one batch."""
    load = data.load
    monkeypatch.setattr(data, "load", lambda *arguments, **options: load(*arguments, **options).take(1))
