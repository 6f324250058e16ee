"""Gaussian filtering of scattered points in any dimension, as a chain of sparse matrices.

Pixels are splatted onto the vertices of the permutohedral lattice, the vertices are blurred along each lattice axis with
the kernel (1/2, 1, 1/2), and the pixels are sliced back out: `slice @ blur_d @ … @ blur_0 @ splat`. The cost is
O(pixels · dimensions²), whatever the width of the Gaussian.
Reference: Adams, Baek, Davis, Fast High-Dimensional Filtering Using the Permutohedral Lattice, Eurographics 2010.
"""

import numpy as np
import scipy.sparse

from kseg import checks

_CLASSES_AT_ONCE = 32  # bounds the memory taken by the values at the lattice's vertices


class PermutohedralLattice:
    """Approximates `sum_j exp(-|f_i - f_j|² / 2) values_j` for every point i, up to one constant factor.

    Args:
        features: float32 `[points, dimensions]`, positions in units of the Gaussian's standard deviation.
    Raises:
        ValueError: if the features span so many standard deviations that the vertices cannot be numbered in 63 bits.
    """

    def __init__(self, features):
        features = np.asarray(features, np.float32)
        points, dimensions = features.shape
        corner, rank, weights = _enclosing_simplex(features)
        keys, strides = _vertex_keys(corner, rank)
        vertices, positions = np.unique(keys.ravel(), return_inverse=True)
        del corner, rank, keys
        ends = np.arange(0, points * (dimensions + 1) + 1, dimensions + 1, dtype=np.int32)
        self.slice_matrix = scipy.sparse.csr_matrix(
            (weights.ravel(), positions.ravel().astype(np.int32), ends), shape=(points, len(vertices)))
        self.splat_matrix = self.slice_matrix.T.tocsr()
        self.blur_matrices = [_blur_matrix(vertices, strides, axis) for axis in range(dimensions + 1)]

    @property
    def vertices(self):
        """int, the number of lattice vertices in use, at most `points · (dimensions + 1)`."""
        return self.slice_matrix.shape[1]

    def scale(self, before=None, after=None):
        """Multiply the filter's input by `before` and its output by `after` from now on; float `[points]` each."""
        if before is not None:
            self.splat_matrix.data *= before.astype(np.float32)[self.splat_matrix.indices]
        if after is not None:
            self.slice_matrix.data *= np.repeat(after.astype(np.float32), np.diff(self.slice_matrix.indptr))

    def filter(self, values):
        """Return the filtered values.

        Args:
            values: float32 `[points, channels]`.
        Returns:
            float32 `[points, channels]`.
        """
        if values.shape[1] > _CLASSES_AT_ONCE:
            starts = range(0, values.shape[1], _CLASSES_AT_ONCE)
            return np.concatenate([self.filter(np.ascontiguousarray(values[:, start:start + _CLASSES_AT_ONCE]))
                                   for start in starts], axis=1)
        at_vertices = self.splat_matrix @ values  # [vertices, channels]
        for matrix in self.blur_matrices:
            at_vertices = matrix @ at_vertices
        return self.slice_matrix @ at_vertices


def _enclosing_simplex(features):
    """Return the remainder-0 corner and ranks, int32 `[d + 1, n]`, and barycentric weights, float32 `[n, d + 1]`."""
    points, dimensions = features.shape
    step = dimensions + 1
    index = np.arange(1, dimensions + 1)
    scale = (np.sqrt(2.0 / 3.0) * step / np.sqrt(index * (index + 1.0))).astype(np.float32)
    elevated = np.empty((step, points), np.float32)  # on the hyperplane whose coordinates sum to 0
    total = np.zeros(points, np.float32)
    for axis in range(dimensions, 0, -1):
        scaled = features[:, axis - 1] * scale[axis - 1]
        elevated[axis] = total - axis * scaled
        total = total + scaled
    elevated[0] = total
    nearest = np.rint(elevated / np.float32(step))
    excess = nearest.sum(axis=0).astype(np.int32)
    corner = nearest.astype(np.int32) * step
    offset = elevated - corner
    rank = np.zeros((step, points), np.int32)  # 0 for the largest offset
    for first in range(dimensions):
        for second in range(first + 1, step):
            behind = offset[first] < offset[second]
            rank[first] += behind
            rank[second] += ~behind
    rank += excess  # walk back onto the hyperplane
    wrap = ((rank < 0).astype(np.int32) - (rank > dimensions)) * step
    rank += wrap
    corner += wrap
    return corner, rank, _barycentric_weights((elevated - corner) / np.float32(step), rank)


def _barycentric_weights(offset, rank):
    """Return float32 `[n, d + 1]`, the weights of the simplex's corners of remainder 0…d; rows sum to 1."""
    step, points = offset.shape
    weights = np.zeros((points, step + 1), np.float32)
    rows = np.arange(points)
    for axis in range(step):
        column = step - 1 - rank[axis]
        weights[rows, column] += offset[axis]
        weights[rows, column + 1] -= offset[axis]
    weights[:, 0] += 1 + weights[:, step]
    return weights[:, :step]


def _vertex_keys(corner, rank):
    """Return one int64 per corner of each point's simplex, `[n, d + 1]`, and the key's stride per coordinate, `[d]`."""
    step, points = corner.shape
    dimensions = step - 1
    low = corner[:dimensions].min(axis=1) - 2 * step  # room for neighbours, which then never wrap around
    spans = corner[:dimensions].max(axis=1) + 2 * step - low + 1
    if np.prod(spans.astype(np.float64)) >= 2.0 ** 62:
        raise ValueError(checks.sentence(
            "features", "must span few enough standard deviations for 63-bit vertex numbers",
            [round(int(span) / step, 1) for span in spans], "Use larger sigmas or a smaller image."))
    strides = np.cumprod([1, *spans[:0:-1].tolist()], dtype=np.int64)[::-1]
    base = sum((corner[axis] - low[axis]).astype(np.int64) * strides[axis] for axis in range(dimensions))
    keys = np.empty((points, step), np.int64)
    for remainder in range(step):
        canonical = np.full(step, remainder, np.int64)  # the corner's coordinates by rank
        canonical[step - remainder:] -= step
        keys[:, remainder] = base + sum(canonical[rank[axis]] * strides[axis] for axis in range(dimensions))
    return keys, strides


def _blur_matrix(vertices, strides, axis):
    """Return the float32 CSR matrix with 1 on the diagonal and 1/2 at each vertex's two neighbours along `axis`."""
    count = len(vertices)
    step = len(strides) + 1
    move = -int(strides.sum()) + (step * int(strides[axis]) if axis < len(strides) else 0)
    found = np.minimum(np.searchsorted(vertices, vertices + move), count - 1)
    here = np.nonzero(vertices[found] == vertices + move)[0].astype(np.int32)
    there = found[here].astype(np.int32)
    diagonal = np.arange(count, dtype=np.int32)
    values = np.ones(count + 2 * len(here), np.float32)
    values[count:] = 0.5
    rows = np.concatenate([diagonal, here, there])
    columns = np.concatenate([diagonal, there, here])
    return scipy.sparse.csr_matrix((values, (rows, columns)), shape=(count, count))
