"""The documentation of the arguments that all builders share."""

import inspect

import pytest

from kseg import models
from kseg.models.arguments import LINE, documented


@pytest.mark.parametrize("name", [name for name in models.BUILDERS if name not in ("FCN16s", "FCN8s")])
def test_every_argument_of_a_builder_is_documented(name):
    builder = getattr(models, name)  # FCN16s and FCN8s refer to FCN32s
    lines = [line.strip() for line in builder.__doc__.splitlines()]
    assert LINE not in builder.__doc__
    for argument in inspect.signature(builder).parameters:
        assert sum(line.startswith(f"{argument}: ") for line in lines) == 1, argument
    assert max(map(len, builder.__doc__.splitlines())) <= 120


def test_what_a_builder_says_itself_takes_the_place_of_the_common_text():
    @documented(encoder_name="None.")
    def builder():
        """Return a model.

        Args:
            Arguments of every builder: `kseg.models.arguments`.
            filters: int.
        """

    assert "\n            encoder_name: None.\n" in builder.__doc__
    assert "\n            name: str, the model's name.\n            filters: int.\n" in builder.__doc__
