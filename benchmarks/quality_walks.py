"""Uniform random walks over a graph in CSR form, with numba."""

import numba
import numpy as np


@numba.njit(cache=True)
def walks(indptr: np.ndarray, indices: np.ndarray, length: int, seed: int) -> np.ndarray:
    """One walk of `length` nodes from each node, in random order; -1 behind the end of a walk (int32)."""
    np.random.seed(seed)
    nodes = len(indptr) - 1
    order = np.random.permutation(nodes)
    result = np.full((nodes, length), -1, np.int32)
    for row in range(nodes):
        node = order[row]
        result[row, 0] = node
        for step in range(1, length):
            degree = indptr[node + 1] - indptr[node]
            if degree == 0:
                break
            node = indices[indptr[node] + np.random.randint(degree)]
            result[row, step] = node
    return result
