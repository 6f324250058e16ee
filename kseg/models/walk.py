"""Walking the layers of a model: the one owner of how layers are found inside models and inside other layers."""

from collections.abc import Iterator

import keras


def layers_of(model: keras.Model | keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yield every layer of `model` once, outermost first, with those of the models and layers inside it.

    Models are walked into, and not yielded themselves. Layers that a layer holds are those in its attributes, and in
    the lists, tuples and dictionaries there.
    """
    seen, waiting = {id(model)}, [model]
    while waiting:
        owner = waiting.pop(0)
        for layer in owner.layers if isinstance(owner, keras.Model) else _held(owner):
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            waiting.append(layer)
            if not isinstance(layer, keras.Model):
                yield layer


def batch_normalization_of(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return every batch normalisation of `model`, wherever it stands."""
    return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]


def _held(layer):
    """Yield the layers in the attributes of `layer`."""
    for value in list(vars(layer).values()):
        values = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
        yield from (one for one in values if isinstance(one, keras.layers.Layer))
