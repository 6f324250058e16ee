"""The campaign over a server of its own: what would be a fault is told, and a short run finds none."""

import numpy as np
import pytest

from kseg.serving import ServingError
from tests.campaigns import load
from tests.campaigns.coded_images import coded


class Answering:
    def __init__(self, answer):
        self.segment = answer


def numbers_of_one_size():
    """Return two numbers whose images are of one size: a swap of these no check of sizes finds."""
    sizes = {}
    for number in range(1000):
        first = sizes.setdefault(coded(number)[1].shape, number)
        if first != number:
            return [first, number]


@pytest.mark.parametrize("change, outcome", [
    (lambda maps: maps, "answered"), (lambda maps: maps[::-1], "wrong"), (lambda maps: [maps[0]] * 2, "wrong"),
    (lambda maps: [one.astype(np.int32) for one in maps], "wrong"), (lambda maps: maps[:1], "wrong")])
def test_a_swap_is_seen(change, outcome):
    numbers = numbers_of_one_size()
    maps = [coded(number)[1] for number in numbers]
    assert load._asked(Answering(lambda images: change(maps)), numbers)[0] == outcome


def test_errors_are_faults_and_sentences_are_not():
    def fails(failure):
        def segment(images):
            raise failure
        return load._asked(Answering(segment), [1])[0]

    assert fails(ServingError("The server at http://a answered status 503: busy.")) == "failed"
    assert fails(ServingError("")) == fails(SyntaxError("not a PNG file")) == "error"


@pytest.mark.slow
def test_a_short_run(tmp_path):
    summary = load.run("rest", 0.05, 2, 0, tmp_path)
    assert load.faults(summary) == 0, summary["faults"]
    assert summary["images answered"] > 0 and sum(summary["injected"].values()) > summary["injected"]["nothing"] > 0
    assert load.faults({**summary, "outcomes": {"wrong": 1}}) == 1
    assert load.faults({**summary, "megabytes held": {"clients 0-3": (50, 150)}}) == 1
