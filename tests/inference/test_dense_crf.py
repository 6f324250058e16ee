"""DenseCRF against mean field summed over all pairs of pixels."""

import dataclasses
import functools
import re
import tracemalloc

import numpy as np
import pytest

from kseg.inference import dense_crf
from kseg.inference.dense_crf import CRFParameters, DenseCRF
from kseg.inference.permutohedral import gaussian_chain


def scene(height=24, width=32, noise=4.0, seed=0):
    """Return image, noisy probabilities shifted by two pixels against it, and the true labels."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    labels = np.zeros((height, width), int)
    labels[(y - height / 2) ** 2 + (x - width / 3) ** 2 < (height / 3) ** 2] = 1
    labels[y > 0.75 * height] = 2
    labels[x > 0.8 * width] = 3
    colours = np.array([[40, 60, 200], [210, 50, 40], [60, 160, 60], [200, 200, 90]])
    image = colours[labels] + 0.5 * x[..., None] + generator.normal(0, noise, (height, width, 3))
    logits = generator.normal(0, 1, (height, width, 4)) + 2 * np.eye(4)[np.roll(labels, 2, 1)]
    return np.clip(image, 0, 255).astype(np.uint8), softmax(logits).astype(np.float32), labels


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def all_pairs_mean_field(image, probabilities, parameters, iterations, normalization):
    height, width, classes = probabilities.shape
    position = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    apart = ((position[:, None] - position) ** 2).sum(-1)
    unlike = ((colour[:, None] - colour) ** 2).sum(-1)
    appearance = np.exp(-apart / (2 * parameters.appearance_position_sigma ** 2)
                        - unlike / (2 * parameters.appearance_color_sigma ** 2))
    smoothness = np.exp(-apart / (2 * parameters.smoothness_sigma ** 2))
    pairwise = 0
    for weight, kernel in ((parameters.appearance_weight, appearance), (parameters.smoothness_weight, smoothness)):
        total = kernel.sum(axis=1)
        divisor = np.sqrt(np.outer(total, total)) if normalization == "symmetric" else total[:, None]
        pairwise = pairwise + weight * kernel / divisor
    unary = np.log(np.maximum(probabilities.reshape(-1, classes).astype(float), 1e-5))
    current = softmax(unary)
    for _ in range(iterations):
        current = softmax(unary + pairwise @ current)
    return current.reshape(height, width, classes)


@pytest.mark.parametrize("normalization", ["symmetric", "after"])
@pytest.mark.parametrize("name", sorted(dense_crf.PARAMETERS))
def test_equals_all_pairs_mean_field(name, normalization):
    image, probabilities, _ = scene()
    expected = all_pairs_mean_field(image, probabilities, dense_crf.PARAMETERS[name], 10, normalization)
    actual = DenseCRF(name, normalization=normalization)(image, probabilities)
    assert actual.dtype == np.float32
    assert np.abs(actual.sum(axis=-1) - 1).max() < 1e-5
    assert np.abs(actual - expected).max() < 1e-3


@pytest.mark.parametrize("normalization", ["symmetric", "after"])
def test_lattice_approximates_all_pairs_mean_field(normalization):
    parameters = dense_crf.PARAMETERS["pydensecrf"]
    for seed in range(3):
        image, probabilities, _ = scene(seed=seed)
        expected = all_pairs_mean_field(image, probabilities, parameters, 10, normalization)
        actual = DenseCRF(parameters, normalization=normalization, exact_pixels=0)(image, probabilities)
        assert np.abs(actual - expected).max() < 0.05
        assert (actual.argmax(-1) == expected.argmax(-1)).mean() > 0.98


@pytest.mark.parametrize("name", ["deeplabv1_largefov", "deeplabv2_vgg16", "deeplabv2_resnet101"])
def test_lattice_labels_agree_where_colours_are_sparse(name):
    """Narrow colour widths on few noisy pixels are the lattice's worst case; labels still agree."""
    image, probabilities, _ = scene()
    expected = DenseCRF(name)(image, probabilities).argmax(-1)
    assert (DenseCRF(name, exact_pixels=0)(image, probabilities).argmax(-1) == expected).mean() > 0.96


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_lattice_filters_as_the_gaussian_does(dimensions):
    generator = np.random.default_rng(dimensions)
    points = generator.uniform(0, 3, (1500, dimensions)).astype(np.float32)
    values = np.stack([points[:, 0] > 1.5, points.sum(axis=1) / dimensions], axis=1).astype(np.float32)
    kernel = np.exp(-0.5 * ((points[:, None] - points) ** 2).sum(-1))
    chain = gaussian_chain(points)

    def filtered(result):
        for matrix in chain:
            result = matrix @ result
        return result

    expected = kernel @ values / kernel.sum(axis=1, keepdims=True)
    error = np.abs(filtered(values) / filtered(np.ones((1500, 1), np.float32)) - expected)
    assert error.mean() < 0.03
    assert len(chain) == dimensions + 3
    assert chain[0].shape[0] <= 1500 * (dimensions + 1)
    slicing = chain[-1].toarray()
    np.testing.assert_allclose(slicing.sum(axis=1), 1, atol=1e-5)  # barycentric weights
    assert slicing.min() > -1e-5


def test_lattice_numbers_vertices_too_wide_to_pack():
    """Keys that leave no room for the point's index take the other way to the same lattice."""
    points = np.random.default_rng(0).normal(0, 1, (50, 5)).astype(np.float32)
    far = np.concatenate([points, points[:1] + 8000])
    alone, padded = (functools.reduce(lambda values, matrix: matrix @ values, gaussian_chain(features),
                                      np.eye(len(features))[:, :3]) for features in (points, far))
    np.testing.assert_allclose(padded[:50], alone, atol=1e-4)
    np.testing.assert_allclose(padded[50], 0, atol=1e-4)


