"""Keras models."""

import weakref

import keras
import numpy as np

from kseg import checks
from kseg.inference.runners.interface import Runner
from kseg.layers.margins import RequireValidSize
from kseg.models.walk import layers_of

_TRACED = weakref.WeakKeyDictionary()  # model → its traced function, so that every image size shares one trace


class KerasRunner(Runner):
    """A Keras model in inference mode, compiled once for any size.

    Args:
        model: `keras.Model` from pixels to logits; of several outputs the first counts.
    Raises:
        TypeError: if it is not from one image to scores of its pixels.
    """

    def __init__(self, model: keras.Model):
        poolings = next((layer.depth for layer in layers_of(model) if isinstance(layer, RequireValidSize)), None)
        given = model.inputs[0].shape if len(model.inputs or ()) == 1 else ()
        made = model.outputs[0].shape if model.outputs else ()
        if len(given) != 4 or len(made) != 4 or made[-1] is None:
            raise TypeError(checks.sentence(
                "model", "must have one input, pixels [B, H, W, channels], and give logits [B, H, W, classes]",
                model.name, "Build one with kseg.models."))
        super().__init__(given[1:], made[-1], answer=made[1:3], label_set=getattr(model, "label_set", None),
                         poolings=poolings, pixel_range=getattr(model, "pixel_range", None),
                         task=getattr(model, "task", None), threshold=getattr(model, "threshold", None))
        self._model = model

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(_traced(self._model)(batch), np.float32)


def _traced(model):
    """Return a function pixels → logits in inference mode; under TensorFlow a graph for any size, traced once."""
    if model not in _TRACED:
        seen = weakref.ref(model)  # the cache must not keep the model alive

        def logits(pixels):
            outputs = seen()(pixels, training=False)
            return outputs[0] if isinstance(outputs, (list, tuple)) else outputs

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            signature = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
            logits = tf.function(logits, input_signature=[signature], autograph=False)
        _TRACED[model] = lambda pixels: keras.ops.convert_to_numpy(logits(pixels))
    return _TRACED[model]
