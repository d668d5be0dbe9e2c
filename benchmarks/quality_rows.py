"""Metrics, paired differences, a table and a figure, from the rows of the quality benchmark."""

import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import quality_protocol as protocol
from matplotlib.figure import Figure

# Of the list of one tail, and of all pairs in one list (Recall@100 is within tails too, but its intervals
# draw what the split holds out).
LIST_METRICS = {"ap": "AP", "mrr_of_first": "MRR", "recall_at_50": "Recall@50"}
OTHER_METRICS = {"auroc": "AUROC, all pairs", "auprc": "AUPRC, all pairs", "recall_at_100": "Recall@100"}
METRICS = LIST_METRICS | OTHER_METRICS  # name -> title
RESAMPLES = 1000
MARKERS = "os^vDPX*<>"  # one per method in the figure
Row = Mapping[str, Any]


def task_row(job: protocol.Positives) -> dict[str, Any]:
    """The row with the positives whose ranks are in the other rows."""
    return {"kind": "task", "heads": job.heads.tolist(), "tails": job.tails.tolist()}


def positives(rows: Iterable[Row]) -> protocol.Positives:
    """The positives of all rows; exits with a message if no row names them, or if rows disagree."""
    pairs_of_rows = [(row["heads"], row["tails"]) for row in rows if row["kind"] == "task"]
    if not pairs_of_rows:
        sys.exit("no row of --rows says which pairs the ranks are of: measure something, or name other files")
    if any(pair != pairs_of_rows[0] for pair in pairs_of_rows):
        sys.exit(
            "the rows are of different pairs (of two graphs, say, or with --development): name other files"
        )
    return protocol.Positives(*map(np.array, pairs_of_rows[0]))


