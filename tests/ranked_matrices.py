"""Small score matrices with known pairs, and the ranks of their test positives."""

import numpy as np
import pandas as pd

from repurpose.evaluation import ranks
from repurpose.pairs.pairs import Known


def matrix(seed, n_heads=23, n_tails=17, n_test=20, n_levels=6):
    """A small score matrix with many ties: scores, heads and tails of test positives, all known pairs."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, n_levels, (n_heads, n_tails)).astype(np.float32)
    codes = generator.permutation(n_heads * n_tails)[: n_test + 30]
    tails, heads = np.divmod(np.sort(codes), n_heads)
    known = Known(heads.astype(np.int32), tails.astype(np.int32), np.full(len(codes), "", object))
    is_test = np.isin(np.sort(codes), codes[:n_test])
    return scores, known.heads[is_test], known.tails[is_test], known


def ranked(scores, heads, tails, known, negative=((), ()), **options):
    """Rank test positives and known negatives among the unknown pairs.

    scores: a matrix (heads, tails), or a function of head and tail indices; then with the option `shape`.
    """
    shape = scores.shape if hasattr(scores, "shape") else options.pop("shape")
    options = {"limit": 10**9, "seed": 0, **options}
    pools = options.pop("pools", [np.arange(count) for count in shape])
    pair_indices = [
        np.append(positive, negative_part).astype(np.int32)
        for positive, negative_part in zip((heads, tails), negative, strict=True)
    ]
    labels = np.repeat([1, 0], [len(heads), len(negative[0])])
    labelled = pd.DataFrame({"head_index": pair_indices[0], "tail_index": pair_indices[1], "label": labels})
    score = scores if callable(scores) else lambda h, t: scores[h, t]
    return ranks.rank(score, labelled, known, *pools, **options)
