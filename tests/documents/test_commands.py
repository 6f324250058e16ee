"""README and docs: each command of kseg runs, one after the other as a page has them, on small pictures.

Apart from `make test`, for it takes minutes: `make docs`.
"""


import shutil

import pytest

from kseg import cli
from tests.documents.blocks import commands_of, different

pytestmark = [pytest.mark.many_minutes, pytest.mark.slow, pytest.mark.filterwarnings("ignore:after epoch"),
              pytest.mark.filterwarnings("ignore:`discriminator_accuracy` must stay"),
              pytest.mark.filterwarnings("ignore:`classes` should each occur")]  # a few pictures show few of them
# What makes a training light: the last of an option typed twice holds.
LIGHT = ("--epochs", "1", "--warmup-steps", "0", "--image-size", "64", "96", "--batch-size", "2", "--verbose", "0")
# Commands that do not end, or whose other side is not here, by what they contain; each must still occur.
NOT_RUN = {"serve": "serves until it is stopped", "192.168.1.10:6379": "an address of a cluster",
           "smp_unet.pth": "a file of another library, read by the tests of kseg.pretrained"}


def kseg_commands_of(path):
    return [words[1:] for words in commands_of(path) if words[0] == "kseg"]


def lighter(words):
    """Return a training's words with small pictures, one epoch, and weights that need no network."""
    if words[0] != "train":
        return words
    if "--encoder-weights" in words:
        place = words.index("--encoder-weights")
        words = words[:place] + words[place + 2:]
    words = ["resnet18" if word == "resnet101" else word for word in words]
    if "--resume" in words or "--recipe" in words:
        return [*words, "--verbose", "0"]
    return [*words, *LIGHT]


@pytest.mark.parametrize("path", different(kseg_commands_of))
def test_commands_run(path, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    for words in kseg_commands_of(path):
        if not any(word in words for word in NOT_RUN):
            if words[0] == "train" and "--output" in words:  # what other pages have trained before
                shutil.rmtree(words[words.index("--output") + 1], ignore_errors=True)
            assert cli.main(lighter(words)) == 0, (words, capsys.readouterr().err[-3000:])


def test_what_is_not_run_still_occurs():
    paths = [parameter.values[0] for parameter in different(kseg_commands_of)]
    typed = {word for path in paths for words in kseg_commands_of(path) for word in words}
    assert [word for word in NOT_RUN if word not in typed] == []
