"""The sentences on top of the page: what came out, in words that a biologist uses."""

from collections.abc import Mapping
from typing import Any

from repurpose.graph.names import shown
from repurpose.report.metric_tables import METHOD_LABELS

# The hardest question that a run answered comes first.
SCHEMES = ("disease", "area", "random", "drug", "external")
WORDS = {
    "disease": "When all treatments of a {tail} were hidden",
    "area": "When the treatments of all {tail}s of an area were hidden",
    "random": "When some treatments of a {tail} were hidden",
    "drug": "When all uses of a {head} were hidden",
    "external": "Of the external pairs",
}
LEARNED = 0.02  # a lower share of the link loss of guessing is no sign of learning
COMPARED = ("votes", "popularity", "svd", "degree")


def result(summary: Mapping[str, Any], ledger: Mapping[str, Any], head_type: str, tail_type: str) -> str:
    """What the run found, in one or two sentences without a full stop at the end.

    The place of the first true head is the inverse of the mean reciprocal rank.
    """
    passed = [row for row in summary["devices"] if row["passed"] and row["metrics"]]
    if not passed:
        return (
            f"No {head_type} was ranked for any {tail_type}, because no training passed the checks that come "
            "before the ranking"
        )
    row = passed[0]
    schemes = row["metrics"]["schemes"]
    pairs = f"{row['candidates']:,} pairs of a {head_type} and a {tail_type} are listed"
    for scheme in SCHEMES:
        places = {
            method: _place(schemes[scheme].get(method)) for method in ("hgt", *COMPARED) if scheme in schemes
        }
        if places.get("hgt"):
            break
    else:
        return f"{pairs}; no split could be measured"
    heads = sum(count for name, count in ledger["nodes"].items() if shown(name) == head_type)
    words = WORDS[scheme].format(head=head_type, tail=tail_type)
    of = f" of {heads:,}" if heads else ""
    others = [f"{places[name]} by {METHOD_LABELS[name]}" for name in COMPARED if places[name]][:2]
    compared = f" ({', '.join(others)})" if others else ""
    place = f"the first true {head_type} typically stood at place {places['hgt']}{of}{compared}"
    return f"{words}, {place}. {pairs}"


def learned(summary: Mapping[str, Any]) -> str:
    """Whether the trainings learned, in one sentence."""
    parts = []
    for row in summary["devices"]:
        if row["floor"] is None or row["final_link"] is None:
            parts.append(f"{row['device']}: no training step is on record")
            continue
        share = 1 - row["final_link"] / row["floor"]
        ended = f"the link loss ended at {row['final_link']:.3f}; guessing has {row['floor']:.3f}"
        result = "it learned" if share > LEARNED else "nothing was learned"
        parts.append(f"{row['device']}: {ended}, so {result}")
    return "; ".join(parts) + "."


def example(summary: Mapping[str, Any], tail_type: str) -> str:
    """The name of a tail that the search field shows as an example."""
    for row in summary["devices"]:
        for pair in row["top"] or []:
            return str(pair["tail_name"] or pair["tail_id"])[:40]
    return tail_type


def _place(metrics: Mapping[str, Any] | None) -> str | None:
    estimate = (metrics or {}).get("mrr_of_first")
    if not estimate or not estimate["value"]:
        return None
    place = 1 / estimate["value"]
    return f"{place:.1f}" if place < 10 else f"{place:,.0f}"