def test_many_classes_are_filtered_in_parts():
    image, _, _ = scene(50, 50)
    logits = np.random.default_rng(0).normal(size=(50, 50, 70))
    together = DenseCRF("pydensecrf", iterations=1, exact_pixels=0)(image, softmax(logits))
    order = np.random.default_rng(1).permutation(70)
    permuted = DenseCRF("pydensecrf", iterations=1, exact_pixels=0)(image, softmax(logits[..., order]))
    np.testing.assert_allclose(permuted, together[..., order], atol=1e-4)


def test_large_weights_do_not_overflow():
    image, probabilities, _ = scene()
    for exact_pixels in (0, 2048):
        refined = DenseCRF(CRFParameters(500, 60, 20, 300, 3), exact_pixels=exact_pixels)(image, probabilities)
        assert np.abs(refined.sum(axis=-1) - 1).max() < 1e-5


def test_sharpens_to_the_image():
    image, probabilities, labels = scene(60, 80)
    refined = DenseCRF("pydensecrf")(image, probabilities)
    assert (refined.argmax(-1) == labels).mean() > (probabilities.argmax(-1) == labels).mean() + 0.2


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (53, 61)])
@pytest.mark.parametrize("classes", [1, 3])
def test_any_size(size, classes):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    probabilities = softmax(generator.normal(size=(*size, classes)))
    refined = DenseCRF(exact_pixels=0)(image, probabilities)
    assert refined.shape == (*size, classes)
    assert np.abs(refined.sum(axis=-1) - 1).max() < 1e-5


def test_inputs_stay_as_they_were():
    image, probabilities, _ = scene()
    before = image.copy(), probabilities.copy()
    DenseCRF()(image, probabilities)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(probabilities, before[1])


def test_normalization_belongs_to_the_parameters():
    assert DenseCRF("deeplabv1_largefov").normalization == "after"
    assert DenseCRF("deeplabv2_resnet101").normalization == "symmetric"
    assert DenseCRF("deeplabv2_resnet101", normalization="after").normalization == "after"
    released = dataclasses.astuple(dense_crf.PARAMETERS["deeplabv2_resnet101"])[:5]
    assert released == (4, 67, 3, 3, 1)


def test_memory_is_bounded():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for classes in (2, 21, 70):
        probabilities = softmax(generator.normal(size=(120, 160, classes))).astype(np.float32)
        tracemalloc.start()
        DenseCRF(iterations=2)(image, probabilities)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < (2300 + 20 * classes) * 120 * 160


def _raises(message):
    return pytest.raises((ValueError, TypeError), match="^" + re.escape(message) + "$")


def test_errors_of_the_call():
    image, probabilities, _ = scene()
    with _raises("`image` must be a uint8 RGB array of shape (height, width, 3), got image='float32 array (24, 32, 3)'."
                 " Pass the pixels as decoded, 0-255, not normalised."):
        DenseCRF()(image.astype(np.float32), probabilities)
    with _raises("`probabilities` must be a float array of shape (height, width, classes), got "
                 "probabilities='float32 array (1, 24, 32, 4)'. Pass one image's softmax output."):
        DenseCRF()(image, probabilities[None])
    with _raises("`probabilities.shape[:2]` must equal the image's height and width (24, 32), got "
                 "probabilities.shape[:2]=(12, 16). Resize the logits to the image before the softmax."):
        DenseCRF()(image, probabilities[::2, ::2])
    with _raises("`probabilities.sum(axis=-1)` must be 1 at every pixel, got probabilities.sum(axis=-1)=2.0. "
                 "Apply softmax to logits first. The classes of a multilabel model are refined one by one: "
                 "probabilities[..., index:index + 1]."):
        DenseCRF()(image, 2 * probabilities)
    with _raises("`probabilities.sum(axis=-1)` must be 1 at every pixel, got probabilities.sum(axis=-1)=nan. "
                 "Apply softmax to logits first. The classes of a multilabel model are refined one by one: "
                 "probabilities[..., index:index + 1]."):
        DenseCRF()(image, np.where(np.arange(4) == 1, np.nan, probabilities))
    with _raises("`probabilities.min()` must be at least 0, got probabilities.min()=-1.0. "
                 "Apply softmax to logits first."):
        DenseCRF()(image, np.broadcast_to(np.array([2.0, -1.0]), (24, 32, 2)))


def test_errors_of_the_constructor():
    with _raises("`parameters` must be one of ('deeplabv1_largefov', 'deeplabv2_vgg16', 'deeplabv2_resnet101', "
                 "'deeplab_library', 'pydensecrf'), got parameters='deeplabv2_resnet50'. "
                 "Did you mean 'deeplabv2_resnet101'?"):
        DenseCRF("deeplabv2_resnet50")
    with _raises("`normalization` must be one of ('symmetric', 'after'), got normalization='before'. "
                 "Choose one of ('symmetric', 'after')."):
        DenseCRF(normalization="before")
    with _raises("`iterations` must be a positive integer, got iterations=0. Pass a whole number of at least 1."):
        DenseCRF(iterations=0)
    with _raises("`appearance_color_sigma` must be a number between 0.01 and 10000.0, got appearance_color_sigma=0. "
                 "Pass a value from 0.01 to 10000.0."):
        CRFParameters(4, 67, 0, 3, 1)
    with pytest.raises(TypeError, match="^`parameters` must be a name or a CRFParameters, got parameters=\\(4, 67\\)"):
        DenseCRF((4, 67))
    with pytest.raises(ValueError, match="^`features` must span few enough lattice cells for 63-bit"):
        gaussian_chain(np.array([[0.0] * 5, [1e6] * 5]))
