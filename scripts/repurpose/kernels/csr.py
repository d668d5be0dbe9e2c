"""Compressed sparse rows (CSR) without values."""

import numpy as np


def csr(rows: np.ndarray, columns: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Group (row, column) pairs by row; the columns of a row keep their order.

    rows, columns: integer (E,). Returns indptr int64 (n_rows + 1,) and indices int32 (E,): the columns
    of row i are indices[indptr[i]:indptr[i + 1]].
    """
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
    return indptr, columns[np.argsort(rows, kind="stable")].astype(np.int32, copy=False)
