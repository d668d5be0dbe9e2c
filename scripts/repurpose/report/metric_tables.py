"""From the metrics of a device to the rows of the report's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

METHODS = ["hgt", "svd", "untrained", "degree"]
METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "recall_at_100": "Recall@100", "mrr": "MRR"}
BLANK = dict.fromkeys([*METRICS, "positives", "negatives", "prevalence"])
LISTS = {"mrr": "MRR", "hits_at_1": "Hits@1", "hits_at_10": "Hits@10", "hits_at_50": "Hits@50"}
LISTS |= {"recall_at_50": "Recall@50", "recall_at_100": "Recall@100"}
OTHERS = {"uniform": "uniform", "matched": "matched", "known": "known negatives"}
WHOLE = ("100", "1000", "10000", "100000")
COMPARED = ("auprc", "recall_at_100", "mrr")


def schemes(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Per scheme its methods in METHODS' order, each with its measures, and where hgt stands among them."""
    result = []
    for name, found in ((metrics or {}).get("schemes") or {}).items():
        methods = _methods(found)
        best = {metric: _best(methods, (metric,), max) for metric in METRICS}
        sampled = any(method.get("sampled") for method in methods)
        leads = ((metrics or {}).get("differences") or {}).get(name) or {}
        scheme = {"name": name, "methods": methods, "best": best, "sampled": sampled}
        result.append({**scheme, "standing": _standing(methods, leads), "leads": _leads(leads)})
    return result


def further(metrics: Mapping[str, Any] | None, head_type: str, tail_type: str) -> list[dict[str, Any]]:
    """Tables of all other metrics: title, note, columns, and per scheme the values of each method.

    A table without a value is left out.
    """
    tables = []
    for title, note, columns, better in _groups(head_type, tail_type):
        parts = []
        for name, found in ((metrics or {}).get("schemes") or {}).items():
            methods = _methods(found)
            best = [_best(methods, path, better) for path in columns.values()]
            rows = [
                {
                    "name": method["name"],
                    "cells": [
                        (_at(method, path), best[place] == method["name"])
                        for place, path in enumerate(columns.values())
                    ],
                }
                for method in methods
            ]
            parts.append({"name": name, "rows": rows})
        if any(value for part in parts for row in part["rows"] for value, _ in row["cells"]):
            tables.append({"title": title, "note": note, "columns": list(columns), "schemes": parts})
    return tables


def corrections(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Per scheme and share of the mean, what correcting for popular heads does to the test's metrics."""
    return [
        {"scheme": scheme, "share": share, "cells": list(of_share.values()), "names": list(of_share)}
        for scheme, shares in ((metrics or {}).get("popularity_correction") or {}).items()
        for share, of_share in shares.items()
    ]


def _groups(head_type: str, tail_type: str) -> list[tuple[str, str, dict[str, tuple[str, ...]], Any]]:
    against = {
        f"{label}, {words}": ("against", kind, metric)
        for kind, words in OTHERS.items()
        for metric, label in (("auroc", "AUROC"), ("auprc", "AUPRC"))
    }
    negative = {label: ("known_negatives", key) for key, label in LISTS.items()}
    negative |= {f"Best {int(n):,}": ("known_negatives", "whole_list", n) for n in WHOLE}
    return [
        (
            "Against other negatives",
            "Uniform: unknown pairs, as many as positives. Matched: as many, of the positives' own "
            f"{head_type}s and {tail_type}s dealt out anew: to be popular on either side does not help. An "
            "AUPRC with as many negatives as positives says little of a real search.",
            against,
            max,
        ),
        (
            f"Within the list of one {tail_type}",
            f"Means over the {tail_type}s, beside those above. MRR and hits rank each positive among unknown "
            "pairs alone.",
            {label: (key,) for key, label in LISTS.items() if key not in METRICS},
            max,
        ),
        (
            f"Within the list of one {head_type}",
            f"The same for the {tail_type}s of each {head_type}.",
            {label: ("per_head", key) for key, label in LISTS.items()},
            max,
        ),
        (
            "Within the list of all pairs",
            "The share of the positives among the best N.",
            {f"Best {int(n):,}": ("whole_list", n) for n in WHOLE},
            max,
        ),
        (
            "Known negatives in the same lists",
            "Lower is better: these should not be proposed.",
            negative,
            min,
        ),
    ]


def _methods(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    order = sorted(found, key=lambda method: ([*METHODS, method].index(method), method))
    return [{"name": method, **BLANK, **(found[method] or {})} for method in order]


def _at(method: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, float] | None:
    found: Any = method
    for name in path:
        found = (found or {}).get(name)
    return found


def _best(methods: Sequence[Mapping[str, Any]], path: Sequence[str], better: Any) -> str | None:
    values = {method["name"]: _at(method, path) for method in methods}
    known = {name: value["value"] for name, value in values.items() if value}
    return better(known, key=lambda name: known[name]) if len(known) > 1 else None


def _standing(methods: Sequence[Mapping[str, Any]], leads: Mapping[str, Any]) -> str:
    """One sentence: hgt's AUPRC against the best baseline's, and whether the difference is sure."""
    known = {method["name"]: method["auprc"] for method in methods if _at(method, ("auprc",))}
    own = known.pop("hgt", None)
    if own is None or not known:
        return ""
    rival = max(known, key=lambda name: known[name]["value"])
    other, lead = known[rival], (leads.get(rival) or {}).get("auprc")
    apart = own["low"] > other["high"] or own["high"] < other["low"]
    if lead:
        apart = lead["low"] > 0 or lead["high"] < 0
    relation = "above" if own["value"] > other["value"] else "not above"
    unsure = ", and the difference may be chance" if lead else ", and their intervals overlap"
    values = f"AUPRC {own['value']:#.3g} against {other['value']:#.3g}"
    return f"hgt is {relation} the best baseline, {rival}: {values}{'' if apart else unsure}"


def _leads(leads: Mapping[str, Any]) -> list[dict[str, Any]]:
    """hgt less each baseline, with paired intervals."""
    return [
        {"name": name, "cells": [(METRICS[metric], lead.get(metric)) for metric in COMPARED]}
        for name, lead in leads.items()
    ]
