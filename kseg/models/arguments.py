"""The arguments that all builders share, documented once."""

from collections.abc import Callable
from typing import TypeVar

from kseg.encoders.weights import FORMATS

Builder = TypeVar("Builder", bound=Callable)

LINE = "Arguments of every builder: `kseg.models.arguments`."  # stands in a docstring for the entries of SHARED
SHARED = {
    "classes": "int, number of classes, without the ignored one.",
    "encoder_name": "str, see `kseg.encoders.names()`; or a keras_cv / KerasHub backbone.",
    "encoder_weights": f'None (random), "imagenet", or a file ({", ".join(FORMATS)}).',
    "in_channels": "int, input bands; pretrained weights are kept for any number.",
    "image_size": "(height, width) in pixels; None for any size.",
    "compile": "bool, compile with AdamW, cross-entropy and mean IoU.",
    "name": "str, the model's name.",
}


def documented(**instead: str) -> Callable[[Builder], Builder]:
    """Return a decorator that puts the shared arguments in place of `LINE` in a builder's docstring.

    Args:
        instead: what a builder says of a shared argument in place of the common text.
    """
    def decorate(builder):
        before, _, after = builder.__doc__.partition(LINE)
        indent = before[before.rfind("\n") + 1:]
        entries = [f"{name}: {text}" for name, text in {**SHARED, **instead}.items()]
        builder.__doc__ = before + f"\n{indent}".join(entries) + after
        return builder

    return decorate