def metrics(
    row: Row,
    job: protocol.Positives,
    weights: np.ndarray | None = None,
    tail_weights: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Metric -> means (W,) over the folds of a test row, one per row of weights (W, positives).

    tail_weights: of LIST_METRICS, the same for all positives of a tail. Without weights, W is 1. If a row of
    weights is zero for all positives of a fold, that fold does not count.
    """
    values: dict[str, list[np.ndarray]] = {name: [] for name in METRICS}
    for positions, above, place, negatives in zip(
        row["positions"], row["above"], row["place"], row["negatives"], strict=True
    ):
        of_pairs, of_tails = (
            given if given is None else given[:, positions] for given in (weights, tail_weights)
        )
        above, place, tails = np.array(above), np.array(place), job.tails[positions]
        found = protocol.list_metrics(place, tails, of_tails)
        found["auroc"] = protocol.auroc(above, negatives, of_pairs)
        found["auprc"] = protocol.auprc(above, of_pairs)
        found["recall_at_100"] = protocol.recall(place, tails, of_pairs)
        for name, of_fold in found.items():
            values[name].append(of_fold)
    of_lists, of_others = (_shares(row["positions"], given) for given in (tail_weights, weights))
    shares = dict.fromkeys(LIST_METRICS, of_lists) | dict.fromkeys(OTHER_METRICS, of_others)
    return {name: (np.array(of_folds) * shares[name]).sum(axis=0) for name, of_folds in values.items()}


def _shares(positions: Sequence[Sequence[int]], weights: np.ndarray | None) -> np.ndarray:
    """The share of each fold in a mean over the folds that count: (folds, W)."""
    if weights is None:
        return np.full((len(positions), 1), 1 / len(positions))
    is_counted = np.array([weights[:, of_fold].any(axis=1) for of_fold in positions])
    return is_counted / is_counted.sum(axis=0)


def bootstrap_weights(job: protocol.Positives, scheme: str, seed: int = 0) -> np.ndarray:
    """Bootstrap weights (RESAMPLES, positives): random draws of pairs, or of whole tails or heads.

    Whole tails or heads are drawn if the scheme holds out whole ones.
    """
    generator = np.random.default_rng([seed, 11])
    groups = {"random": np.arange(len(job.heads)), "disease": job.tails, "drug": job.heads}[scheme]
    names, group_of_pair = np.unique(groups, return_inverse=True)
    draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return draws[:, group_of_pair]


def summary(
    rows: Iterable[Row], job: protocol.Positives, scheme: str, reference: str
) -> list[dict[str, Any]]:
    """Per method: mean, minimum and maximum over seeds, and the interval of the difference from `reference`.

    The bootstrap is paired: both methods get the same weights of pairs, and differences are averaged over the
    seeds that both methods have. Metrics of the list of one tail draw tails.
    """
    weights, tail_weights = bootstrap_weights(job, scheme), bootstrap_weights(job, "disease")
    tests = [row for row in rows if row["kind"] == "test" and row["scheme"] == scheme]
    points: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    draws: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for row in tests:
        points.setdefault(row["method"], {})[row["seed"]] = metrics(row, job)
        draws.setdefault(row["method"], {})[row["seed"]] = metrics(row, job, weights, tail_weights)
    result = []
    for method, metrics_by_seed in points.items():
        entry: dict[str, Any] = {"scheme": scheme, "method": method, "seeds": len(metrics_by_seed)}
        # Folds differ by seed, so only seeds that both methods have can be paired.
        common = [
            seed for seed in metrics_by_seed if method != reference and seed in points.get(reference, {})
        ]
        for name in METRICS:
            values = [float(seed_metrics[name][0]) for seed_metrics in metrics_by_seed.values()]
            entry[name] = {"mean": float(np.mean(values)), "low": min(values), "high": max(values)}
            if common:
                differences = [draws[method][seed][name] - draws[reference][seed][name] for seed in common]
                low, high = np.percentile(np.mean(differences, axis=0), [2.5, 97.5])
                entry[name] |= {"difference_low": float(low), "difference_high": float(high)}
        result.append(entry)
    return result


def costs(rows: Iterable[Row], method: str) -> dict[str, float]:
    """Mean seconds and largest peak memory (GB) of the trainings of a method."""
    trainings = [row for row in rows if row["kind"] == "training" and row["method"] == method]
    return {
        "training_seconds": float(np.mean([row["seconds"] for row in trainings])),
        "peak_rss_gb": max(row["peak_rss_bytes"] for row in trainings) / 1e9,
    }


def table(entries: Sequence[Mapping[str, Any]], reference: str) -> str:
    """The summary as Markdown; a star marks differences whose interval excludes zero."""
    lines = [
        f"| split | classifier | method | seeds | {' | '.join(METRICS.values())} | seconds | peak GB |",
        f"|{'---|' * (len(METRICS) + 6)}",
    ]
    for entry in entries:
        cells = [entry["scheme"], entry["classifier"], entry["method"], str(entry["seeds"])]
        for name in METRICS:
            value = entry[name]
            low, high = value.get("difference_low", 0.0), value.get("difference_high", 0.0)
            cells.append(f"{value['mean']:.3f}{'*' if low > 0 or high < 0 else ''}")
        cells += [f"{entry['training_seconds']:.0f}", f"{entry['peak_rss_gb']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    lines.append(f"\\* differs from {reference}: the 95 % interval of the paired bootstrap leaves out zero.")
    return "\n".join(lines)


def draw(entries: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw AP with its range over seeds against training seconds, a panel per split and classifier."""
    schemes, classifiers, methods = (
        list(dict.fromkeys(entry[key] for entry in entries)) for key in ("scheme", "classifier", "method")
    )
    size = len(classifiers), len(schemes)
    figure = Figure(figsize=(3 * size[1] + 1.5, 2.9 * size[0] + 0.3), layout="constrained")
    shown = {}
    panels = figure.subplots(*size, squeeze=False, sharex=True).flat
    for axes, panel in zip(panels, itertools.product(classifiers, schemes), strict=True):
        panel_entries = [entry for entry in entries if (entry["classifier"], entry["scheme"]) == panel]
        for entry in panel_entries:
            value, seconds = entry["ap"], max(entry["training_seconds"], 0.1)
            spread = [[value["mean"] - value["low"]], [value["high"] - value["mean"]]]
            number = methods.index(entry["method"])
            style = {"color": f"C{number}", "marker": MARKERS[number % len(MARKERS)], "linestyle": "none"}
            shown[entry["method"]] = axes.errorbar(seconds, value["mean"], yerr=spread, capsize=3, **style)
        axes.set(
            xscale="log", xlabel="training, seconds", ylabel="AP of one list", title=f"{panel[1]}, {panel[0]}"
        )
        axes.set_ylim(0, 1.1 * max((entry["ap"]["high"] for entry in panel_entries), default=1))
    figure.legend(shown.values(), shown, loc="outside right upper")
    figure.savefig(path)
