"""From ranks to reported metrics, each with a 95 % interval, and differences between methods.

AUROC and AUPRC are computed against four kinds of negatives: all unknown pairs, a uniform sample, a sample
matched by popularity, and known negatives.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from repurpose.evaluation import metrics
from repurpose.evaluation.metrics import Statistic
from repurpose.evaluation.ranks import Ranked, count_above

HITS, RECALLS = (1, 10, 50), (10, 50, 100)  # lengths K of the list of one tail or one head
NDCG_LENGTH = 10
BOUNDS = {"low": 0.0, "high": 1.0}  # of every metric
LIST_LENGTHS = (100, 1000, 10_000, 100_000)  # lengths of the list of all pairs

# Statistics by the keys under which they are reported, and the resampling unit of each of their weights.
Entry = tuple[dict[tuple[str, ...], Statistic], np.ndarray]


def evaluate(ranked: Ranked, grouped_by: str | None, seed: int) -> dict[str, Any]:
    """All metrics of the ranked test pairs, each {"value", "low", "high"}, or None where it is undefined.

    Metrics of the list of one tail are macro means: computed within each tail that has a positive, then
    averaged over these tails, each of which counts once. The list of a tail holds its unknown pairs and its
    positives. `ap`: average precision. `ndcg_at_10`: discounted cumulative gain of the first ten places,
    divided by the largest that is possible. `recall_at_K`: share of the tail's positives among the first K.
    `mrr_of_first`: 1 / rank of the best-ranked positive; `first_in_10`: whether it is among the first ten.
    `mrr` and `hits_at_K` are means over all positives
    of the tail: 1 / rank of each among the unknown pairs alone, and whether it is among the first K of these.
    So `mrr` is lower than `mrr_of_first` for a tail with several positives, and equal for one with a single
    positive. Ties: see `metrics`.

    `per_head` has the same metrics for the tails of each head. If the ranks say which tails are treated (see
    `ranks.rank`), `treated` and `untreated` have the metrics of these tails apart, with their number as
    `tails`. `known_negatives` has hits, recall and `mrr` of the known negatives, where lower is better.

    Pooled over all tails, `auroc` and `auprc` (average precision) compare the positives with all unknown
    pairs, in their real number. `against` has both for other negatives: `uniform`, as many unknown pairs as
    positives; `matched`, as many pairs made by shuffling the heads and tails of the positives; `known`, the
    known negatives of the split. `whole_list` is the share of the positives among the best N of all pairs.

    Intervals are 95 % bootstrap intervals. The resampled units are pairs; whole tails or heads if these are
    held out (`grouped_by`: tail_index or head_index); tails or heads for means over tails or heads. With a
    single unit, the interval is all that is possible.
    """
    result: dict[str, Any] = {}
    for statistics, units in _entries(ranked, grouped_by):
        _put(result, _estimates(list(statistics.values()), units, seed), list(statistics))
    positives, negatives = _with_label(ranked.frame, 1), int(ranked.totals["all"])
    for name, rows in _positives_by_treatment(positives).items():
        result[name]["tails"] = _count_ranked_tails(rows)
    return result | {
        "positives": len(positives),
        "negatives": negatives,
        "known_negative_pairs": len(ranked.frame) - len(positives),
        "prevalence": len(positives) / max(len(positives) + negatives, 1),
        "tails": _count_ranked_tails(positives),
        "sampled": ranked.sampled,
    }


def differences(ranked: Ranked, reference: Ranked, grouped_by: str | None, seed: int) -> dict[str, Any]:
    """Metrics of `ranked` minus those of `reference` for the same pairs, with paired 95 % intervals."""
    result: dict[str, Any] = {}
    bounds = {"low": -1.0, "high": 1.0}
    for (first, units), (second, _) in zip(
        _entries(ranked, grouped_by), _entries(reference, grouped_by), strict=True
    ):
        pairs_of_statistics = zip(first.values(), second.values(), strict=True)
        statistics = [metrics.difference(*pair) for pair in pairs_of_statistics]
        _put(result, _estimates(statistics, units, seed, bounds), list(first))
    return result


def values_by_tail(ranked: Ranked) -> pd.DataFrame:
    """The metrics within each tail that has a positive and was ranked: one row per tail index.

    `evaluate` reports the means of these columns.
    """
    positives = _with_label(ranked.frame, 1)
    return _list_values(positives[positives["tail_above"].notna()], positives, "tail", True)


def _estimates(
    statistics: list[Statistic], units: np.ndarray, seed: int, bounds: Mapping[str, float] = BOUNDS
) -> list[dict[str, float] | None]:
    """The value and the interval of each statistic; None for all if there is no unit.

    bounds: the interval that a single unit has, because it says nothing about others.
    """
    if not statistics or not len(units):
        return [None] * len(statistics)
    values = [float(statistic(np.ones((1, len(units))))[0]) for statistic in statistics]
    if len(np.unique(units)) == 1:
        return [{"value": value, **bounds} for value in values]
    resamples = metrics.bootstrap(statistics, units, seed)
    return [
        {"value": value, **metrics.interval(draws)} for value, draws in zip(values, resamples, strict=True)
    ]


def _entries(ranked: Ranked, grouped_by: str | None) -> Iterator[Entry]:
    totals = ranked.totals
    positives, negatives = (_with_label(ranked.frame, label) for label in (1, 0))
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
        statistics = {
            (*path, "auroc"): metrics.auroc(above, tied, max(totals[name], 1)),
            (*path, "auprc"): metrics.average_precision(scores, above, tied, scale),
        }
        yield statistics, units if totals[name] else units[:0]
    none = 0 if not totals["all"] else None
    yield _list_entry((), positives[:none], positives, "tail")
    yield _list_entry(("per_head",), positives[:none], positives, "head")
    for name, rows in _positives_by_treatment(positives).items():
        yield _list_entry((name,), rows[:none], positives, "tail")
    yield _list_entry(("known_negatives",), negatives[:none], positives, "tail")
    for path, rows in (((), positives), (("known_negatives",), negatives)):
        yield _whole_list_entry(path, rows[:none], positives, totals["all"], grouped_by)


def _list_entry(path: tuple[str, ...], rows: pd.DataFrame, positives: pd.DataFrame, side: str) -> Entry:
    """Statistics that are means over tails (heads) of a metric within each tail (head)."""
    is_of_positives = path != ("known_negatives",)
    values = _list_values(rows[rows[f"{side}_above"].notna()], positives, side, is_of_positives)
    statistics = {(*path, str(name)): metrics.mean(values[name].to_numpy()) for name in values}
    return statistics, values.index.to_numpy()


def _list_values(
    rows: pd.DataFrame, positives: pd.DataFrame, side: str, is_of_positives: bool
) -> pd.DataFrame:
    """The metrics within each tail (head) of the rows: one line per tail (head), one column per metric.

    rows: positives (`is_of_positives`), or known negatives, which have the metrics of single pairs only.
    """
    names, group, sizes = np.unique(rows[f"{side}_index"], return_inverse=True, return_counts=True)
    above, tied = rows[f"{side}_above"].to_numpy(), rows[f"{side}_tied"].to_numpy()
    rivals_above, rivals_tied = _rivals(rows, positives, side)

    def group_means(values: np.ndarray) -> np.ndarray:
        return np.bincount(group, values, len(names)) / np.maximum(sizes, 1)

    def in_top(length: int) -> np.ndarray:
        return metrics.probability_in_top(above + rivals_above, tied + rivals_tied, length)

    columns = {}
    if is_of_positives:
        found = rivals_above + rivals_tied
        gains = metrics.expected_gains(above + rivals_above, tied + rivals_tied, NDCG_LENGTH)
        # A positive with another one above it never has the smaller mean rank, so it does not count.
        first_ranks = np.full(len(names), np.inf)
        np.minimum.at(first_ranks, group, metrics.rank_of_first(above, tied, rivals_tied))
        columns["ap"] = group_means(found / (found + above + tied))
        columns["mrr_of_first"] = 1 / first_ranks
        columns["first_in_10"] = (first_ranks <= 10).astype(float)
        columns[f"ndcg_at_{NDCG_LENGTH}"] = np.bincount(group, gains, len(names)) / metrics.ideal_gain(
            sizes, NDCG_LENGTH
        )
    columns["mrr"] = group_means(1 / (1 + above + tied / 2))
    columns |= {f"recall_at_{k}": group_means(in_top(k)) for k in RECALLS}
    columns |= {f"hits_at_{k}": group_means(metrics.probability_in_top(above, tied + 1, k)) for k in HITS}
    return pd.DataFrame(columns, index=names)


def _whole_list_entry(
    path: tuple[str, ...], rows: pd.DataFrame, positives: pd.DataFrame, total: float, grouped_by: str | None
) -> Entry:
    """Statistics that are the share of the rows among the best N pairs of the whole matrix."""
    units = np.arange(len(rows)) if grouped_by is None else rows[grouped_by].to_numpy()
    rivals = _rivals(rows, positives, None)
    above, tied = rows["all_above"].to_numpy() + rivals[0], rows["all_tied"].to_numpy() + rivals[1]
    statistics = {
        (*path, "whole_list", str(places)): metrics.mean(metrics.probability_in_top(above, tied, places))
        for places in LIST_LENGTHS
        if places < total
    }
    return statistics, units


def _rivals(rows: pd.DataFrame, positives: pd.DataFrame, side: str | None) -> np.ndarray:
    """How many positives score above each row, and how many have the same score: (2, rows).

    side: "tail" or "head" counts only positives with the row's tail or head; None counts all. The row itself
    is included in its ties.
    """
    groups = [
        each[f"{side}_index"].to_numpy() if side else np.zeros(len(each), np.int64)
        for each in (positives, rows)
    ]
    column = "head_score" if side == "head" else "score"
    counts = count_above(groups[0], positives[column].to_numpy(), groups[1], rows[column].to_numpy())
    counts[1] += rows["label"].to_numpy() == 0
    return counts


def _with_label(frame: pd.DataFrame, label: int) -> pd.DataFrame:
    return frame[frame["label"] == label]


def _positives_by_treatment(positives: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The positives of treated and of untreated tails; empty if the ranks do not say which these are."""
    if "treated" not in positives:
        return {}
    is_treated = positives["treated"].to_numpy(bool)
    return {"treated": positives[is_treated], "untreated": positives[~is_treated]}


def _count_ranked_tails(positives: pd.DataFrame) -> int:
    return int(positives.loc[positives["tail_above"].notna(), "tail_index"].nunique())


def _put(result: dict[str, Any], estimates: list[Any], paths: list[tuple[str, ...]]) -> None:
    for path, estimate in zip(paths, estimates, strict=True):
        section = result
        for name in path[:-1]:
            section = section.setdefault(name, {})
        section[path[-1]] = estimate
