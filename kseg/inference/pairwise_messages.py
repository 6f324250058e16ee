"""The messages of the fully connected CRF: a pixel's values filtered by its two Gaussian kernels."""

import numpy as np
import scipy.sparse
import scipy.spatial.distance

from kseg.inference.permutohedral import gaussian_chain

_CHANNELS_AT_ONCE = 32  # bounds the memory taken by the values at the lattices' vertices
_NARROW = 2.0  # pixels; below, the smoothness kernel's lattice has more vertices than the image has pixels


def message_function(image, parameters, normalization, exact):
    """Return the function float32 `[H·W, C]` → the weighted, normalised sum of both kernels' filters of it."""
    height, width = image.shape[:2]
    position = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)  # [H·W, 2]
    near = np.float32(position / parameters.smoothness_sigma)
    alike = np.concatenate([position / parameters.appearance_position_sigma,
                            image.reshape(-1, 3) / parameters.appearance_color_sigma], axis=1).astype(np.float32)
    weights = parameters.appearance_weight, parameters.smoothness_weight
    if exact:
        appearance, smoothness = (
            weight * _normalized(np.exp(-0.5 * scipy.spatial.distance.cdist(features, features, "sqeuclidean")),
                                 normalization) for weight, features in zip(weights, (alike, near)))
        pairwise = (appearance + smoothness).astype(np.float32)
        return lambda values: pairwise @ values
    appearance = _normalized_chain(gaussian_chain(alike), weights[0], normalization)
    if parameters.smoothness_sigma >= _NARROW:
        chain = _side_by_side(appearance, _normalized_chain(gaussian_chain(near), weights[1], normalization))
        return lambda values: _product(chain, values)
    blur = _separable_gaussian(height, width, parameters.smoothness_sigma, weights[1], normalization)
    return lambda values: np.add(total := _product(appearance, values), blur(values), out=total)


def _product(chain, values):
    """Return `chain[-1] @ … @ chain[0] @ values`."""
    if values.shape[1] > _CHANNELS_AT_ONCE:
        starts = range(0, values.shape[1], _CHANNELS_AT_ONCE)
        parts = [np.ascontiguousarray(values[:, start:start + _CHANNELS_AT_ONCE]) for start in starts]
        return np.concatenate([_product(chain, part) for part in parts], axis=1)
    for matrix in chain:
        values = matrix @ values
    return values


def _normalized_chain(chain, weight, normalization):
    """Return the chain with the weight and the normalisation inside its first and last matrix."""
    slicing = chain[-1]
    total = _product(chain, np.ones((slicing.shape[0], 1), np.float32))[:, 0] + np.float32(1e-20)
    per_entry = np.repeat(total, np.diff(slicing.indptr))
    splat = chain[0]
    if normalization == "symmetric":
        per_entry = np.sqrt(per_entry)
        splat = _with_data(slicing, slicing.data / per_entry).T
    return [splat, *chain[1:-1], _with_data(slicing, np.float32(weight) * slicing.data / per_entry)]


def _with_data(matrix, data):
    return scipy.sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _side_by_side(first, second):
    """Return the chain that equals the sum of two, the first of which has more blurs."""
    splat = scipy.sparse.vstack([first[0], second[0]], format="csc")
    slicing = scipy.sparse.hstack([first[-1], second[-1]], format="csr")
    unchanged = scipy.sparse.identity(second[0].shape[0], np.float32, format="csr")
    blurs = [scipy.sparse.block_diag([blur, second[1 + axis] if axis < len(second) - 2 else unchanged], format="csr")
             for axis, blur in enumerate(first[1:-1])]
    return [splat, *blurs, slicing]


def _separable_gaussian(height, width, sigma, weight, normalization):
    """Return the function `[H·W, C]` → weight times its exact normalised Gaussian filter."""
    rows = _normalized(_gaussian_band(height, sigma), normalization) * np.float32(weight)
    columns = _normalized(_gaussian_band(width, sigma), normalization)
    block = max(1, 8192 // width)  # image rows filtered at once, few enough to stay in the cache
    along_width = scipy.sparse.kron(scipy.sparse.identity(block, np.float32), columns).tocsr()

    def filtered(values):
        result = (rows @ values.reshape(height, -1)).reshape(values.shape)
        for start in range(0, height * width, block * width):
            part = result[start:start + block * width]
            part[:] = (along_width if len(part) == block * width else along_width[:len(part), :len(part)]) @ part
        return result

    return filtered


def _gaussian_band(size, sigma):
    """Return exp(-(i - j)² / 2σ²) as float32 CSR `[size, size]`, out to 5σ, where it is 4e-6."""
    reach = min(int(np.ceil(5 * sigma)), size - 1)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2).astype(np.float32)
    diagonals = [np.full(size - abs(offset), weight, np.float32) for offset, weight in zip(offsets, weights)]
    return scipy.sparse.diags(diagonals, offsets, shape=(size, size), dtype=np.float32).tocsr()


def _normalized(kernel, normalization):
    """Return the kernel, dense or CSR, normalised."""
    total = np.asarray(kernel.sum(axis=1)).ravel()
    before, after = (1 / np.sqrt(total),) * 2 if normalization == "symmetric" else (np.ones_like(total), 1 / total)
    if scipy.sparse.issparse(kernel):
        return (scipy.sparse.diags(after) @ kernel @ scipy.sparse.diags(before)).tocsr().astype(np.float32)
    return after[:, None] * kernel * before
