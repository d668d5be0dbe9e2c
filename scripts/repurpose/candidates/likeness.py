"""How alike the lists of different tails are: the same few heads in most lists say little about any tail."""

from typing import Any

import numpy as np

from repurpose.candidates import candidates
from repurpose.candidates.candidates import Annotator
from repurpose.core import streams
from repurpose.pairs.pairs import Known

PLACES = 10  # of a list
PAIRS = 5000  # at most so many pairs of tails are compared
FIFTH = 5


class LikenessCollector:
    """Keeps the PLACES best new heads of each tail; a head with a known pair with the tail is no new one."""

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator
        # Blocks of tails, and of their lists: heads (m, PLACES), -1 for a place that no new head fills.
        self.blocks: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None) -> None:
        """Add the model's scores of a block of tails."""
        columns = np.arange(stack.shape[2]) if heads is None else heads
        scores = self.annotator.adjusted(stack[0], heads).copy()
        scores[known_places(self.annotator.known, tails, columns)] = -np.inf
        places = candidates.best(scores, min(PLACES, len(columns)))
        is_new = np.isfinite(np.take_along_axis(scores, places, axis=1))
        lists = np.full((len(tails), PLACES), -1, np.int32)
        lists[:, : places.shape[1]] = np.where(is_new, columns[places], -1)
        self.blocks.append((tails, lists))

    def add_listed(self, heads: np.ndarray) -> None:
        """Do nothing: the lists are collected from the scores, whatever number of candidates is kept."""

    def summary(
        self, vectors: np.ndarray, treated: np.ndarray, unlike: np.ndarray, seed: int
    ) -> dict[str, Any]:
        """The measures of `describe` for `treated` and for `untreated` tails.

        vectors: of all tails (n, d). treated: indices of the tails with a known treatment. unlike: bool (n,),
        the tails whose vector is like that of no treated tail; their number among the lists is `unlike`.
        """
        tails, lists = (np.concatenate(column) for column in zip(*self.blocks, strict=True))
        target, kg = self.annotator.target, self.annotator.kg
        names = kg.node_ids[target.head_type], kg.node_names[target.head_type]
        is_treated = np.isin(tails, treated)
        result = {}
        for group, rows in (("treated", is_treated), ("untreated", ~is_treated)):
            measures = describe(lists[rows], vectors[tails[rows]], seed)
            head = measures.pop("most_common")
            common = None if head is None else {"id": str(names[0][head]), "name": str(names[1][head])}
            result[group] = {**measures, "most_common": common, "unlike": int(unlike[tails[rows]].sum())}
        return {"places_per_list": PLACES, **result}


def known_places(known: Known, tails: np.ndarray, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, in the matrix tails (m,) x heads (h,), of the known pairs; heads are ascending."""
    order = np.argsort(tails, kind="stable")
    inside = np.isin(known.tails, tails) & np.isin(known.heads, heads)
    rows = order[np.searchsorted(tails[order], known.tails[inside])]
    return rows, np.searchsorted(heads, known.heads[inside])


def describe(lists: np.ndarray, vectors: np.ndarray, seed: int) -> dict[str, Any]:
    """Measures of how alike some lists are.

    lists: distinct heads (n, places), -1 for an empty place. vectors (n, d): of the tails of the lists.
    `lists`: number of lists; `places`: filled places in all of them; `heads`: number of different heads in
    these places; `most_common`: the head of most lists, the first of equals, None without any; `share`: of
    the lists that hold it. `overlap`: see `overlaps`.
    """
    filled = lists[lists >= 0]
    counts = np.bincount(filled) if len(filled) else np.zeros(0, np.int64)
    most_common = int(counts.argmax()) if len(counts) else None
    return {
        "lists": len(lists),
        "places": len(filled),
        "heads": int((counts > 0).sum()),
        "most_common": most_common,
        "share": None if most_common is None else float(counts[most_common] / len(lists)),
        "overlap": overlaps(lists, vectors, seed),
    }


def overlaps(lists: np.ndarray, vectors: np.ndarray, seed: int) -> dict[str, Any] | None:
    """The overlap of two tails' lists, against the similarity of the tails; arguments as in `describe`.

    The overlap is the number of shared heads divided by the length of the shorter list; the similarity is the
    cosine of the tails' vectors. `pairs`: number of compared pairs of tails, at most PAIRS random ones.
    `overlap`: its mean over all of them. `least_similar`, `most_similar`: means of `similarity` and `overlap`
    over the fifth of the pairs with the lowest and with the highest similarity. Lists of tails that have
    little in common should overlap less than those of similar tails. None for fewer than FIFTH pairs.
    """
    filled = np.flatnonzero((lists >= 0).any(axis=1))
    first, second = (filled[places] for places in _pairs(len(filled), seed))
    if len(first) < FIFTH:
        return None
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    directions = vectors / lengths
    similarity = (directions[first] * directions[second]).sum(axis=1)
    is_shared = (lists[first][:, :, None] == lists[second][:, None]) & (lists[first] >= 0)[:, :, None]
    sizes = (lists >= 0).sum(axis=1)
    overlap = is_shared.sum(axis=(1, 2)) / np.minimum(sizes[first], sizes[second])
    order = np.argsort(similarity, kind="stable")
    count = len(order) // FIFTH
    ends = {"least_similar": order[:count], "most_similar": order[-count:]}
    return {
        "pairs": len(order),
        "overlap": float(overlap.mean()),
        **{
            name: {"similarity": float(similarity[rows].mean()), "overlap": float(overlap[rows].mean())}
            for name, rows in ends.items()
        },
    }


def _pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs of different numbers below `count`: all, or PAIRS of them drawn at random."""
    total = count * (count - 1) // 2
    # Few numbers of a large range are drawn without a list of the range.
    drawn = streams.generator(seed, "tails whose lists are compared").choice(
        total, min(PAIRS, total), replace=False
    )
    # Pair n of (1, 0), (2, 0), (2, 1), (3, 0) and so on.
    second = ((1 + np.sqrt(1 + 8 * drawn)) // 2).astype(np.int64)
    return drawn - second * (second - 1) // 2, second
