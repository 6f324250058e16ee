"""What `Segmenter` does of its own, on a graph of two convolutions."""

import keras
import numpy as np
import pytest

from kseg.models.segmenter import Segmenter


def sparse(labels, logits):
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@pytest.mark.parametrize("loss", [sparse, "mean_squared_error",
                                  keras.losses.SparseCategoricalCrossentropy(from_logits=True)])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_keras_loss_trains_the_auxiliary_output(loss, weighted):
    pixels = keras.Input((None, None, 1))
    model = Segmenter(pixels, [keras.layers.Conv2D(3, 1)(pixels), keras.layers.Conv2D(3, 1)(pixels)], aux_weight=0.25)
    model.compile("sgd", loss)
    x = np.linspace(0, 1, 24, dtype="float32").reshape(2, 3, 4, 1)
    labels = (x * 2.9).astype("int32")
    y = np.repeat(x, 3, axis=-1) if loss == "mean_squared_error" else labels[..., 0]
    weights = (x[..., 0] > 0.3).astype("float32") if weighted else None

    def by_hand(outputs):
        outputs = np.asarray(outputs, "float64")
        if loss == "mean_squared_error":
            values = ((outputs - y) ** 2).mean(-1)
        else:
            values = np.log(np.exp(outputs).sum(-1)) - np.take_along_axis(outputs, labels, -1)[..., 0]
        return (values if weights is None else values * weights).mean()

    logits, aux = model(x, training=True)
    found = model.compute_loss(x, y, [logits, aux], weights)
    np.testing.assert_allclose(found, by_hand(logits) + 0.25 * by_hand(aux), rtol=1e-5)
    model.train_on_batch(x, y, sample_weight=weights)
