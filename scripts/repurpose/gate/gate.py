"""Measures and thresholds to a verdict: which embeddings may go on, and why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# A type with fewer nodes than this has too short a spectrum to judge.
RANKED_NODES = 20

LEARN = "look at the loss curve; raise training.epochs, or change training.learning_rate"
COLLAPSE = "the vectors have collapsed: lower training.learning_rate or training.contrastive.weight"

WORDS = {
    "nearer": "the share that lies nearest to nodes with the same neighbours in the graph (0.5 by chance)"
}
REMEDIES = {"nearer": f"check that the rows of {{}} are in the order of their nodes; {LEARN}"}


@dataclass(frozen=True)
class Thresholds:
    """The config section `gate`."""

    min_distinct_share: float
    min_effective_rank: float
    min_auroc_margin: float
    min_gain_over_inputs: float
    min_agreement_margin: float
    min_enrichment: float
    min_nearer_share: float


def judge(
    device: str,
    measured: Mapping[str, Any],
    null: Mapping[str, Any],
    record: Mapping[str, Any],
    thresholds: Thresholds,
    layers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The verdict on one embedding.

    `measured` and `null` (an untrained model) come from `quality.measure`, `layers` from `quality.layers`,
    `record` is the content of training.json. An undefined value fails its check: nothing passes unmeasured.
    """
    checks = [_completed(record), _finite(measured)]
    if checks[1]["passed"]:
        types = measured["types"], null["types"]
        checks += [
            _worst_type("distinct_vectors", "distinct_share", types, thresholds.min_distinct_share, 1),
            _worst_type(
                "effective_rank", "effective_rank", types, thresholds.min_effective_rank, RANKED_NODES
            ),
            *(
                _links(name, measured, null, thresholds.min_auroc_margin)
                for name in ("uniform", "degree_matched")
            ),
        ]
        if layers:
            checks.append(_gain(layers, thresholds.min_gain_over_inputs))
        if measured["clusters"]:
            checks.append(_enrichment(measured["clusters"], null["clusters"], thresholds.min_enrichment))
        if measured["neighbourhoods"]:
            near = measured["neighbourhoods"], null["neighbourhoods"]
            checks.append(_worst_type("type_neighbourhoods", "nearer", near, thresholds.min_nearer_share, 0))
        if measured["agreement_applies"]:
            checks.append(_agreement(measured, null, thresholds.min_agreement_margin))
    notes = list(record.get("notes", []))
    if measured["types"] and not measured["agreement_applies"]:
        notes.append("neighbour agreement was not measured: no two tails share enough neighbours")
    return {
        "device": device,
        "passed": all(check["passed"] for check in checks),
        "status": record["status"],
        "checks": checks,
        "classic": _classic(measured, record),
        "clusters": _clusters(measured["clusters"], null["clusters"]),
        "notes": notes,
    }


def _check(
    name: str,
    value: float | None,
    null: float | None,
    threshold: float | None,
    passed: bool,
    reason: str,
    remedy: str,
) -> dict[str, Any]:
    """One row of the verdict; reason and remedy are empty where the check passed."""
    return {
        "name": name,
        "value": value,
        "null": null,
        "threshold": threshold,
        "passed": bool(passed),
        "reason": "" if passed else reason,
        "remedy": "" if passed else remedy,
    }


def _completed(record: Mapping[str, Any]) -> dict[str, Any]:
    passed = record["status"] == "completed"
    reason = f"the training ended as {record['status']}: {record['reason']}"
    return _check("training_completed", float(passed), None, 1.0, passed, reason, record["remedy"])


def _finite(measured: Mapping[str, Any]) -> dict[str, Any]:
    bad = [node_type for node_type, finite in measured["finite"].items() if not finite]
    share = 1 - len(bad) / max(1, len(measured["finite"]))
    reason = f"vectors of {', '.join(bad)} are not finite" if bad else "there are no vectors"
    return _check("finite_vectors", share, None, 1.0, not bad and bool(measured["finite"]), reason, COLLAPSE)


def _worst_type(
    name: str, key: str, both: tuple[Mapping[str, Any], Mapping[str, Any]], least: float, nodes: int
) -> dict[str, Any]:
    """The lowest value over node types of at least `nodes` nodes; `both`: those measured, the null's."""
    types, null = both
    values = {t: m[key] for t, m in types.items() if m["nodes"] >= nodes}
    if not values:
        return _check(name, None, None, least, bool(types), "no node has an edge", "check the edges table")
    # An undefined value is the worst of all: min() would step over a NaN.
    worst = min(
        values, key=lambda t: values[t] if values[t] is not None and np.isfinite(values[t]) else -np.inf
    )
    value, beside = values[worst], null.get(worst, {}).get(key)
    passed = value is not None and np.isfinite(value) and value >= least
    reason = f"{WORDS.get(key, key)} of {worst} nodes is {_three(value)}, at least {least:g} is needed"
    remedy = REMEDIES.get(key, COLLAPSE).format(worst)
    return _check(name, value, beside, least, passed, reason, remedy)


