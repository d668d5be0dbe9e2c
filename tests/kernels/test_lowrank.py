"""The truncated SVD equals numpy's for any shape and rank, and explains as much as scikit-learn's."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from repurpose.core import threads
from repurpose.kernels import lowrank


def matrix(rows, columns, density=0.3, seed=0):
    generator = np.random.default_rng(seed)
    return sparse.random_array((rows, columns), density=density, rng=generator, dtype=np.float32)


def rank_three():
    """A matrix with three different rows: it has three singular values above zero."""
    blocks = np.zeros((40, 30), np.float32)
    blocks[:10, :8], blocks[10:25, 8:20], blocks[25:, 20:] = 1, 2, 3
    return sparse.csr_array(blocks)


CASES = {
    "wide": matrix(25, 300),
    "tall": matrix(300, 25),
    "large": matrix(150, 220),
    "rank three": rank_three(),
    "empty rows": sparse.vstack([matrix(60, 50), sparse.csr_array((30, 50), dtype=np.float32)]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_svd_equals_that_of_numpy(name):
    dense, size = CASES[name].toarray(), 12
    left, values, right = lowrank.svd(CASES[name], size, 0)
    assert left.dtype == values.dtype == right.dtype == np.float32
    assert (left.shape, right.shape) == ((dense.shape[0], size), (dense.shape[1], size))
    expected = np.linalg.svd(dense, compute_uv=False)
    assert values == pytest.approx(expected[:size], abs=0.02 * float(expected[0]))
    error, least_error = ((dense - (left * values) @ right.T) ** 2).sum(), (expected[size:] ** 2).sum()
    assert error <= 1.02 * least_error + 1e-3
    clear = values > 1e-3 * float(values[0])
    for vectors in (left[:, clear], right[:, clear]):
        assert vectors.T @ vectors == pytest.approx(np.eye(clear.sum()), abs=1e-4)
    # Singular values that are only rounding errors do not give huge vectors.
    assert np.isfinite(right).all() and np.abs(right).max() < 2


def test_the_values_of_a_symmetric_matrix_are_its_absolute_eigenvalues():
    edges = sparse.coo_array((np.ones(3, np.float32), ([0, 1, 2], [1, 2, 3])), shape=(4, 4))
    adjacency = sparse.csr_array(edges + edges.T)
    _, values, _ = lowrank.svd(adjacency, 4, 0)
    golden = (1 + 5**0.5) / 2
    assert values == pytest.approx([golden, golden, 1 / golden, 1 / golden], abs=1e-5)


def test_the_svd_of_a_large_matrix_explains_as_much_as_that_of_scikit_learn():
    """A random matrix is the hardest case, because all its singular values after the first are similar."""
    large = matrix(3000, 2000, density=0.01)
    _, ours, _ = lowrank.svd(large, 64, 0)
    _, theirs, _ = randomized_svd(large, 64, random_state=0)
    assert (ours**2).sum() > 0.99 * (theirs**2).sum()


def test_fewer_rounds_explain_less(monkeypatch):
    large = matrix(3000, 2000, density=0.01)
    explained = (lowrank.svd(large, 64, 0)[1] ** 2).sum()
    monkeypatch.setattr(lowrank, "ROUNDS", 0)
    assert (lowrank.svd(large, 64, 0)[1] ** 2).sum() < 0.9 * explained


def test_the_result_depends_on_the_seed_and_not_on_the_number_of_threads(monkeypatch):
    large = matrix(3000, 2000, density=0.01)
    product = lowrank.product(sparse.csr_array(large), np.eye(2000, 5, dtype=np.float32))
    assert product == pytest.approx(large.toarray()[:, :5])
    first = lowrank.svd(large, 8, 0)[0]
    monkeypatch.setattr(threads, "current", lambda: 2)
    again = lowrank.svd(large, 8, 0)[0]
    assert first.tobytes() == again.tobytes()
    assert lowrank.svd(large, 8, 1)[0].tobytes() != first.tobytes()
