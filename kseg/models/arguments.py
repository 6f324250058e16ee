"""The arguments that all builders share, documented once."""

from collections.abc import Callable
from typing import TypeVar

from kseg.encoders.weights import FORMATS

Builder = TypeVar("Builder", bound=Callable)

LINE = "Arguments of every builder: `kseg.models.arguments`."  # stands in a docstring for the entries of SHARED
SHARED = {
    "classes": 'int, number of classes, without the ignored one; 1 with task="binary".',
    "encoder_name": "str, see `kseg.encoders.names()`; or a keras_cv / KerasHub backbone.",
    "encoder_weights": f'None (random), "imagenet", or a file ({", ".join(FORMATS)}).',
    "in_channels": "int, input bands; pretrained weights are kept for any number.",
    "image_size": "(height, width) in pixels; None for any size.",
    "task": '"multiclass" (a pixel has one class: softmax, labels `[B, H, W]`), "binary" (foreground or not: sigmoid,\n'
            '            labels `[B, H, W]` of 0, 1, 255) or "multilabel" (a sigmoid per class, labels\n'
            '            `[B, H, W, classes]`).',
    "compile": "bool, compile with AdamW, the task's cross-entropy and mean IoU.",
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
