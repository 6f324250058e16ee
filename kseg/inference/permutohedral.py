"""Gaussian filtering of scattered points in any dimension, as a chain of sparse matrices.

Points are splatted onto the vertices of the permutohedral lattice, the vertices are blurred along each lattice axis
with the kernel (1/2, 1, 1/2), and the points are sliced back out: `slice @ blur_d @ … @ blur_0 @ splat`. The cost is
O(points · dimensions²), whatever the width of the Gaussian.
Reference: Adams, Baek, Davis, Fast High-Dimensional Filtering Using the Permutohedral Lattice, Eurographics 2010.

A vertex has `d + 1` integer coordinates that sum to 0 and are all congruent to its remainder r modulo `d + 1`. It is
numbered within its remainder by `(coordinate - r) / (d + 1)`, the last coordinate left out.
"""

import numpy as np
import scipy.sparse

from kseg import checks


def gaussian_chain(features):
    """Return sparse matrices whose product approximates `exp(-|f_i - f_j|² / 2)`, up to one constant factor.

    Args:
        features: float32 `[points, dimensions]`, positions in units of the Gaussian's standard deviation.
    Returns:
        list of float32 sparse matrices, to be applied first to last: splat `[vertices, points]` (CSC: going through the
        points in order, it stays in the cache), `dimensions + 1` blurs `[vertices, vertices]` (CSR) and slice `[points,
        vertices]` (CSR), the transposed splat. There are at most `points · (dimensions + 1)` vertices.
    Raises:
        ValueError: if the features span so many standard deviations that the vertices cannot be numbered in 63 bits.
    """
    features = np.asarray(features, np.float32)
    points, dimensions = features.shape
    step = dimensions + 1
    corner, axis_of_rank, weights = _enclosing_simplex(features)
    keys, strides = _corner_keys(corner)
    vertices, positions, count = [], np.empty((points, step), np.int32), 0
    for remainder in range(step):
        distinct, inverse = _distinct(keys)
        vertices.append(distinct)
        positions[:, remainder] = inverse + count
        count += len(distinct)
        keys = keys - strides[axis_of_rank[dimensions - remainder]]  # on to the simplex's next corner
    ends = np.arange(0, points * step + 1, step, dtype=np.int32)
    slicing = scipy.sparse.csr_matrix((weights.ravel(), positions.ravel(), ends), shape=(points, count))
    blurs = [_blur(vertices, strides, axis) for axis in range(step)]
    return [slicing.T, *blurs, slicing]


def _enclosing_simplex(features):
    """Find each point's simplex.

    Returns:
        corner: int32 `[d + 1, n]`, the corner of remainder 0, divided by `d + 1`.
        axis_of_rank: int8 `[d + 1, n]`, the axes by decreasing offset from that corner.
        weights: float32 `[n, d + 1]`, barycentric weights of the corners of remainder 0…d; rows sum to 1.
    """
    points, dimensions = features.shape
    step = dimensions + 1
    elevated = _elevated(features)
    nearest = np.rint(elevated)
    offset = elevated - nearest
    excess = nearest.sum(axis=0).astype(np.int8)
    rank = np.zeros((step, points), np.int8)  # 0 for the largest offset
    for first in range(dimensions):
        for second in range(first + 1, step):
            behind = offset[first] < offset[second]
            rank[first] += behind
            rank[second] += ~behind
    rank += excess  # walk back onto the hyperplane
    wrap = (rank < 0).astype(np.int8) - (rank > dimensions)
    rank += wrap * np.int8(step)
    offset -= wrap
    everywhere = np.arange(points)
    axis_of_rank = np.empty((step, points), np.int8)
    ordered = np.empty((step, points), np.float32)  # offsets by decreasing size
    for axis in range(step):
        axis_of_rank[rank[axis], everywhere] = axis
        ordered[rank[axis], everywhere] = offset[axis]
    weights = np.empty((points, step), np.float32)
    weights[:, 0] = 1 + ordered[dimensions] - ordered[0]
    for remainder in range(1, step):
        weights[:, remainder] = ordered[dimensions - remainder] - ordered[step - remainder]
    return nearest.astype(np.int32) + wrap, axis_of_rank, weights


def _elevated(features):
    """Return the points on the hyperplane whose coordinates sum to 0, divided by `d + 1`: float32 `[d + 1, n]`."""
    points, dimensions = features.shape
    index = np.arange(1, dimensions + 1)
    scale = (np.sqrt(2.0 / 3.0) / np.sqrt(index * (index + 1.0))).astype(np.float32)
    elevated = np.empty((dimensions + 1, points), np.float32)
    total = np.zeros(points, np.float32)
    for axis in range(dimensions, 0, -1):
        scaled = features[:, axis - 1] * scale[axis - 1]
        elevated[axis] = total - axis * scaled
        total += scaled
    elevated[0] = total
    return elevated


def _corner_keys(corner):
    """Return one int64 per point's corner, `[n]`, and the step per axis between keys, int64 `[d + 1]`, the last 0."""
    dimensions = len(corner) - 1
    low = corner[:dimensions].min(axis=1) - 2  # room for the other corners and neighbours, so that none wraps around
    spans = (corner[:dimensions].max(axis=1) + 2 - low + 1).tolist()
    if np.prod(np.array(spans, np.float64)) >= 2.0 ** 62:
        raise ValueError(checks.sentence("features", "must span few enough lattice cells for 63-bit vertex numbers",
                                         spans, "Use larger sigmas or a smaller image."))
    strides = np.array([*np.cumprod([1, *spans[:0:-1]], dtype=np.int64)[::-1], 0])
    return sum((corner[axis] - low[axis]) * strides[axis] for axis in range(dimensions)), strides


def _distinct(keys):
    """Return the distinct keys in order, int64, and each key's place among them, int64 `[n]`."""
    index_bits = len(keys).bit_length()
    if int(keys.max()) >> (63 - index_bits):
        return np.unique(keys, return_inverse=True)
    packed = np.sort((keys << index_bits) | np.arange(len(keys)))  # a plain sort is faster than np.unique's argsort
    ordered = packed >> index_bits
    is_new = np.empty(len(keys), bool)
    is_new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    inverse = np.empty(len(keys), np.int64)
    inverse[packed & ((1 << index_bits) - 1)] = np.cumsum(is_new) - 1
    return ordered[is_new], inverse


def _blur(vertices, strides, axis):
    """Return the float32 CSR matrix with 1 on the diagonal and 1/2 at each vertex's two neighbours along `axis`.

    One neighbour is at -1 on every coordinate and `+ d` on the axis: its remainder is the one before.
    """
    starts = np.cumsum([0, *map(len, vertices)])
    here, there = [], []
    for remainder, keys in enumerate(vertices):
        wanted = keys + (strides[axis] if remainder else strides[axis] - strides.sum())
        candidates = vertices[remainder - 1]
        found = np.minimum(np.searchsorted(candidates, wanted), len(candidates) - 1)
        exists = np.nonzero(candidates[found] == wanted)[0]
        here.append(exists + starts[remainder])
        there.append(found[exists] + starts[:-1][remainder - 1])
    here, there = (np.concatenate(indices).astype(np.int32) for indices in (here, there))
    diagonal = np.arange(starts[-1], dtype=np.int32)
    values = np.ones(len(diagonal) + 2 * len(here), np.float32)
    values[len(diagonal):] = 0.5
    places = (np.concatenate([diagonal, here, there]), np.concatenate([diagonal, there, here]))
    return scipy.sparse.csr_matrix((values, places), shape=(len(diagonal), len(diagonal)))
