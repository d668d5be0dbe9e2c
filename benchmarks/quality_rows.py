"""From the rows of the quality benchmark to its figures: metrics, paired differences, a table, a picture."""

import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import quality_protocol as protocol
from matplotlib.figure import Figure

METRICS = ("auroc", "auprc", "recall_at_100")
RESAMPLES = 1000
MARKERS = "os^vDPX*<>"  # of methods in the figure
Row = Mapping[str, Any]


def task_row(job: protocol.Positives) -> dict[str, Any]:
    """The row that says which positives the others are of."""
    return {"kind": "task", "heads": job.heads.tolist(), "tails": job.tails.tolist()}


def positives(rows: Iterable[Row]) -> protocol.Positives:
    """The positives that all rows are of; ends the program if they do not say it, or not the same."""
    found = [(row["heads"], row["tails"]) for row in rows if row["kind"] == "task"]
    if not found:
        sys.exit("no row of --rows says which pairs the ranks are of: measure something, or name other files")
    if any(pair != found[0] for pair in found):
        sys.exit(
            "the rows are of different pairs (of two graphs, say, or with --development): name other files"
        )
    return protocol.Positives(*map(np.array, found[0]))


def metrics(row: Row, job: protocol.Positives, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Metric -> mean over the folds of a test row, for each line of weights (W, positives); one line without.

    A fold in which a line gives no positive any weight does not count for that line.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in METRICS}
    counted = []
    for at, above, place, negatives in zip(
        row["positions"], row["above"], row["place"], row["negatives"], strict=True
    ):
        own = None if weights is None else weights[:, at]
        above, tails = np.array(above), job.tails[at]
        found["auroc"].append(protocol.auroc(above, negatives, own))
        found["auprc"].append(protocol.auprc(above, own))
        found["recall_at_100"].append(protocol.recall(np.array(place), tails, own))
        counted.append(np.ones(1, bool) if own is None else own.any(axis=1))
    share = np.array(counted) / np.sum(counted, axis=0)
    return {name: (np.array(values) * share).sum(axis=0) for name, values in found.items()}


def resampled(job: protocol.Positives, scheme: str, seed: int = 0) -> np.ndarray:
    """Bootstrap weights (RESAMPLES, positives) of pairs; of tails or heads where whole ones are held out."""
    rng = np.random.default_rng([seed, 11])
    groups = {"random": np.arange(len(job.heads)), "disease": job.tails, "drug": job.heads}[scheme]
    names, which = np.unique(groups, return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return drawn[:, which]


def summary(
    rows: Iterable[Row], job: protocol.Positives, scheme: str, reference: str
) -> list[dict[str, Any]]:
    """Per method: means over seeds, seeds' extremes, and its difference from `reference` with its interval.

    The bootstrap is paired: both methods are weighted by the same draws of pairs, averaged over
    the seeds that both have.
    """
    weights = resampled(job, scheme)
    tests = [row for row in rows if row["kind"] == "test" and row["scheme"] == scheme]
    points: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    draws: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for row in tests:
        points.setdefault(row["method"], {})[row["seed"]] = metrics(row, job)
        draws.setdefault(row["method"], {})[row["seed"]] = metrics(row, job, weights)
    result = []
    for method, of_seeds in points.items():
        entry: dict[str, Any] = {"scheme": scheme, "method": method, "seeds": len(of_seeds)}
        # Folds differ by seed: only seeds that both have make a pair.
        common = [seed for seed in of_seeds if method != reference and seed in points.get(reference, {})]
        for name in METRICS:
            values = [float(each[name][0]) for each in of_seeds.values()]
            entry[name] = {"mean": float(np.mean(values)), "low": min(values), "high": max(values)}
            if common:
                lead = [draws[method][seed][name] - draws[reference][seed][name] for seed in common]
                low, high = np.percentile(np.mean(lead, axis=0), [2.5, 97.5])
                entry[name] |= {"difference_low": float(low), "difference_high": float(high)}
        result.append(entry)
    return result


def costs(rows: Iterable[Row], method: str) -> dict[str, float]:
    """Mean training seconds and largest peak memory (GB) of a method's trainings."""
    own = [row for row in rows if row["kind"] == "training" and row["method"] == method]
    return {
        "training_seconds": float(np.mean([row["seconds"] for row in own])),
        "peak_rss_gb": max(row["peak_rss_bytes"] for row in own) / 1e9,
    }


def table(entries: Sequence[Mapping[str, Any]], reference: str) -> str:
    """The summary as Markdown; differences whose interval leaves out zero are marked with a star."""
    lines = [
        "| split | classifier | method | seeds | AUROC | AUPRC | Recall@100 | seconds | peak GB |",
        "|---|---|---|---|---|---|---|---|---|",
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
    """AUPRC against training seconds with the seeds' extremes, a column per split, a row per classifier."""
    schemes, classifiers, methods = (
        list(dict.fromkeys(entry[key] for entry in entries)) for key in ("scheme", "classifier", "method")
    )
    size = len(classifiers), len(schemes)
    figure = Figure(figsize=(3 * size[1] + 1.5, 2.9 * size[0] + 0.3), layout="constrained")
    shown = {}
    panels = figure.subplots(*size, squeeze=False, sharex=True).flat
    for axes, panel in zip(panels, itertools.product(classifiers, schemes), strict=True):
        own = [entry for entry in entries if (entry["classifier"], entry["scheme"]) == panel]
        for entry in own:
            value, seconds = entry["auprc"], max(entry["training_seconds"], 0.1)
            spread = [[value["mean"] - value["low"]], [value["high"] - value["mean"]]]
            number = methods.index(entry["method"])
            look = {"color": f"C{number}", "marker": MARKERS[number % len(MARKERS)], "linestyle": "none"}
            shown[entry["method"]] = axes.errorbar(seconds, value["mean"], yerr=spread, capsize=3, **look)
        axes.set(xscale="log", xlabel="training, seconds", ylabel="AUPRC", title=f"{panel[1]}, {panel[0]}")
        axes.set_ylim(0, 1.1 * max((entry["auprc"]["high"] for entry in own), default=1))
    figure.legend(shown.values(), shown, loc="outside right upper")
    figure.savefig(path)
