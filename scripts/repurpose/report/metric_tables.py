"""The rows of the report's metric tables, from the content of metrics.json of one device."""

from collections.abc import Mapping, Sequence
from typing import Any

METHODS = ["hgt", "svd", "untrained", "degree"]
METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "recall_at_100": "Recall@100", "mrr": "MRR"}
NO_METRICS = dict.fromkeys([*METRICS, "positives", "negatives", "prevalence"])
LIST_METRICS = {"mrr": "MRR", "hits_at_1": "Hits@1", "hits_at_10": "Hits@10", "hits_at_50": "Hits@50"}
LIST_METRICS |= {"recall_at_50": "Recall@50", "recall_at_100": "Recall@100"}
NEGATIVE_SETS = {"uniform": "uniform", "matched": "matched", "known": "known negatives"}
WHOLE_LIST_SIZES = ("100", "1000", "10000", "100000")
COMPARED = ("auprc", "recall_at_100", "mrr")


def scheme_tables(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Per split scheme: the metrics of each method, in the order of METHODS, and how hgt compares.

    `standing` is a sentence about hgt and the best baseline; `leads` are the differences to each baseline.
    """
    result = []
    for name, metrics_by_method in ((metrics or {}).get("schemes") or {}).items():
        methods = _sorted_methods(metrics_by_method)
        best = {metric: _best(methods, (metric,), max) for metric in METRICS}
        sampled = any(method.get("sampled") for method in methods)
        leads = ((metrics or {}).get("differences") or {}).get(name) or {}
        scheme = {"name": name, "methods": methods, "best": best, "sampled": sampled}
        result.append({**scheme, "standing": _standing(methods, leads), "leads": _leads(leads)})
    return result


def further_tables(metrics: Mapping[str, Any] | None, head_type: str, tail_type: str) -> list[dict[str, Any]]:
    """Tables of all other metrics: title, note, columns, and per scheme the values of each method.

    A table without any value is left out.
    """
    tables = []
    for title, note, columns, better in _further_groups(head_type, tail_type):
        scheme_rows = []
        for name, metrics_by_method in ((metrics or {}).get("schemes") or {}).items():
            methods = _sorted_methods(metrics_by_method)
            best = [_best(methods, path, better) for path in columns.values()]
            rows = [
                {
                    "name": method["name"],
                    "cells": [
                        (_value_at(method, path), best[column] == method["name"])
                        for column, path in enumerate(columns.values())
                    ],
                }
                for method in methods
            ]
            scheme_rows.append({"name": name, "rows": rows})
        if any(value for scheme in scheme_rows for row in scheme["rows"] for value, _ in row["cells"]):
            tables.append({"title": title, "note": note, "columns": list(columns), "schemes": scheme_rows})
    return tables


def correction_rows(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The change of the test metrics by the popularity correction, per scheme and share of the mean score."""
    return [
        {"scheme": scheme, "share": share, "cells": list(differences.values()), "names": list(differences)}
        for scheme, shares in ((metrics or {}).get("popularity_correction") or {}).items()
        for share, differences in shares.items()
    ]


def _further_groups(head_type: str, tail_type: str) -> list[tuple[str, str, dict[str, tuple[str, ...]], Any]]:
    against = {
        f"{label}, {description}": ("against", negatives, metric)
        for negatives, description in NEGATIVE_SETS.items()
        for metric, label in (("auroc", "AUROC"), ("auprc", "AUPRC"))
    }
    known_negatives = {label: ("known_negatives", key) for key, label in LIST_METRICS.items()}
    known_negatives |= {f"Best {int(n):,}": ("known_negatives", "whole_list", n) for n in WHOLE_LIST_SIZES}
    return [
        (
            "Against other negatives",
            "Uniform: unknown pairs, as many as positives. Matched: as many, with the heads and tails "
            "of the positives shuffled: popularity on either side does not help. An "
            "AUPRC with as many negatives as positives says little of a real search.",
            against,
            max,
        ),
        (
            f"Within the list of one {tail_type}",
            f"Means over the {tail_type}s, in addition to those above. MRR and hits rank each positive among "
            "unknown pairs alone.",
            {label: (key,) for key, label in LIST_METRICS.items() if key not in METRICS},
            max,
        ),
        (
            f"Within the list of one {head_type}",
            f"The same for the {tail_type}s of each {head_type}.",
            {label: ("per_head", key) for key, label in LIST_METRICS.items()},
            max,
        ),
        (
            "Within the list of all pairs",
            "The share of the positives among the best N.",
            {f"Best {int(n):,}": ("whole_list", n) for n in WHOLE_LIST_SIZES},
            max,
        ),
        (
            "Known negatives in the same lists",
            "Lower is better: these should not be proposed.",
            known_negatives,
            min,
        ),
    ]


def _sorted_methods(metrics_by_method: Mapping[str, Any]) -> list[dict[str, Any]]:
    order = sorted(metrics_by_method, key=lambda method: ([*METHODS, method].index(method), method))
    return [{"name": method, **NO_METRICS, **(metrics_by_method[method] or {})} for method in order]


def _value_at(method: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, float] | None:
    value: Any = method
    for name in path:
        value = (value or {}).get(name)
    return value


def _best(methods: Sequence[Mapping[str, Any]], path: Sequence[str], better: Any) -> str | None:
    values = {method["name"]: _value_at(method, path) for method in methods}
    estimates = {name: value["value"] for name, value in values.items() if value}
    return better(estimates, key=lambda name: estimates[name]) if len(estimates) > 1 else None


def _standing(methods: Sequence[Mapping[str, Any]], leads: Mapping[str, Any]) -> str:
    """A sentence that compares the AUPRC of hgt with the best baseline's and says if that may be chance."""
    auprc_by_method = {method["name"]: method["auprc"] for method in methods if _value_at(method, ("auprc",))}
    hgt = auprc_by_method.pop("hgt", None)
    if hgt is None or not auprc_by_method:
        return ""
    best = max(auprc_by_method, key=lambda name: auprc_by_method[name]["value"])
    baseline, lead = auprc_by_method[best], (leads.get(best) or {}).get("auprc")
    is_certain = hgt["low"] > baseline["high"] or hgt["high"] < baseline["low"]
    if lead:
        is_certain = lead["low"] > 0 or lead["high"] < 0
    relation = "above" if hgt["value"] > baseline["value"] else "not above"
    reserve = ", and the difference may be chance" if lead else ", and their intervals overlap"
    values = f"AUPRC {hgt['value']:#.3g} against {baseline['value']:#.3g}"
    return f"hgt is {relation} the best baseline, {best}: {values}{'' if is_certain else reserve}"


def _leads(leads: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Differences hgt minus baseline, with paired intervals, one row per baseline."""
    return [
        {"name": name, "cells": [(METRICS[metric], lead.get(metric)) for metric in COMPARED]}
        for name, lead in leads.items()
    ]
