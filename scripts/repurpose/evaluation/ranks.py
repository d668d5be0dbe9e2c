"""Ranks of a split's pairs among all unknown pairs, in memory that does not grow with the number of these.

The asked pairs are the test positives and the known negatives of a split. Scores are streamed: only the
number of unknown pairs above, at and below each asked score is kept.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.core import files
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

# heads and tails (int32, one per pair) to one finite score per pair, higher is better.
Scorer = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Numbers of tails (m,) to the scores of each with every head, (m, heads).
TailScorer = Callable[[np.ndarray], np.ndarray]
# Numbers of tails (m,) to finite scores with every head, (1 + members, m, heads), higher is better: of the
# model, then of each of its members.
MemberScorer = Callable[[np.ndarray], np.ndarray]

CHUNK = 200_000
# What an asked pair is ranked among: all unknown pairs; those of the positives' heads and tails, each head
# and tail as often as it has positives; those of its own tail; those of its own head.
AMONG = ("all", "matched", "tail", "head")
SIDES = ("head", "tail")
ABOUT = "ranked"  # the key of a file's metadata


@dataclass(frozen=True)
class Ranked:
    """Asked pairs with their ranks.

    frame: head_index, tail_index, label, score, and for each of AMONG how many unknown pairs score above
    (such as `all_above`) and the same (`all_tied`); NaN where the tail or head is not in the sample. totals:
    the number of unknown pairs, all and matched. sampled: whether the counts are estimates.
    """

    frame: pd.DataFrame
    totals: dict[str, float]
    sampled: bool


def rank(
    score: Scorer,
    asked: pd.DataFrame,
    known: Known,
    heads: np.ndarray,
    tails: np.ndarray,
    *,
    limit: int,
    seed: int,
    chunk: int = CHUNK,
) -> Ranked:
    """Rank pairs (columns head_index, tail_index, label) among the unknown pairs of heads x tails.

    `heads` and `tails` are sorted and distinct, and hold those of the pairs. Where the matrix has more than
    `limit` pairs, about `limit` are scored: a uniform sample of it, all pairs of some tails and of some
    heads, and a sample of the matched pairs. Raises ValueError if a score is not finite.
    """
    own = _finite(score(*(asked[f"{side}_index"].to_numpy() for side in SIDES)))
    frame = asked[["head_index", "tail_index", "label"]].assign(score=own)
    levels, which = np.unique(own, return_inverse=True)
    ends = {side: frame[f"{side}_index"].to_numpy() for side in SIDES}
    pools, rng = {"head": heads, "tail": tails}, np.random.default_rng(seed)
    ranked = {side: np.unique(ends[side]) for side in SIDES}
    sampled, part = len(heads) * len(tails) > limit, limit // 4
    if sampled:
        for side, other in (("head", "tail"), ("tail", "head")):
            count = max(1, part // len(pools[other]))
            ranked[side] = np.sort(rng.permutation(ranked[side])[:count])
    counts = {side: np.zeros((2, len(own)), np.int64) for side in SIDES}
    histogram = np.zeros(2 * len(levels) + 1, np.int64)
    for block, uses in _passes(known, pools, ranked, sampled, part, rng, chunk):
        found = _finite(score(*block))
        if "all" in uses:
            histogram += _histogram(levels, found)
        for side, nodes in zip(SIDES, block, strict=True):
            if side in uses:
                here = np.isin(nodes, ranked[side])
                counts[side] += count_above(nodes[here], found[here], ends[side], own)
    for side in SIDES:
        counts[side] = np.where(np.isin(ends[side], ranked[side]), counts[side], np.nan)
    totals = {"all": float(unknown.count(known, heads, tails))}
    scale = totals["all"] / max(histogram.sum(), 1)
    matched = np.zeros(len(histogram))
    for *block, weights in _matched(frame, known, part if sampled else limit, rng, chunk):
        matched += _histogram(levels, _finite(score(*block)), weights)
    totals["matched"] = float(matched.sum())
    standing = {
        "all": scale * _above(histogram)[:, which],
        "matched": _above(matched)[:, which],
        "tail": counts["tail"],
        "head": counts["head"],
    }
    columns = {
        f"{name}_{kind}": standing[name][row] for name in AMONG for row, kind in enumerate(("above", "tied"))
    }
    return Ranked(frame.assign(**columns).reset_index(drop=True), totals, sampled)


def count_above(
    groups: np.ndarray, scores: np.ndarray, asked_groups: np.ndarray, asked_scores: np.ndarray
) -> np.ndarray:
    """Per asked pair, how many pairs of its group score above it (row 0), and how many the same (row 1)."""
    ranks = np.unique(np.concatenate([asked_scores, scores]), return_inverse=True)[1]
    width = np.int64(len(ranks) + 1)
    keys = np.sort(groups * width + ranks[len(asked_scores) :])
    asked = asked_groups * width + ranks[: len(asked_scores)]
    first, last = np.searchsorted(keys, asked), np.searchsorted(keys, asked, side="right")
    return np.stack([np.searchsorted(keys, (asked_groups + 1) * width) - last, last - first])


def save(path: str | Path, found: Mapping[str, Mapping[str, Ranked]]) -> None:
    """Write the ranks of schemes and methods as one parquet file; totals go into its metadata."""
    frames, about = [], {}
    for scheme, methods in found.items():
        for method, ranked in methods.items():
            frames.append(ranked.frame.assign(scheme=scheme, method=method))
            about[f"{scheme} {method}"] = {"totals": ranked.totals, "sampled": ranked.sampled}
    table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
    files.write_table(path, table.replace_schema_metadata({ABOUT: json.dumps(about)}))


def load(path: str | Path) -> dict[str, dict[str, Ranked]]:
    """Read what `save` wrote: scheme -> method -> ranks; raises InputError if the file is unreadable."""
    table = files.read_table(path)
    about, frame = json.loads(table.schema.metadata[ABOUT.encode()]), table.to_pandas()
    result: dict[str, dict[str, Ranked]] = {}
    for (scheme, method), part in frame.groupby(["scheme", "method"], sort=False):
        own = part.drop(columns=["scheme", "method"]).reset_index(drop=True)
        result.setdefault(scheme, {})[method] = Ranked(own, **about[f"{scheme} {method}"])
    return result


def _passes(
    known: Known,
    pools: dict[str, np.ndarray],
    ranked: dict[str, np.ndarray],
    sampled: bool,
    part: int,
    rng: np.random.Generator,
    chunk: int,
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], tuple[str, ...]]]:
    """Blocks of unknown pairs to score, and what each one covers: the whole matrix, its tails, its heads."""
    if not len(ranked["tail"]):
        return
    if not sampled:
        for block in unknown.blocks(known, pools["head"], pools["tail"], chunk):
            yield block, ("all", *SIDES)
        return
    drawn = unknown.draw(known, pools["head"], pools["tail"], part, rng)
    for start in range(0, len(drawn[0]), chunk):
        yield (drawn[0][start : start + chunk], drawn[1][start : start + chunk]), ("all",)
    for side in SIDES:
        for block in unknown.blocks(known, *({**pools, side: ranked[side]}[each] for each in SIDES), chunk):
            yield block, (side,)


def _matched(
    frame: pd.DataFrame, known: Known, most: int, rng: np.random.Generator, chunk: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Unknown pairs of the positives' heads and tails, with their weights.

    A weight is the number of positives of the head times that of the tail. Of more than `most` pairs, `most`
    are drawn.
    """
    positives = frame[frame["label"] == 1]
    (heads, of_head), (tails, of_tail) = (
        np.unique(positives[f"{side}_index"].to_numpy(), return_counts=True) for side in SIDES
    )
    if len(heads) * len(tails) <= most:
        for head, tail in unknown.blocks(known, heads, tails, chunk):
            at = np.searchsorted(heads, head), np.searchsorted(tails, tail)
            yield head, tail, of_head[at[0]] * of_tail[at[1]]
        return
    head, tail = (rng.choice(positives[f"{side}_index"].to_numpy(), most) for side in SIDES)
    free = ~unknown.is_known(known, head, tail)
    for start in range(0, int(free.sum()), chunk):
        part = head[free][start : start + chunk], tail[free][start : start + chunk]
        yield *part, np.ones(len(part[0]))


def _finite(scores: np.ndarray) -> np.ndarray:
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite numbers")
    return scores


def _histogram(levels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Counts in 2 m + 1 bins: below the first of m levels, at it, between it and the second, ..."""
    place = np.searchsorted(levels, scores)
    at_level = levels[np.minimum(place, len(levels) - 1)] == scores
    return np.bincount(2 * place + at_level, weights, 2 * len(levels) + 1)


def _above(histogram: np.ndarray) -> np.ndarray:
    """The number of scores above each level (row 0) and at it (row 1)."""
    at_level = histogram[1::2]
    return np.stack([histogram.sum() - np.cumsum(histogram)[1::2], at_level])
