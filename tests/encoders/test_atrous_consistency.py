"""Dense features, subsampled, equal the strided ones: dilation is the same network at another output stride."""

import itertools

import keras
import numpy as np
import pytest

from kseg.encoders import build_encoder
from tests.conftest import structured_image

FAST = ["mobilenetv2"]
SLOW = ["efficientnetlite0", "vgg16", "resnet18", "resnet50", "kerasresnet50", "resnet50v2", "mobilenet",
        "mobilenetv3large", "efficientnetb0", "efficientnetv2b0", "densenet121", "xception", "convnexttiny",
        "torchmobilenetv2", "torchdensenet121", "torchvgg16bn", "torchmobilenetv3small", "torchxception",
        "cspdarknettiny"]
SIZES = [(128, 160), (129, 97)]
# Output stride 8 trades both strides, so that it covers 16; the fast pair runs at both.
EVERY = [(name, stride) for name in FAST for stride in (16, 8)] + [
    pytest.param(name, 8, marks=pytest.mark.slow) for name in SLOW]


class _SubsampledAverage(keras.layers.Layer):
    """Global average over every `rate`-th pixel from `phase` on: what the strided network squeezes."""

    def __init__(self, rate, phase):
        super().__init__()
        self.rate, self.phase = rate, phase

    def call(self, inputs):
        rows, columns = self.phase
        picked = inputs[:, rows % self.rate::self.rate, columns % self.rate::self.rate]
        return keras.ops.mean(picked, axis=(1, 2), keepdims=True)


def randomize(encoder, seed=0):
    """Give batch normalisation statistics far from the identity, so that a missed one would show."""
    random = np.random.default_rng(seed)
    for variable in encoder.variables:
        values = np.asarray(variable)
        if variable.path.endswith(("moving_mean", "beta", "bias")):
            variable.assign(0.05 * random.standard_normal(values.shape))
        elif "layer_scale" in variable.path:
            variable.assign(np.full(values.shape, 0.5))


def with_subsampled_squeeze(encoder, strides, phase):
    """Return the dense encoder whose squeeze averages read only the strided network's pixels."""
    def call(layer, *args, **kwargs):
        if isinstance(layer, keras.layers.GlobalAveragePooling2D):
            rate = strides[layer.name]
            pooled = _SubsampledAverage(rate, phase)(args[0])
            return pooled if layer.keepdims else keras.layers.Flatten()(pooled)
        return layer(*args, **kwargs)
    return keras.models.clone_model(encoder, clone_function=lambda layer: layer, call_function=call)


def squeeze_rates(strided, dense, size):
    """Return by layer name how much finer the dense network's map is than the strided one's before each squeeze."""
    def heights(encoder):
        found = [layer for layer in encoder.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
        probe = keras.Model(encoder.input, [layer.input for layer in found]) if found else None
        maps = probe(np.zeros((1, *size, 3), "float32")) if found else []
        maps = maps if isinstance(maps, (list, tuple)) else [maps]
        return [layer.name for layer in found], [value.shape[1] for value in maps]
    names, coarse = heights(strided)
    _, fine = heights(dense)
    return {name: _finer(b, a) for name, a, b in zip(names, coarse, fine)}


def _finer(fine, coarse):
    return 2 ** round(np.log2(fine / coarse))  # sizes are rounded up, so 17 over 5 is a factor of 4


def pair(name, output_stride):
    """Return the strided and the dense encoder `name` with the same weights."""
    strided, dense = build_encoder(name, 32), build_encoder(name, output_stride)
    randomize(strided)
    dense.set_weights(strided.get_weights())
    return strided, dense


def relative_error(strided, dense, rates, output_stride, size):
    """Return the largest difference of c4 and c5 at the strided network's positions, in its standard deviations."""
    image = structured_image(*size)[None]
    expected = strided(image)
    best = np.inf
    # TensorFlow's SAME samples the odd pixels of an even size and the even ones of an odd size, so each traded stride
    # has one phase, which depends on the size alone; squeeze averages must use the same one. The likely one is first.
    phases = [range(32 // output_stride)[::1 if side % 2 else -1] for side in size]
    squeezes = any(rate > 1 for rate in rates.values())
    actual = None if squeezes else dense(image)
    for phase in itertools.product(*phases):
        if squeezes:
            actual = with_subsampled_squeeze(dense, rates, phase)(image)
        best = min(best, _difference(expected, actual, phase))
        if best < 1e-4:
            return best
    return best


def _difference(expected, actual, phase):
    worst = 0.0
    for key in ("c4", "c5"):
        coarse, fine = np.asarray(expected[key]), np.asarray(actual[key])
        rate = _finer(fine.shape[1], coarse.shape[1])
        picked = fine[:, phase[0] % rate::rate, phase[1] % rate::rate]
        if picked.shape != coarse.shape:
            return np.inf
        error = np.abs(picked - coarse).max() / coarse.std()
        if not np.isfinite(error):  # a squeeze that averaged nothing
            return np.inf
        worst = max(worst, error)
    return worst


@pytest.mark.parametrize("name, output_stride", EVERY)
def test_dense_features_subsampled_equal_strided_features(name, output_stride):
    strided, dense = pair(name, output_stride)
    rates = squeeze_rates(strided, dense, SIZES[0])
    for size in SIZES:
        assert relative_error(strided, dense, rates, output_stride, size) < 1e-4, size
