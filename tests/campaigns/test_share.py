"""A share of each fuzzing campaign, so that a reader that comes to fail differently is noticed before the next one."""

import types

import pytest

from tests.campaigns import fuzzing

_SHARE = 60  # inputs of a target that does not say how many
_SEED = 1  # another than that of the campaigns


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of what decoders say about broken files
@pytest.mark.parametrize("name", fuzzing.target_names())
def test_damaged_inputs_get_an_answer_or_the_sentence(name, tmp_path):
    module = fuzzing.target(name)
    inputs = fuzzing.Inputs(module, _SEED, list(module.seeds(tmp_path)))
    for content in inputs.seeds:
        assert fuzzing.outcome_of(module, content, tmp_path) == ("answered", "")
    for number in range(getattr(module, "SHARE", _SHARE)):
        outcome, detail = fuzzing.outcome_of(module, inputs[number], tmp_path)
        assert outcome in ("answered", "refused"), f"input {number}: {detail}"


def _target(failure=None, wrong=False):
    def read(content, folder):
        if failure is not None:
            raise failure
        return content

    def check(answer, content):
        assert not wrong

    return types.SimpleNamespace(read=read, check=check)


@pytest.mark.parametrize("target, outcome", [
    (_target(), "answered"), (_target(ValueError("`image` must be one, got image=None. Pass one.")), "refused"),
    (_target(KeyError("image")), "error"), (_target(ValueError("unpack")), "error"), (_target(wrong=True), "wrong")])
def test_outcomes_are_told_apart(target, outcome, tmp_path):
    assert fuzzing.outcome_of(target, b"", tmp_path)[0] == outcome
