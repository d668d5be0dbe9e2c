"""The last lines of a finished run on the terminal: what came out, and where it lies."""

from collections.abc import Mapping
from typing import Any

from repurpose.graph.names import visible
from repurpose.report import words
from repurpose.report.headlines import SCHEMES
from repurpose.report.metric_tables import INDEPENDENT, LABELS, LEADING, METHOD_LABELS, not_below
from repurpose.report.summary import verdict_sentence

SHOWN = 3  # candidates
COMPARED = 2  # baselines


def lines(summary: Mapping[str, Any], folder: str = "results") -> list[str]:
    """At most eight lines about a run in which a device passed, from the content of summary.json."""
    row = next(row for row in summary["devices"] if row["passed"])
    pooled = summary.get("pooled") or {}
    name = "pooled" if pooled.get("runs") else row["device"]
    best = (pooled["top"] if pooled.get("runs") else row["top"])[:SHOWN]
    sentence = verdict_sentence(summary)
    result = [f"{words.capitalised(sentence)}.", *_metrics_line(row)]
    if best:
        result.append("The best new candidates:")
        calibration = None if pooled.get("runs") else row["calibration"]
        result += [
            f"  {_name(pair, 'head')} for {_name(pair, 'tail')} ({_chance(pair, calibration)})"
            for pair in best
        ]
    return [
        *result,
        f"Open {folder}/report.html and search it for your disease.",
        f"All candidates: {folder}/candidates/{name}/candidates.csv",
    ]


def _metrics_line(row: Mapping[str, Any]) -> list[str]:
    schemes = (row["metrics"] or {}).get("schemes") or {}
    for scheme in SCHEMES:
        values = {
            method: metrics[LEADING]["value"]
            for method, metrics in schemes.get(scheme, {}).items()
            if metrics and metrics.get(LEADING)
        }
        if "hgt" not in values:
            continue
        others = sorted(
            (name for name in values if name in INDEPENDENT), key=lambda name: values[name], reverse=True
        )
        compared = ", ".join(f"{METHOD_LABELS[name]} {values[name]:.3f}" for name in others[:COMPARED])
        said = f"{LABELS[LEADING]} of one list, split {scheme}: {values['hgt']:.3f}"
        simpler = not_below(schemes[scheme])
        verdict = f"; {METHOD_LABELS[simpler]} is not worse here, see the report" if simpler else ""
        return [f"{said} ({compared}){verdict}" if compared else said]
    return []


def _name(pair: Mapping[str, Any], side: str) -> str:
    return visible(pair[f"{side}_name"] or pair[f"{side}_id"])


def _chance(pair: Mapping[str, Any], calibration: Mapping[str, Any] | None) -> str:
    if pair["probability"] is None:
        return "probability not known"
    said, _ = words.observed(calibration, pair.get("treated", False), pair["probability"])
    return f"{said} such pairs were treatments"
