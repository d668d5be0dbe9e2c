"""How many directions a set of vectors uses."""

import numpy as np


def effective_rank(values: np.ndarray, scale: float) -> float:
    """Effective rank (Roy and Vetterli, EUSIPCO 2007) of vectors with these descending singular values.

    0.0 where they are rounding errors beside `scale`, the size of the vectors before they were centred.
    """
    if values[0] <= 1e-6 * scale or scale == 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
