"""The sentences on top of the page: what came out, in words that a biologist uses."""

from collections.abc import Mapping
from typing import Any

from repurpose.graph.names import shown
from repurpose.report.metric_tables import METHOD_LABELS

# The hardest question that a run answered comes first.
SCHEMES = ("disease", "area", "date", "random", "drug", "external")
WORDS = {
    "disease": "When all treatments of a {tail} were hidden",
    "area": "When the treatments of all {tail}s of an area were hidden",
    "date": "When the treatments known last were hidden",
    "random": "When some treatments of a {tail} were hidden",
    "drug": "When all uses of a {head} were hidden",
    "external": "Of the external pairs",
}
LEARNED = 0.02  # a lower share of the link loss of guessing is no sign of learning
STOPPED = ("stalled", "collapsed", "diverged")
COMPARED = ("votes", "popularity", "svd", "degree")


def result(summary: Mapping[str, Any], ledger: Mapping[str, Any], head_type: str, tail_type: str) -> str:
    """What the run found, in one or two sentences without a full stop at the end."""
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
        tested = schemes.get(scheme) or {}
        lists = {method: _lists(tested.get(method)) for method in ("hgt", *COMPARED)}
        if lists["hgt"] is not None:
            break
    else:
        return f"{pairs}; no split could be measured"
    heads = sum(count for name, count in ledger["nodes"].items() if shown(name) == head_type)
    words = WORDS[scheme].format(head=head_type, tail=tail_type)
    of = f" of {heads:,}" if heads else ""
    others = [f"{lists[name]} by {METHOD_LABELS[name]}" for name in COMPARED if lists[name] is not None][:2]
    compared = f" ({', '.join(others)})" if others else ""
    count = tested["hgt"]["tails"]
    found = f"{lists['hgt']} of {count} {tail_type}{'' if count == 1 else 's'}"
    return f"{words}, a true {head_type} was among the first ten{of} for {found}{compared}. {pairs}"


def learned(summary: Mapping[str, Any]) -> str:
    """Whether the trainings learned, in one sentence."""
    parts = []
    for row in summary["devices"]:
        if row["status"] in STOPPED and row["steps"]:
            ended = f"the training {row['status']} and was stopped after {row['steps']:,} steps"
            parts.append(f"{row['device']}: {ended}, so nothing was learned that could be used")
            continue
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


def _lists(metrics: Mapping[str, Any] | None) -> int | None:
    """The number of tails that have a true head among their first ten; None if it was not measured."""
    estimate = (metrics or {}).get("first_in_10")
    return round(estimate["value"] * metrics["tails"]) if metrics and estimate else None
