"""kseg.evaluate by several workers: the very numbers of one machine."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from kseg import distributed
from tests.export.tiny import tiny_model

pytestmark = pytest.mark.slow
pytest.importorskip("ray")


def on_one_machine(*arguments, **options):
    """Return the answer of kseg.evaluate with one thread, as a worker has, for their number may change the rounding."""
    program = ("import pickle, sys, kseg; arguments, options = pickle.load(sys.stdin.buffer); "
               "pickle.dump(kseg.evaluate(*arguments, **options), sys.stdout.buffer)")
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps((arguments, options)), check=False,
                          capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr[-4000:].decode()
    return pickle.loads(done.stdout)


def test_equal_to_one_machine(cluster, tmp_path):
    model = tiny_model(5)
    model.save(tmp_path / "tiny.keras")
    options = {"image_size": (32, 48), "keep_worst": 3, "boundaries": True}
    wanted = on_one_machine(str(tmp_path / "tiny.keras"), "shapes", "validation", **options)
    found = distributed.evaluate(str(tmp_path / "tiny.keras"), "shapes", "validation", workers=2, **options)
    assert found.confusion.dtype == np.int64 and len(found.images) > 16  # several shares
    np.testing.assert_array_equal(found.confusion, wanted.confusion)
    np.testing.assert_array_equal(found.boundary, wanted.boundary)
    np.testing.assert_equal(found.scores, wanted.scores)  # exactly
    one, other = found.to_dict(), wanted.to_dict()
    assert one.pop("seconds") > 0 and other.pop("seconds") > 0
    assert one == other
    assert [example.name for example in found.worst] == [example.name for example in wanted.worst]
    for ours, theirs in zip(found.worst, wanted.worst, strict=True):
        np.testing.assert_array_equal(ours.predictions, theirs.predictions)
        np.testing.assert_array_equal(ours.entropy, theirs.entropy)
    assert (tmp_path / "report" / "report.html").exists() or found.write(tmp_path / "report")


def test_what_workers_cannot_open(cluster, tmp_path):
    model = tiny_model(5)
    with pytest.raises(FileNotFoundError, match="`data_dir`"):
        distributed.evaluate(model, "camvid", data_dir=tmp_path / "nowhere", workers=1)
    with pytest.raises(TypeError, match="`dataset` must be the name of a dataset, which every worker opens itself"):
        distributed.evaluate(model, [(np.zeros((4, 4, 3)), np.zeros((4, 4)))])
