"""From ranks to what is reported: metrics with intervals against four kinds of negatives, and differences."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from repurpose.evaluation import metrics
from repurpose.evaluation.metrics import Statistic
from repurpose.evaluation.ranks import Ranked, count_above

HITS, RECALLED = (1, 10, 50), (50, 100)  # of the list of one tail or one head
LISTED = (100, 1000, 10_000, 100_000)  # of the list of all pairs

# The place of a metric among the others, what it is of, and the units that are drawn together.
Entry = tuple[tuple[str, ...], Statistic, np.ndarray]


def evaluate(ranked: Ranked, grouped_by: str | None, seed: int) -> dict[str, Any]:
    """All metrics of the ranked test pairs, each {"value", "low", "high"} or None where it is undefined.

    Against all unknown pairs, at their real number: `auroc` and `auprc` (average precision). Within a tail:
    `mrr` and `hits_at_K` rank each positive among the tail's unknown pairs alone, `recall_at_K` among these
    and its other positives; means over tails. `against` has AUROC and AUPRC for other negatives: `uniform`,
    unknown pairs as many as positives; `matched`, as many, of the positives' heads and tails dealt out anew;
    `known`, the known negatives of the split. `per_head` is as within a tail, for the tails of a head.
    `whole_list` is the share of the positives among the best N of all pairs. `known_negatives` has the same
    ranks of the known negatives: lower is better.

    Intervals hold 95 % of a bootstrap over pairs, over whole tails or heads where these are held out
    (`grouped_by`: tail_index or head_index), and over tails or heads for means over them.
    """
    result: dict[str, Any] = {}
    for path, statistic, units in _entries(ranked, grouped_by):
        found = None
        if len(units):
            value = float(statistic(np.ones((1, len(units))))[0])
            found = {"value": value, **metrics.interval(metrics.bootstrap(statistic, units, seed))}
        _put(result, path, found)
    is_positive = ranked.frame["label"] == 1
    negatives, positives = int(ranked.totals["all"]), int(is_positive.sum())
    is_ranked = is_positive & ranked.frame["tail_above"].notna()
    return result | {
        "positives": positives,
        "negatives": negatives,
        "known_negative_pairs": int((~is_positive).sum()),
        "prevalence": positives / max(positives + negatives, 1),
        "tails": int(ranked.frame.loc[is_ranked, "tail_index"].nunique()),
        "sampled": ranked.sampled,
    }


def differences(own: Ranked, other: Ranked, grouped_by: str | None, seed: int) -> dict[str, Any]:
    """Metrics of `own` less those of `other`, asked about the same pairs, with paired 95 % intervals."""
    result: dict[str, Any] = {}
    for (path, first, units), (_, second, _) in zip(
        _entries(own, grouped_by), _entries(other, grouped_by), strict=True
    ):
        found = None
        if len(units):
            once = np.ones((1, len(units)))
            drawn = [metrics.bootstrap(statistic, units, seed) for statistic in (first, second)]
            value = float(first(once)[0] - second(once)[0])
            found = {"value": value, **metrics.interval(drawn[0] - drawn[1])}
        _put(result, path, found)
    return result


def _entries(ranked: Ranked, grouped_by: str | None) -> Iterator[Entry]:
    frame, totals = ranked.frame, ranked.totals
    positives, negatives = (frame[frame["label"] == label] for label in (1, 0))
    units = np.arange(len(positives)) if grouped_by is None else positives[grouped_by].to_numpy()
    scores = positives["score"].to_numpy()
    below = np.sort(negatives["score"].to_numpy())
    ends = [np.searchsorted(below, scores, side) for side in ("left", "right")]
    among = {name: (positives[f"{name}_above"], positives[f"{name}_tied"]) for name in ("all", "matched")}
    among |= {"known": (len(below) - ends[1], ends[1] - ends[0])}
    totals = totals | {"known": len(below)}
    # Of all unknown pairs and the known negatives each counts once, of the others as many as positives.
    for path, name, as_many in (
        ((), "all", False),
        (("against", "uniform"), "all", True),
        (("against", "matched"), "matched", True),
        (("against", "known"), "known", False),
    ):
        above, tied = (np.asarray(each, np.float64) for each in among[name])
        scale = len(positives) / max(totals[name], 1) if as_many else 1.0
        own = units if totals[name] else units[:0]
        yield (*path, "auroc"), metrics.auroc(above, tied, max(totals[name], 1)), own
        yield (*path, "auprc"), metrics.average_precision(scores, above, tied, scale), own
    for path, rows in (((), positives), (("known_negatives",), negatives)):
        rows = rows if totals["all"] else rows[:0]
        yield from _of_lists(path, rows, positives, "tail")
        if not path:
            yield from _of_lists(("per_head",), rows, positives, "head")
        yield from _of_the_whole(path, rows, positives, totals["all"], grouped_by)


def _of_lists(
    path: tuple[str, ...], rows: pd.DataFrame, positives: pd.DataFrame, side: str
) -> Iterator[Entry]:
    """Means over tails (heads) of the ranks within each."""
    rows = rows[rows[f"{side}_above"].notna()]
    groups = rows[f"{side}_index"].to_numpy()
    above, tied = rows[f"{side}_above"].to_numpy(), rows[f"{side}_tied"].to_numpy()
    rivals = _rivals(rows, positives, side)
    values = {"mrr": 1 / (1 + above + tied / 2)}
    values |= {f"hits_at_{k}": metrics.listed(above, tied + 1, k) for k in HITS}
    values |= {f"recall_at_{k}": metrics.listed(above + rivals[0], tied + rivals[1], k) for k in RECALLED}
    for name, each in values.items():
        yield (*path, name), *metrics.mean_of_means(each, groups)


def _of_the_whole(
    path: tuple[str, ...], rows: pd.DataFrame, positives: pd.DataFrame, total: float, grouped_by: str | None
) -> Iterator[Entry]:
    """Shares of the pairs that are among the best of the whole matrix."""
    units = np.arange(len(rows)) if grouped_by is None else rows[grouped_by].to_numpy()
    rivals = _rivals(rows, positives, None)
    above, tied = rows["all_above"].to_numpy() + rivals[0], rows["all_tied"].to_numpy() + rivals[1]
    for places in (each for each in LISTED if each < total):
        yield (*path, "whole_list", str(places)), metrics.mean(metrics.listed(above, tied, places)), units


def _rivals(rows: pd.DataFrame, positives: pd.DataFrame, side: str | None) -> np.ndarray:
    """How many positives (of a row's tail or head) score above it, and how many the same, itself included."""
    groups = [
        each[f"{side}_index"].to_numpy() if side else np.zeros(len(each), np.int64)
        for each in (positives, rows)
    ]
    counts = count_above(groups[0], positives["score"].to_numpy(), groups[1], rows["score"].to_numpy())
    counts[1] += rows["label"].to_numpy() == 0
    return counts


def _put(result: dict[str, Any], path: tuple[str, ...], found: Any) -> None:
    for name in path[:-1]:
        result = result.setdefault(name, {})
    result[path[-1]] = found