def _links(kind: str, measured: Mapping[str, Any], null: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """Mean over relations of the held-out AUROC, which must exceed the untrained model's by `margin`.

    Against uniform negatives degree alone does well, for an untrained model too: there the trained
    model need only not be worse.
    """
    value, beside = (_mean(m["links"], f"auroc_{kind}") for m in (measured, null))
    least = None if beside is None else beside + (margin if kind == "degree_matched" else 0.0)
    passed = value is not None and least is not None and np.isfinite(value) and value >= least
    reason = (
        "no relation has enough edges to hold some out"
        if value is None or least is None
        else f"AUROC of held-out edges against {kind.replace('_', '-')} negatives is {value:.3f}; "
        f"the untrained model has {beside:.3f}, at least {least:.3f} is needed"
    )
    return _check(f"link_auroc_{kind}", value, beside, least, passed, reason, LEARN)


def _agreement(measured: Mapping[str, Any], null: Mapping[str, Any], margin: float) -> dict[str, Any]:
    value, beside = measured["agreement"], null["agreement"]
    least = None if beside is None else beside + margin
    passed = value is not None and least is not None and np.isfinite(value) and value >= least
    reason = (
        f"only {_three(value)} of the nearest tails share neighbours in the graph; "
        f"the untrained model has {_three(beside)}, at least {_three(least)} is needed"
    )
    remedy = "raise training.contrastive.weight or training.epochs"
    return _check("neighbour_agreement", value, beside, least, passed, reason, remedy)


def _gain(layers: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """What the layers alone tell of held-out edges must exceed by `margin` what they told untrained."""
    value, beside = (_mean(layers[name], "auroc_degree_matched") for name in ("trained", "untrained"))
    least = None if beside is None else beside + margin
    passed = value is not None and least is not None and np.isfinite(value) and value >= least
    reason = (
        f"by the layers' own numbers the AUROC of held-out edges is {_three(value)}, before training it was "
        f"{_three(beside)} from the same inputs; at least {_three(least)} is needed"
    )
    return _check("gain_over_inputs", value, beside, least, passed, reason, LEARN)


def _enrichment(
    clusters: Mapping[str, Mapping[str, float]], null: Mapping[str, Mapping[str, float]], least: float
) -> dict[str, Any]:
    """The least, over groups, of nearest neighbours' overlap / the upper end of what rewiring leaves."""
    leads = {name: each["overlap"] / max(each["null_high"], 1e-12) for name, each in clusters.items()}
    worst = min(leads, key=lambda name: leads[name] if np.isfinite(leads[name]) else -np.inf)
    value, beside = leads[worst], null.get(worst)
    passed = bool(np.isfinite(value)) and value >= least
    reason = (
        f"nearest tails share {worst} {_three(value)} times as often as in a graph rewired at random "
        f"(upper end of its 95 %), at least {least:g} is needed"
    )
    shown = beside["overlap"] / max(beside["null_high"], 1e-12) if beside else None
    return _check("neighbour_enrichment", value, shown, least, passed, reason, LEARN)


def _clusters(
    found: Mapping[str, Mapping[str, float]], null: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Per group of tails: overlap of nearest neighbours, the untrained model's, and what rewiring leaves."""
    keys = ("overlap", "null", "null_low", "null_high", "ratio")
    return [
        {"name": name, **{key: each[key] for key in keys}, "untrained": null.get(name, {}).get("overlap")}
        for name, each in found.items()
    ]


def _classic(measured: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The figures people are used to, for the report only: they pass bad embeddings and fail good ones."""
    types = measured["types"].values()
    cosines = [m["mean_cosine"] for m in types if m["mean_cosine"] is not None]
    components = [m["components_at_90"] for m in types if m["components_at_90"] is not None]
    return {
        "final_loss": record.get("final_link"),
        "mean_cosine": float(np.mean(cosines)) if cosines else None,
        "components_at_90": float(np.median(components)) if components else None,
    }


def _mean(links: Mapping[str, Mapping[str, float]], key: str) -> float | None:
    return float(np.mean([link[key] for link in links.values()])) if links else None


def _three(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def table(verdict: Mapping[str, Any]) -> str:
    """The verdict as text: one line per check, then what failed and what to do."""
    rows = [("check", "value", "untrained", "needed", "")]
    for check in verdict["checks"]:
        numbers = [
            "-" if check[key] is None else f"{check[key]:.3f}" for key in ("value", "null", "threshold")
        ]
        rows.append((check["name"], *numbers, "ok" if check["passed"] else "FAILED"))
    width = max(len(row[0]) for row in rows)
    lines = [
        f"{name:<{width}}  {value:>9}  {null:>9}  {least:>9}  {mark}".rstrip()
        for name, value, null, least, mark in rows
    ]
    lines += [f"{c['name']}: {c['reason']}; {c['remedy']}" for c in verdict["checks"] if not c["passed"]]
    lines += [f"note: {note}" for note in verdict["notes"]]
    lines.append(f"{verdict['device']}: {'passed' if verdict['passed'] else 'FAILED'}")
    return "\n".join(lines)
