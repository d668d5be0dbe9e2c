"""From ranks to reported metrics, each with a 95 % interval, and differences between methods.

AUROC and AUPRC are computed against four kinds of negatives: all unknown pairs, a uniform sample, a sample
matched by popularity, and known negatives.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from repurpose.evaluation import metrics
from repurpose.evaluation.metrics import Statistic
from repurpose.evaluation.ranks import Ranked, count_above

HITS, RECALLS = (1, 10, 50), (50, 100)  # lengths K of the list of one tail or one head
LIST_LENGTHS = (100, 1000, 10_000, 100_000)  # lengths of the list of all pairs

# The keys under which a metric is reported, its statistic, and the resampling unit of each of its weights.
Entry = tuple[tuple[str, ...], Statistic, np.ndarray]


def evaluate(ranked: Ranked, grouped_by: str | None, seed: int) -> dict[str, Any]:
    """All metrics of the ranked test pairs, each {"value", "low", "high"}, or None where it is undefined.

    `auroc` and `auprc` (average precision) compare the positives with all unknown pairs, in their real
    number. Within each tail, `mrr` and `hits_at_K` rank a positive among the tail's unknown pairs;
    `recall_at_K` ranks it among these and the tail's other positives; each is a mean over tails. `against`
    has AUROC and AUPRC for other negatives: `uniform`, as many unknown pairs as positives; `matched`, as many
    pairs made by shuffling the heads and tails of the positives; `known`, the known negatives of the split.
    `per_head` has the metrics within each head. `whole_list` is the share of the positives among the best N
    of all pairs. `known_negatives` has the same rank metrics for the known negatives, where lower is better.

    Intervals are 95 % bootstrap intervals. The resampled units are pairs; whole tails or heads if these are
    held out (`grouped_by`: tail_index or head_index); tails or heads for means over tails or heads.
    """
    result: dict[str, Any] = {}
    for path, statistic, units in _entries(ranked, grouped_by):
        metric = None
        if len(units):
            value = float(statistic(np.ones((1, len(units))))[0])
            metric = {"value": value, **metrics.interval(metrics.bootstrap(statistic, units, seed))}
        _put(result, path, metric)
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


def differences(ranked: Ranked, reference: Ranked, grouped_by: str | None, seed: int) -> dict[str, Any]:
    """Metrics of `ranked` minus those of `reference` for the same pairs, with paired 95 % intervals."""
    result: dict[str, Any] = {}
    for (path, first, units), (_, second, _) in zip(
        _entries(ranked, grouped_by), _entries(reference, grouped_by), strict=True
    ):
        difference = None
        if len(units):
            equal_weights = np.ones((1, len(units)))
            resamples = [metrics.bootstrap(statistic, units, seed) for statistic in (first, second)]
            value = float(first(equal_weights)[0] - second(equal_weights)[0])
            difference = {"value": value, **metrics.interval(resamples[0] - resamples[1])}
        _put(result, path, difference)
    return result


def _entries(ranked: Ranked, grouped_by: str | None) -> Iterator[Entry]:
    frame, totals = ranked.frame, ranked.totals
    positives, negatives = (frame[frame["label"] == label] for label in (1, 0))
    units = np.arange(len(positives)) if grouped_by is None else positives[grouped_by].to_numpy()
    scores = positives["score"].to_numpy()
    negative_scores = np.sort(negatives["score"].to_numpy())
    places = [np.searchsorted(negative_scores, scores, side) for side in ("left", "right")]
    counts = {name: (positives[f"{name}_above"], positives[f"{name}_tied"]) for name in ("all", "matched")}
    counts |= {"known": (len(negative_scores) - places[1], places[1] - places[0])}
    totals = totals | {"known": len(negative_scores)}
    # "all" and "known" negatives count once each; "uniform" and "matched" ones are weighted to match the
    # number of positives.
    for path, name, is_balanced in (
        ((), "all", False),
        (("against", "uniform"), "all", True),
        (("against", "matched"), "matched", True),
        (("against", "known"), "known", False),
    ):
        above, tied = (np.asarray(each, np.float64) for each in counts[name])
        scale = len(positives) / max(totals[name], 1) if is_balanced else 1.0
        defined_units = units if totals[name] else units[:0]
        yield (*path, "auroc"), metrics.auroc(above, tied, max(totals[name], 1)), defined_units
        yield (*path, "auprc"), metrics.average_precision(scores, above, tied, scale), defined_units
    for path, rows in (((), positives), (("known_negatives",), negatives)):
        rows = rows if totals["all"] else rows[:0]
        yield from _list_entries(path, rows, positives, "tail")
        if not path:
            yield from _list_entries(("per_head",), rows, positives, "head")
        yield from _whole_list_entries(path, rows, positives, totals["all"], grouped_by)


def _list_entries(
    path: tuple[str, ...], rows: pd.DataFrame, positives: pd.DataFrame, side: str
) -> Iterator[Entry]:
    """Entries that are means over tails (heads) of a metric within each tail (head)."""
    rows = rows[rows[f"{side}_above"].notna()]
    groups = rows[f"{side}_index"].to_numpy()
    above, tied = rows[f"{side}_above"].to_numpy(), rows[f"{side}_tied"].to_numpy()
    rivals = _rivals(rows, positives, side)
    values_by_metric = {"mrr": 1 / (1 + above + tied / 2)}
    values_by_metric |= {f"hits_at_{k}": metrics.probability_in_top(above, tied + 1, k) for k in HITS}
    values_by_metric |= {
        f"recall_at_{k}": metrics.probability_in_top(above + rivals[0], tied + rivals[1], k) for k in RECALLS
    }
    for name, values in values_by_metric.items():
        yield (*path, name), *metrics.mean_of_means(values, groups)


def _whole_list_entries(
    path: tuple[str, ...], rows: pd.DataFrame, positives: pd.DataFrame, total: float, grouped_by: str | None
) -> Iterator[Entry]:
    """Entries that are the share of the rows among the best N pairs of the whole matrix."""
    units = np.arange(len(rows)) if grouped_by is None else rows[grouped_by].to_numpy()
    rivals = _rivals(rows, positives, None)
    above, tied = rows["all_above"].to_numpy() + rivals[0], rows["all_tied"].to_numpy() + rivals[1]
    for places in (each for each in LIST_LENGTHS if each < total):
        yield (
            (*path, "whole_list", str(places)),
            metrics.mean(metrics.probability_in_top(above, tied, places)),
            units,
        )


def _rivals(rows: pd.DataFrame, positives: pd.DataFrame, side: str | None) -> np.ndarray:
    """How many positives score above each row, and how many have the same score: (2, rows).

    side: "tail" or "head" counts only positives with the row's tail or head; None counts all. The row itself
    is included in its ties.
    """
    groups = [
        each[f"{side}_index"].to_numpy() if side else np.zeros(len(each), np.int64)
        for each in (positives, rows)
    ]
    counts = count_above(groups[0], positives["score"].to_numpy(), groups[1], rows["score"].to_numpy())
    counts[1] += rows["label"].to_numpy() == 0
    return counts


def _put(result: dict[str, Any], path: tuple[str, ...], metric: Any) -> None:
    for name in path[:-1]:
        result = result.setdefault(name, {})
    result[path[-1]] = metric
