"""The verdict on an embedding: measures compared with thresholds, with a reason and a remedy if it fails."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from repurpose.config.sections import GateSettings

# The effective rank of a type with fewer nodes is not checked: it has too few singular values.
RANKED_NODES = 20

LEARN_MORE = "look at the loss curve; raise training.epochs, or change training.learning_rate"
COLLAPSE = (
    "the vectors have collapsed: lower training.learning_rate, or training.contrastive.weight if it is not 0"
)

DESCRIPTIONS = {
    "distinct_share": "the share of different neighbourhoods that have vectors of their own",
    "nearer": "the share that lies nearest to nodes with the same neighbours in the graph (0.5 by chance)",
}
REMEDIES = {"nearer": f"check that the rows of {{}} are in the order of their nodes; {LEARN_MORE}"}


def judge(
    device: str,
    measured: Mapping[str, Any],
    null: Mapping[str, Any],
    record: Mapping[str, Any],
    thresholds: GateSettings,
    layers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The verdict on one embedding, ready for JSON.

    `measured` and `null` (of an untrained model) come from `quality.measure`, `layers` from
    `quality.measure_layers`; `record` is the content of training.json. An undefined value fails its check.
    `left_out`: the checks that are not made, or not for all nodes, because some node types have no vectors.
    """
    checks = [_completed(record), _finite(measured)]
    left_out = _left_out(measured)
    if left_out:
        checks.append(_compared(measured))
    if checks[1]["passed"]:
        types = measured["types"], null["types"]
        checks += [
            _worst_type("distinct_vectors", "distinct_share", types, thresholds.min_distinct_share, 1),
            _worst_type(
                "effective_rank", "effective_rank", types, thresholds.min_effective_rank, RANKED_NODES
            ),
        ]
        if measured["links"] or not left_out:
            checks += [
                _links(name, measured, null, thresholds.min_auroc_margin)
                for name in ("uniform", "degree_matched")
            ]
        if layers:
            checks.append(_gain(layers, thresholds.min_gain_over_inputs))
        if measured["clusters"]:
            checks.append(_enrichment(measured["clusters"], null["clusters"], thresholds.min_enrichment))
        if measured["neighbourhoods"]:
            neighbourhoods = measured["neighbourhoods"], null["neighbourhoods"]
            checks.append(
                _worst_type("type_neighbourhoods", "nearer", neighbourhoods, thresholds.min_nearer_share, 0)
            )
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
        "left_out": left_out,
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
    """One row of the verdict; reason and remedy are empty if the check passed."""
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


def _left_out(measured: Mapping[str, Any]) -> list[dict[str, str]]:
    """The checks that need node types without vectors: name, and what is left out of the check."""
    lacking = measured.get("without_vectors")  # rows of benchmarks/rows/gate.parquet have no such key
    if not lacking:
        return []
    of_types = f"{', '.join(lacking)} nodes have no vectors"
    relations = len(measured["left_out"])
    of_links = f"{relations} relation{'' if relations == 1 else 's'} of these nodes"
    of_links += "" if measured["links"] else ", and no other relation has enough edges to hold some out"
    return [
        *({"name": name, "reason": of_types} for name in ("distinct_vectors", "effective_rank")),
        *({"name": name, "reason": of_links} for name in ("link_auroc_uniform", "link_auroc_degree_matched")),
        {"name": "type_neighbourhoods", "reason": of_types},
    ]


