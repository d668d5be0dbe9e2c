"""The first singular vectors of large sparse matrices, by subspace iteration.

Halko et al., "Finding structure with randomness", SIAM Review 2011. scikit-learn's `randomized_svd` spends
most of its time in LU and QR of tall matrices, and in products on one thread. Here a basis is orthonormal
by way of its Gram matrix, on the narrower side of the matrix alone, and products run on all threads;
benchmarks/lowrank.py has both side by side.
"""

import numpy as np
from scipy import sparse

from repurpose.kernels import parallel
from repurpose.kernels.compiled import loop

ROUNDS = 7  # products with the matrix and its transpose after the first: with 5 the demo's SVD finds less
EXTRA = 10  # vectors beside those that are asked for
RESOLVED = 1e-7  # of the largest eigenvalue of a Gram matrix in float32; what is below is rounding


def svd(matrix: sparse.sparray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first `size` left vectors (n, size), singular values, right vectors (m, size) of a matrix (n, m).

    float32; values are about zero where its rank is lower. Needs size <= min(n, m).
    """
    rows = sparse.csr_array(matrix, dtype=np.float32)
    columns = sparse.csr_array(rows.T)
    if rows.shape[0] <= rows.shape[1]:
        return _iterated(rows, columns, size, seed)
    right, values, left = _iterated(columns, rows, size, seed)
    return left, values, right


def product(matrix: sparse.csr_array, dense: np.ndarray) -> np.ndarray:
    """A sparse matrix (n, m) times a dense one (m, k), both float32, on all threads."""
    result = np.zeros((matrix.shape[0], dense.shape[1]), np.float32)
    bounds = parallel.balanced(matrix.indptr)
    parallel.run(_products, bounds, matrix.indptr, matrix.indices, matrix.data, dense, result)
    return result


def _iterated(
    wide: sparse.csr_array, transposed: sparse.csr_array, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `svd`, of a matrix with at most as many rows as columns."""
    basis = _basis(wide, transposed, size + EXTRA, seed)
    across = product(transposed, basis)
    squares, turn = np.linalg.eigh(_gram(across))
    values = np.sqrt(np.maximum(squares[::-1][:size], 0)).astype(np.float32)
    turn = turn[:, ::-1][:, :size].astype(np.float32)
    right = across @ turn
    return basis @ turn, values, np.divide(right, values, out=np.zeros_like(right), where=values > 0)


def _basis(wide: sparse.csr_array, transposed: sparse.csr_array, size: int, seed: int) -> np.ndarray:
    """Orthonormal vectors (n, size) that span about the first left ones of `wide`, all where n is smaller."""
    if size >= wide.shape[0]:
        return np.eye(wide.shape[0], dtype=np.float32)
    draws = np.random.default_rng(seed).normal(size=(wide.shape[1], size))
    basis = _orthonormal(product(wide, draws.astype(np.float32)))
    for _ in range(ROUNDS):
        basis = _orthonormal(product(wide, product(transposed, basis)))
    # Once more, for once leaves what was nearly parallel a little so, and `svd` takes it for orthonormal.
    return _orthonormal(basis)


def _orthonormal(basis: np.ndarray) -> np.ndarray:
    """An orthonormal basis (n, k) of the columns (n, k), zero columns where there are fewer directions.

    Columns are scaled to one length first: later ones are shorter by orders, and would drown in rounding.
    """
    length = np.linalg.norm(basis, axis=0)
    basis = basis * np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    squares, turn = np.linalg.eigh(_gram(basis))
    is_there = squares > RESOLVED * squares[-1]
    factor = np.divide(1, np.sqrt(np.abs(squares)), out=np.zeros_like(squares), where=is_there)
    return basis @ (turn * factor)[:, ::-1].astype(np.float32)


def _gram(columns: np.ndarray) -> np.ndarray:
    """The products (k, k) of all columns, float64 so that `eigh` adds no rounding of its own."""
    return (columns.T @ columns).astype(np.float64)


@loop
def _products(first, last, indptr, indices, data, dense, result):
    """Rows first to last of the product: for each entry, its column's row of `dense` times its value."""
    for row in range(first, last):
        for entry in range(indptr[row], indptr[row + 1]):
            value, other = data[entry], indices[entry]
            for column in range(dense.shape[1]):
                result[row, column] += value * dense[other, column]
