"""A run's folder at a URL is kept in step: whole files, the state after what it speaks of."""

import os

import fsspec
import pytest

from kseg.distributed.storage import Storage


@pytest.fixture
def url():
    yield "memory://bucket/runs/first"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_a_folder_is_kept_at_a_url_and_comes_back(url, monkeypatch):
    storage, written = Storage(url), []
    with storage.local() as folder:
        for name in ("state.npz", "best.keras", "tensorboard/events", ".draft.part", "run.json"):
            os.makedirs(os.path.dirname(os.path.join(folder.path, name)), exist_ok=True)
            with open(os.path.join(folder.path, name), "w", encoding="utf-8") as file:
                file.write(f"first {name}")
        known = storage.stamps(folder)
        assert set(known) == {"state.npz", "best.keras", "tensorboard/events", "run.json"}
        known.clear()
        put = storage.filesystem.put_file
        monkeypatch.setattr(storage.filesystem, "put_file", lambda one, other: (written.append(other), put(one, other)))
        storage.keep(folder, known)
        assert [os.path.basename(name) for name in written] == ["best.keras.part", "events.part", "state.npz.part",
                                                                "run.json.part"]
        with open(folder.state, "w", encoding="utf-8") as file:
            file.write("the second state")
        storage.keep(folder, known)
        assert len(written) == 5  # only what is new
    with Storage(url).local() as folder:
        assert sorted(os.listdir(folder.path)) == ["best.keras", "run.json", "state.npz", "tensorboard"]
        with open(folder.state, encoding="utf-8") as file:
            assert file.read() == "the second state"
    with Storage(url).local("run.json") as folder:
        assert os.listdir(folder.path) == ["run.json"]


def test_a_path_is_the_folder_itself(tmp_path):
    storage = Storage(tmp_path / "run")
    with storage.local() as folder:
        assert folder.path == str(tmp_path / "run")
        storage.keep(folder, storage.stamps(folder))
    assert not os.path.exists(tmp_path / "run")