def _compared(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Check that the vectors of every type that has any are compared with the graph by another check."""
    unseen = [node_type for node_type in measured["types"] if node_type not in measured["compared"]]
    share = 1 - len(unseen) / max(1, len(measured["types"]))
    reason = (
        f"no check compares the vectors of {', '.join(unseen)} nodes with the graph"
        if unseen
        else "no node with a vector has an edge"
    )
    remedy = "add the vectors of other node types to the file"
    return _check("compared_types", share, None, 1.0, not unseen and bool(measured["types"]), reason, remedy)


def _worst_type(
    name: str, key: str, measures: tuple[Mapping[str, Any], Mapping[str, Any]], minimum: float, min_nodes: int
) -> dict[str, Any]:
    """Check the lowest value over node types with at least `min_nodes` nodes.

    `measures`: the measures by node type, of the embedding and of the untrained model.
    """
    types, null_types = measures
    values = {t: m[key] for t, m in types.items() if m["nodes"] >= min_nodes}
    if not values:
        return _check(name, None, None, minimum, bool(types), "no node has an edge", "check the edges table")
    # An undefined value counts as the lowest: min() alone may skip a NaN.
    worst = min(
        values, key=lambda t: values[t] if values[t] is not None and np.isfinite(values[t]) else -np.inf
    )
    value, null_value = values[worst], null_types.get(worst, {}).get(key)
    passed = value is not None and np.isfinite(value) and value >= minimum
    reason = (
        f"{DESCRIPTIONS.get(key, key)} of {worst} nodes is {_as_text(value)}, at least {minimum:g} is needed"
    )
    remedy = REMEDIES.get(key, COLLAPSE).format(worst)
    return _check(name, value, null_value, minimum, passed, reason, remedy)


def _links(
    negatives: str, measured: Mapping[str, Any], null: Mapping[str, Any], margin: float
) -> dict[str, Any]:
    """Check that the mean held-out AUROC over relations exceeds that of the untrained model by `margin`.

    The margin is required for degree-matched negatives only. Against uniform negatives degree alone gives a
    high AUROC, also for an untrained model; there the trained model must only not be worse.
    """
    value, null_value = (_mean(m["links"], f"auroc_{negatives}") for m in (measured, null))
    minimum = None if null_value is None else null_value + (margin if negatives == "degree_matched" else 0.0)
    passed = value is not None and minimum is not None and np.isfinite(value) and value >= minimum
    reason = (
        "no relation has enough edges to hold some out"
        if value is None or minimum is None
        else f"AUROC of held-out edges against {negatives.replace('_', '-')} negatives is {value:.3f}; "
        f"the untrained model has {null_value:.3f}, at least {minimum:.3f} is needed"
    )
    return _check(f"link_auroc_{negatives}", value, null_value, minimum, passed, reason, LEARN_MORE)


def _agreement(measured: Mapping[str, Any], null: Mapping[str, Any], margin: float) -> dict[str, Any]:
    value, null_value = measured["agreement"], null["agreement"]
    minimum = None if null_value is None else null_value + margin
    passed = value is not None and minimum is not None and np.isfinite(value) and value >= minimum
    reason = (
        f"only {_as_text(value)} of the nearest tails share neighbours in the graph; "
        f"the untrained model has {_as_text(null_value)}, at least {_as_text(minimum)} is needed"
    )
    remedy = "raise training.contrastive.weight or training.epochs"
    return _check("neighbour_agreement", value, null_value, minimum, passed, reason, remedy)


def _gain(layers: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """Check that the encoder output's held-out AUROC after training exceeds that before by `margin`."""
    value, null_value = (_mean(layers[name], "auroc_degree_matched") for name in ("trained", "untrained"))
    minimum = None if null_value is None else null_value + margin
    passed = value is not None and minimum is not None and np.isfinite(value) and value >= minimum
    reason = (
        f"the AUROC of held-out edges by the encoder output is {_as_text(value)}; before training it was "
        f"{_as_text(null_value)} with the same inputs; at least {_as_text(minimum)} is needed"
    )
    return _check("gain_over_inputs", value, null_value, minimum, passed, reason, LEARN_MORE)


def _enrichment(
    clusters: Mapping[str, Mapping[str, float]], null: Mapping[str, Mapping[str, float]], minimum: float
) -> dict[str, Any]:
    """Check the lowest ratio, over groups, of neighbour overlap to the upper end of the rewired overlap."""
    ratios = {name: group["overlap"] / max(group["null_high"], 1e-12) for name, group in clusters.items()}
    worst = min(ratios, key=lambda name: ratios[name] if np.isfinite(ratios[name]) else -np.inf)
    value, null_group = ratios[worst], null.get(worst)
    passed = bool(np.isfinite(value)) and value >= minimum
    reason = (
        f"nearest tails share {worst} {_as_text(value)} times as often as in a graph rewired at random "
        f"(upper end of its 95 %), at least {minimum:g} is needed"
    )
    null_value = null_group["overlap"] / max(null_group["null_high"], 1e-12) if null_group else None
    return _check("neighbour_enrichment", value, null_value, minimum, passed, reason, LEARN_MORE)


def _clusters(
    clusters: Mapping[str, Mapping[str, float]], null: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Per group of tails: neighbour overlap of the embedding, the rewired graph and the untrained model."""
    keys = ("overlap", "null", "null_low", "null_high", "ratio")
    return [
        {"name": name, **{key: group[key] for key in keys}, "untrained": null.get(name, {}).get("overlap")}
        for name, group in clusters.items()
    ]


def _classic(measured: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Figures that are often reported; the gate does not use them, as they pass bad and fail good vectors."""
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


def _as_text(value: float | None) -> str:
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
        f"{name:<{width}}  {value:>9}  {null:>9}  {needed:>9}  {mark}".rstrip()
        for name, value, null, needed, mark in rows
    ]
    lines += [f"{c['name']}: {c['reason']}; {c['remedy']}" for c in verdict["checks"] if not c["passed"]]
    lines += [f"left out of {check['name']}: {check['reason']}" for check in verdict["left_out"]]
    lines += [f"note: {note}" for note in verdict["notes"]]
    lines.append(f"{verdict['device']}: {'passed' if verdict['passed'] else 'FAILED'}")
    return "\n".join(lines)
