"""Truncated SVD of large sparse matrices by subspace iteration.

Halko et al., "Finding structure with randomness", SIAM Review 2011. scikit-learn's `randomized_svd` spends
most of its time in LU and QR of tall matrices, and in products on one thread. Here the Gram matrix makes a
basis orthonormal, only on the shorter side of the matrix, and products run on all threads.
benchmarks/lowrank.py compares both.
"""

import numpy as np
from scipy import sparse

from repurpose.core import streams
from repurpose.kernels import parallel
from repurpose.kernels.compiled import loop

ROUNDS = 7  # products with the matrix and its transpose after the first; with 5 the demo's SVD is worse
EXTRA = 10  # basis vectors in addition to those that are returned (oversampling)
RESOLVED = 1e-7  # share of the largest eigenvalue of a float32 Gram matrix; smaller eigenvalues are rounding


def svd(matrix: sparse.sparray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first `size` left vectors (n, size), singular values, right vectors (m, size) of a matrix (n, m).

    All are float32. Values beyond the rank of the matrix are about zero. Needs size <= min(n, m).
    """
    rows = sparse.csr_array(matrix, dtype=np.float32)
    columns = sparse.csr_array(rows.T)
    if rows.shape[0] <= rows.shape[1]:
        return _iterate(rows, columns, size, seed)
    right, values, left = _iterate(columns, rows, size, seed)
    return left, values, right


def product(matrix: sparse.csr_array, dense: np.ndarray) -> np.ndarray:
    """A sparse matrix (n, m) times a dense one (m, k), both float32, on all threads."""
    result = np.zeros((matrix.shape[0], dense.shape[1]), np.float32)
    bounds = parallel.balanced(matrix.indptr)
    parallel.run(_products, bounds, matrix.indptr, matrix.indices, matrix.data, dense, result)
    return result


def _iterate(
    wide: sparse.csr_array, transposed: sparse.csr_array, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `svd`, for a matrix with at most as many rows as columns."""
    basis = _basis(wide, transposed, size + EXTRA, seed)
    projected = product(transposed, basis)
    squares, rotation = np.linalg.eigh(_gram(projected))
    values = np.sqrt(np.maximum(squares[::-1][:size], 0)).astype(np.float32)
    rotation = rotation[:, ::-1][:, :size].astype(np.float32)
    right = projected @ rotation
    return basis @ rotation, values, np.divide(right, values, out=np.zeros_like(right), where=values > 0)


def _basis(wide: sparse.csr_array, transposed: sparse.csr_array, size: int, seed: int) -> np.ndarray:
    """Orthonormal vectors (n, size) that approximately span the first left vectors; all n if n <= size."""
    if size >= wide.shape[0]:
        return np.eye(wide.shape[0], dtype=np.float32)
    draws = streams.generator(seed, "first basis of an SVD").normal(size=(wide.shape[1], size))
    basis = _orthonormalize(product(wide, draws.astype(np.float32)))
    for _ in range(ROUNDS):
        basis = _orthonormalize(product(wide, product(transposed, basis)))
    # Twice: after one pass, columns that were nearly parallel are not yet orthonormal, as `svd` needs.
    return _orthonormalize(basis)


def _orthonormalize(basis: np.ndarray) -> np.ndarray:
    """An orthonormal basis (n, k) of the span of the columns (n, k); zero columns if their rank is lower.

    Columns are first scaled to the same length. The later ones are shorter by orders of magnitude and would
    otherwise be lost to rounding.
    """
    length = np.linalg.norm(basis, axis=0)
    basis = basis * np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    squares, rotation = np.linalg.eigh(_gram(basis))
    is_resolved = squares > RESOLVED * squares[-1]
    factor = np.divide(1, np.sqrt(np.abs(squares)), out=np.zeros_like(squares), where=is_resolved)
    return basis @ (rotation * factor)[:, ::-1].astype(np.float32)


def _gram(columns: np.ndarray) -> np.ndarray:
    """The Gram matrix (k, k) of the columns, as float64 so that `eigh` adds no rounding error."""
    return (columns.T @ columns).astype(np.float64)


@loop
def _products(first, last, indptr, indices, data, dense, result):
    """Rows first to last of the product: each entry adds its value times one row of `dense`."""
    for row in range(first, last):
        for entry in range(indptr[row], indptr[row + 1]):
            value, other = data[entry], indices[entry]
            for column in range(dense.shape[1]):
                result[row, column] += value * dense[other, column]
