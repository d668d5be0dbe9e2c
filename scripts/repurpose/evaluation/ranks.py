"""Ranks of a split's pairs among all unknown pairs; memory does not grow with the number of unknown pairs.

The evaluated pairs are the test positives and the known negatives of a split. Scores are streamed: only the
number of unknown pairs above, at and below the score of each evaluated pair is kept.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.core import files, streams
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

# Heads and tails (int32, one per pair) -> finite scores, higher is better: one per pair (n,), or two (2, n),
# the first for lists of a tail's heads, the second for lists of a head's tails.
Scorer = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Indices of tails (m,) -> the scores of each tail with every head, (m, heads).
TailScorer = Callable[[np.ndarray], np.ndarray]
# Indices of tails (m,) -> finite scores with every head, (2 + members, m, heads), higher is better. The first
# matrix is of the whole model, for lists of a tail's heads; the second for lists of a head's tails; the
# others are of its members, for lists of a tail's heads.
MemberScorer = Callable[[np.ndarray], np.ndarray]

CHUNK = 200_000  # pairs that are scored at once
# Tails that a sample of unknown pairs comes from: a model may need milliseconds for each tail, however few of
# its pairs are asked for.
SAMPLED_TAILS = 4000
# The sets of unknown pairs that an evaluated pair is ranked among: all; "matched", which are made of the
# positives' heads and tails, each as often as it has positives; those with the same tail; those with the same
# head.
AMONG = ("all", "matched", "tail", "head")
SIDES = ("head", "tail")
METADATA_KEY = "ranked"


@dataclass(frozen=True)
class Ranked:
    """Evaluated pairs with their ranks.

    frame: head_index, tail_index, label, score, head_score (the score in the list of the pair's head; the
    others use score), and for each set of AMONG how many unknown pairs score above (such as `all_above`) and
    how many have the same score (`all_tied`); NaN if the pair's tail or head is not in the sample. It may
    have the column treated: whether the tail is among the treated ones (see `rank`). totals: the number of
    unknown pairs in "all" and "matched". sampled: whether the counts are estimates.
    """

    frame: pd.DataFrame
    totals: dict[str, float]
    sampled: bool


def rank(
    score: Scorer,
    evaluated: pd.DataFrame,
    known: Known,
    heads: np.ndarray,
    tails: np.ndarray,
    *,
    limit: int,
    seed: int,
    chunk: int = CHUNK,
    treated: np.ndarray | None = None,
) -> Ranked:
    """Rank pairs (columns head_index, tail_index, label) among the unknown pairs of heads x tails.

    `heads` and `tails` are sorted and distinct, and contain those of the evaluated pairs. If the matrix has
    more than `limit` pairs, about `limit` are scored: a uniform sample of the pairs of at most SAMPLED_TAILS
    tails, all pairs of some tails, all pairs of some heads with the sampled tails, and a sample of the
    matched pairs. Counts of samples are scaled to all tails. treated: tails with a treatment that the model
    learned from, so that metrics of treated and of untreated tails can be reported apart. Raises ValueError
    if a score is not finite.
    """
    of_lists = _of_lists(score(*(evaluated[f"{side}_index"].to_numpy() for side in SIDES)))
    evaluated_scores = of_lists["tail"]
    frame = evaluated[["head_index", "tail_index", "label"]]
    frame = frame.assign(score=evaluated_scores, head_score=of_lists["head"])
    if treated is not None:
        frame["treated"] = frame["tail_index"].isin(treated)
    levels, level_of_pair = np.unique(evaluated_scores, return_inverse=True)
    ends = {side: frame[f"{side}_index"].to_numpy() for side in SIDES}
    pools, rng = {"head": heads, "tail": tails}, streams.generator(seed, "pairs of the ranking")
    ranked = {side: np.unique(ends[side]) for side in SIDES}
    sampled, sample_size = len(heads) * len(tails) > limit, limit // 4
    rivals = pools
    if sampled:
        rivals = {"head": heads, "tail": np.sort(rng.permutation(tails)[:SAMPLED_TAILS])}
        for side, other in (("head", "tail"), ("tail", "head")):
            count = max(1, sample_size // len(rivals[other]))
            ranked[side] = np.sort(rng.permutation(ranked[side])[:count])
    counts = {side: np.zeros((2, len(evaluated_scores)), np.int64) for side in SIDES}
    histogram = np.zeros(2 * len(levels) + 1, np.int64)
    for block, uses in _passes(known, rivals, ranked, sampled, sample_size, rng, chunk):
        scores = _of_lists(score(*block))
        if "all" in uses:
            histogram += _histogram(levels, scores["tail"][uses["all"]])
        for side, nodes in zip(SIDES, block, strict=True):
            if side in uses:
                compared, of_side = nodes[uses[side]], scores[side][uses[side]]
                is_ranked = np.isin(compared, ranked[side])
                counts[side] += count_above(
                    compared[is_ranked], of_side[is_ranked], ends[side], of_lists[side]
                )
    part_of_tails = {"tail": 1.0, "head": len(tails) / max(1, len(rivals["tail"]))}
    for side in SIDES:
        is_ranked = np.isin(ends[side], ranked[side])
        counts[side] = np.where(is_ranked, counts[side] * part_of_tails[side], np.nan)
    totals = {"all": float(unknown.count(known, heads, tails))}
    scale = totals["all"] / max(histogram.sum(), 1)
    matched = np.zeros(len(histogram))
    for *block, weights in _matched(frame, known, sample_size if sampled else limit, rng, chunk):
        matched += _histogram(levels, _of_lists(score(*block))["tail"], weights)
    totals["matched"] = float(matched.sum())
    counts_by_set = {
        "all": scale * _above(histogram)[:, level_of_pair],
        "matched": _above(matched)[:, level_of_pair],
        "tail": counts["tail"],
        "head": counts["head"],
    }
    columns = {
        f"{name}_{count_name}": counts_by_set[name][row]
        for name in AMONG
        for row, count_name in enumerate(("above", "tied"))
    }
    return Ranked(frame.assign(**columns).reset_index(drop=True), totals, sampled)


def count_above(
    groups: np.ndarray, scores: np.ndarray, evaluated_groups: np.ndarray, evaluated_scores: np.ndarray
) -> np.ndarray:
    """Per evaluated pair, how many pairs of its group score above it (row 0) or equal to it (row 1).

    groups, scores: of the pairs that are counted.
    """
    ranks = np.unique(np.concatenate([evaluated_scores, scores]), return_inverse=True)[1]
    width = np.int64(len(ranks) + 1)
    keys = np.sort(groups * width + ranks[len(evaluated_scores) :])
    evaluated_keys = evaluated_groups * width + ranks[: len(evaluated_scores)]
    first, last = np.searchsorted(keys, evaluated_keys), np.searchsorted(keys, evaluated_keys, side="right")
    return np.stack([np.searchsorted(keys, (evaluated_groups + 1) * width) - last, last - first])


def save(path: str | Path, ranked_by_scheme: Mapping[str, Mapping[str, Ranked]]) -> None:
    """Write the ranks of all schemes and methods (scheme -> method -> ranks) to one parquet file."""
    frames, metadata = [], {}
    for scheme, methods in ranked_by_scheme.items():
        for method, ranked in methods.items():
            frames.append(ranked.frame.assign(scheme=scheme, method=method))
            metadata[f"{scheme} {method}"] = {"totals": ranked.totals, "sampled": ranked.sampled}
    table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
    files.write_table(path, table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata)}))


def load(path: str | Path) -> dict[str, dict[str, Ranked]]:
    """Read what `save` wrote: scheme -> method -> ranks. Raises InputError if the file is unreadable."""
    table = files.read_table(path)
    metadata, frame = json.loads(table.schema.metadata[METADATA_KEY.encode()]), table.to_pandas()
    result: dict[str, dict[str, Ranked]] = {}
    for (scheme, method), rows in frame.groupby(["scheme", "method"], sort=False):
        columns = rows.drop(columns=["scheme", "method"]).reset_index(drop=True)
        result.setdefault(scheme, {})[method] = Ranked(columns, **metadata[f"{scheme} {method}"])
    return result


def _passes(
    known: Known,
    pools: dict[str, np.ndarray],
    ranked: dict[str, np.ndarray],
    sampled: bool,
    sample_size: int,
    rng: np.random.Generator,
    chunk: int,
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], dict[str, slice]]]:
    """Blocks of unknown pairs to score, and which of a block's pairs belong to which sets of AMONG.

    pools: the heads that tails are compared with, and the tails that heads are compared with. Without
    sampling, all pairs belong to "all", "head" and "tail". With sampling, a uniform sample belongs to "all",
    and all pairs of the ranked heads (tails) belong to "head" ("tail").
    """
    if not len(ranked["tail"]):
        return
    if not sampled:
        for block in unknown.blocks(known, pools["head"], pools["tail"], chunk):
            yield block, dict.fromkeys(("all", *SIDES), slice(None))
        return
    for block in unknown.blocks(known, pools["head"], ranked["tail"], chunk):
        yield block, {"tail": slice(None)}
    drawn = _by_tail(*unknown.draw(known, pools["head"], pools["tail"], sample_size, rng))
    per_tail = len(ranked["head"]) + len(drawn[0]) / max(1, len(pools["tail"]))
    step = max(1, int(chunk / per_tail))
    # The sample and the pairs of the ranked heads have the same tails; a model may need time for each tail.
    for start in range(0, len(pools["tail"]), step):
        tails = pools["tail"][start : start + step]
        of_heads = next(unknown.blocks(known, ranked["head"], tails, len(tails) * len(ranked["head"])))
        first, last = np.searchsorted(drawn[1], [tails[0], tails[-1] + 1])
        block = tuple(
            np.concatenate([ends, draw[first:last]]) for ends, draw in zip(of_heads, drawn, strict=True)
        )
        yield block, {"head": slice(len(of_heads[0])), "all": slice(len(of_heads[0]), None)}


def _matched(
    frame: pd.DataFrame, known: Known, limit: int, rng: np.random.Generator, chunk: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Unknown pairs made of the positives' heads and tails, with their weights.

    The weight of a pair is the number of positives of its head times that of its tail. If there are more than
    `limit` such pairs, `limit` pairs are drawn instead, each with weight 1.
    """
    positives = frame[frame["label"] == 1]
    (heads, head_counts), (tails, tail_counts) = (
        np.unique(positives[f"{side}_index"].to_numpy(), return_counts=True) for side in SIDES
    )
    if len(heads) * len(tails) <= limit:
        for head, tail in unknown.blocks(known, heads, tails, chunk):
            positions = np.searchsorted(heads, head), np.searchsorted(tails, tail)
            yield head, tail, head_counts[positions[0]] * tail_counts[positions[1]]
        return
    head, tail = (rng.choice(positives[f"{side}_index"].to_numpy(), limit) for side in SIDES)
    free = ~unknown.is_known(known, head, tail)
    head, tail = _by_tail(head[free], tail[free])
    for start in range(0, len(head), chunk):
        block = head[start : start + chunk], tail[start : start + chunk]
        yield *block, np.ones(len(block[0]))


def _by_tail(heads: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (n,) in the order of their tails."""
    order = np.argsort(tails, kind="stable")
    return heads[order], tails[order]


def _of_lists(scores: np.ndarray) -> dict[str, np.ndarray]:
    """The scores of pairs in the lists of their tails and heads; raises ValueError if one is not finite."""
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite numbers")
    return dict(zip(("tail", "head"), (scores, scores) if scores.ndim == 1 else scores, strict=True))


def _histogram(levels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Counts in 2 m + 1 bins: below the first of m levels, at it, between it and the second, and so on."""
    position = np.searchsorted(levels, scores)
    at_level = levels[np.minimum(position, len(levels) - 1)] == scores
    return np.bincount(2 * position + at_level, weights, 2 * len(levels) + 1)


def _above(histogram: np.ndarray) -> np.ndarray:
    """The number of scores above each level (row 0) and at each level (row 1)."""
    at_level = histogram[1::2]
    return np.stack([histogram.sum() - np.cumsum(histogram)[1::2], at_level])
