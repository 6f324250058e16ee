"""What is kept of a job, read back after every kind of kill."""

import subprocess
import sys

import pytest

from kseg.distributed.manifest import Log, Manifest

JOB = {"model": "a", "window": (3, 4)}


def test_union_of_many_writers_without_cut_lines(tmp_path):
    output = str(tmp_path)
    manifest = Manifest(output, JOB)
    assert manifest.outcomes() == {}
    with manifest.held():
        first, second = Log(output), Log(output)
        first.add([("a", None, True), ("b/ü\n", "broken", True)])
        second.add([("c", "broken", True), ("d", None, False)])
        second.add([("c", None, True)])  # repaired
        path = next((tmp_path / "manifest").glob("*.jsonl"))
        path.write_bytes(path.read_bytes() + b'["e", nul')  # killed while it wrote
        outcomes = Manifest(output, JOB).outcomes()
    assert outcomes == {"a": None, "b/ü\n": "broken", "c": None, "d": None}
    written = open(manifest.write_errors(outcomes), encoding="utf-8").read()
    assert written.startswith("image,error\n") or written.startswith("image,error\r\n")
    assert manifest.write_errors({"a": None}) is None and not (tmp_path / "errors.csv").exists()


def test_other_jobs_and_other_folders_are_refused(tmp_path):
    output = str(tmp_path)
    with Manifest(output, JOB).held():
        pass
    Manifest(output, dict(JOB))
    with pytest.raises(FileExistsError, match="`output` must be a new folder or that of the same job, not of another "
                                              "model, got output="):
        Manifest(output, {**JOB, "model": "b"})
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.png").touch()
    with Manifest(output, {**JOB, "model": "b"}, overwrite=True).held():
        assert not (tmp_path / "labels").exists()
    Manifest(output, {**JOB, "model": "b"})
    (tmp_path / "other" / "labels").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="`output` must not hold a folder labels that is of no job"):
        Manifest(str(tmp_path / "other"), JOB)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="`path` must be a place that can be written to"), \
            Manifest(str(tmp_path / "file"), JOB).held():
        pass


def test_one_program_at_a_time(tmp_path):
    code = ("import sys; from kseg.distributed.manifest import Manifest\n"
            "with Manifest(sys.argv[1], {}).held(): print('held', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FileExistsError, match="`output` must not be worked on by another program"), \
                Manifest(str(tmp_path), {}).held():
            pass
        other.kill()
    with Manifest(str(tmp_path), {}).held():
        pass


def test_what_a_job_raises_is_not_about_writing(tmp_path):
    """`ChildProcessError` is an `OSError`."""
    with pytest.raises(ChildProcessError, match="^`workers` must live$"):
        with Manifest(str(tmp_path), {"a": 1}).held():
            raise ChildProcessError("`workers` must live") from MemoryError("of a worker")
