"""The rows of the report's metric tables, from the content of metrics.json of one device."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

METHOD_LABELS = {
    "hgt": "this model",
    "embedding": "embedding alone",
    "metapaths": "metapath features alone",
    "votes": "neighbour votes",
    "paths": "path counts",
    "svd": "SVD",
    "no_layers": "no layers",
    "untrained": "untrained",
    "degree": "degree",
    "popularity": "popularity",
}
METHODS = list(METHOD_LABELS)
# The metrics of the list of one tail (or head) that lead.
LIST_METRICS = {"ap": "AP", "mrr_of_first": "MRR", "recall_at_10": "Recall@10", "recall_at_50": "Recall@50"}
LIST_METRICS |= {"ndcg_at_10": "NDCG@10"}
POOLED_METRICS = {"auprc": "AUPRC", "auroc": "AUROC"}
SINGLE_PAIR_METRICS = {"mrr": "MRR, all positives", "hits_at_1": "Hits@1", "hits_at_10": "Hits@10"}
SINGLE_PAIR_METRICS |= {"hits_at_50": "Hits@50", "recall_at_100": "Recall@100"}
LABELS = LIST_METRICS | POOLED_METRICS | SINGLE_PAIR_METRICS
COUNTS = {"positives": "Positives", "negatives": "Negatives", "prevalence": "Prevalence"}
NEGATIVE_SETS = {"uniform": "uniform", "matched": "matched", "known": "known negatives"}
WHOLE_LIST_SIZES = ("100", "1000", "10000", "100000")
# Methods that share nothing with the score but the graph: if it does not beat them, it adds nothing.
INDEPENDENT = ("votes", "paths", "svd", "untrained", "degree", "popularity")
LEADING = "ap"  # the metric by which hgt is compared with the best baseline
# What a split says about the treatments of its test tails.
TREATMENTS_BY_SCHEME = {
    "random": "a test {tail} can have other treatments in training",
    "disease": "no test {tail} has a treatment in training",
    "drug": "a test {tail} can have treatments by other {head}s in training",
    "area": "no test {tail} has a treatment in training",
    "date": "the treatments known last; a test {tail} can have earlier ones in training",
    "external": "external pairs; a {tail} can have known treatments, all of which are in training",
}


class Columns(NamedTuple):
    """A table of metrics to fill: label of a column -> keys of its metric; `better`: max or min is best."""

    title: str
    note: str
    paths: dict[str, tuple[str, ...]]
    better: Callable[..., str] = max


def leading_tables(metrics: Mapping[str, Any] | None, head_type: str, tail_type: str) -> list[dict[str, Any]]:
    """The tables that are read first: the lists of one tail, of one head, and all pairs pooled.

    Each has title, note, columns, and per split scheme its name, `remarks` and the rows of its methods; a
    cell is (estimate or count, whether it is the best). Tails with and without a treatment in training have
    tables of their own if the metrics have them apart.
    """
    tables = [
        Columns(
            f"Within the list of one {tail_type}",
            f"Means over the {tail_type}s that have a held-out treatment, each counted once, with 95 % "
            f"intervals that draw {tail_type}s. The best value of a split is bold.",
            _paths(LIST_METRICS) | {f"{tail_type.capitalize()}s": ("tails",)},
        ),
        *(
            Columns(
                f"The same for {tail_type}s {words} a treatment in training",
                "",
                _paths(LIST_METRICS, group) | {f"{tail_type.capitalize()}s": (group, "tails")},
            )
            for group, words in (("untreated", "without"), ("treated", "with"))
        ),
        Columns(
            f"Within the list of one {head_type}",
            f"Means over the {head_type}s that have a held-out treatment, with intervals that draw "
            f"{head_type}s.",
            _paths(LIST_METRICS, "per_head"),
        ),
        Columns(
            "All pairs in one list",
            "All held-out pairs ranked against all pairs that no known relation connects. "
            f"{tail_type.capitalize()}s with many treatments count most.",
            _paths(POOLED_METRICS) | {label: (key,) for key, label in COUNTS.items()},
        ),
    ]
    filled = [_table(metrics, columns) for columns in tables]
    for scheme in filled[0]["schemes"]:
        words = TREATMENTS_BY_SCHEME.get(scheme["name"], "").format(head=head_type, tail=tail_type)
        scheme["remarks"] = [each for each in (words, *_remarks(metrics or {}, scheme["name"])) if each]
    for table in filled[1:]:
        table["schemes"] = [scheme for scheme in table["schemes"] if _has_estimate(scheme["rows"])]
    return [table for table in filled if table["schemes"]]


def leading_estimates(metrics: Mapping[str, Any] | None) -> dict[str, dict[str, Mapping[str, float]]]:
    """Scheme -> method, as readers know it -> its estimate of LEADING: value, low, high."""
    result = {}
    for scheme, contents in ((metrics or {}).get("schemes") or {}).items():
        estimates = {
            method_label(name): (contents[name] or {})[LEADING]
            for name in in_order(contents)
            if (contents[name] or {}).get(LEADING)
        }
        if estimates:
            result[scheme] = estimates
    return result


def further_tables(metrics: Mapping[str, Any] | None, head_type: str, tail_type: str) -> list[dict[str, Any]]:
    """Tables of all other metrics, in the form of `leading_tables`; a table without any value is left out."""
    tables = [_table(metrics, columns) for columns in _further_columns(head_type, tail_type)]
    return [table for table in tables if any(_has_estimate(scheme["rows"]) for scheme in table["schemes"])]


def difference_table(metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    """Differences hgt minus baseline with paired intervals: columns, and one row per split and baseline."""
    compared = LIST_METRICS | POOLED_METRICS
    rows = [
        {"scheme": scheme, "name": method_label(name), "cells": [leads[name].get(key) for key in compared]}
        for scheme, leads in ((metrics or {}).get("differences") or {}).items()
        for name in in_order(leads)
    ]
    return {"columns": list(compared.values()), "rows": rows}


def chance_table(row: Mapping[str, Any], chance: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What a device measured and the same with shuffled treatments: rows of label, `real` and `chance`.

    row: of the summary. chance: see `chance.run`, None for no such run. Values are estimates or numbers.
    """
    if not chance:
        return []
    rows = []
    for scheme, methods in chance["schemes"].items():
        real = (row["metrics"]["schemes"].get(scheme) or {}).get("hgt") or {}
        for name, label in {**LIST_METRICS, "auroc": "AUROC of all pairs"}.items():
            values = {"real": real.get(name), "chance": methods["hgt"].get(name)}
            if all(values.values()):
                rows.append({"label": f"{label}, split {scheme}", **values})
    best = ((row["calibration"] or {}).get("best") or {}).get("all") or {}
    rows.append(
        {
            "label": "mean probability of the best pair",
            "real": best.get("predicted"),
            "chance": chance["best"]["predicted"],
        }
    )
    for group, words in (("untreated", "without"), ("treated", "with")):
        of_group = [lists[group] for lists in (row["lists"], chance["lists"])]
        for key, label in (
            ("heads", "different heads in the lists"),
            ("share", "share of lists with the most common head"),
        ):
            real, by_chance = (lists[key] for lists in of_group)
            rows.append({"label": f"{label}, tails {words} a treatment", "real": real, "chance": by_chance})
    return rows


def in_order(methods: Iterable[str]) -> list[str]:
    """The methods in the order of METHODS, then others by name."""
    return sorted(methods, key=lambda method: ([*METHODS, method].index(method), method))


def method_label(name: str) -> str:
    """The name of a method for readers."""
    return METHOD_LABELS.get(name, name)


def correction_rows(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The change of the test metrics by the popularity correction, per scheme and share of the mean score."""
    return [
        {
            "scheme": scheme,
            "share": share,
            "cells": list(differences.values()),
            "names": [LABELS.get(name, name) for name in differences],
        }
        for scheme, shares in ((metrics or {}).get("popularity_correction") or {}).items()
        for share, differences in shares.items()
    ]


def _further_columns(head_type: str, tail_type: str) -> list[Columns]:
    against = {
        f"{label}, {description}": ("against", negatives, metric)
        for negatives, description in NEGATIVE_SETS.items()
        for metric, label in (("auroc", "AUROC"), ("auprc", "AUPRC"))
    }
    whole_list = {f"Best {int(n):,}": ("whole_list", n) for n in WHOLE_LIST_SIZES}
    # Known negatives have no metrics of a whole list, such as AP.
    known_negatives = {**SINGLE_PAIR_METRICS, **{f"recall_at_{k}": f"Recall@{k}" for k in (10, 50)}}
    return [
        Columns(
            f"More on the list of one {tail_type}",
            "MRR of all positives and hits rank each positive among unknown pairs alone.",
            _paths(SINGLE_PAIR_METRICS),
        ),
        Columns(
            f"More on the list of one {head_type}",
            f"The same for the {tail_type}s of each {head_type}.",
            _paths(SINGLE_PAIR_METRICS, "per_head"),
        ),
        Columns(
            "Against other negatives",
            "Uniform: unknown pairs, as many as positives. Matched: as many, with the heads and tails "
            "of the positives shuffled: popularity on either side does not help. An "
            "AUPRC with as many negatives as positives says little of a real search.",
            against,
        ),
        Columns("Within the list of all pairs", "The share of the positives among the best N.", whole_list),
        Columns(
            "Known negatives in the same lists",
            "Lower is better: these should not be proposed.",
            _paths(known_negatives, "known_negatives")
            | {label: ("known_negatives", *path) for label, path in whole_list.items()},
            min,
        ),
    ]


def _paths(labels: Mapping[str, str], *section: str) -> dict[str, tuple[str, ...]]:
    """Label -> keys of the metric, within a section of the metrics."""
    return {label: (*section, key) for key, label in labels.items()}


def _table(metrics: Mapping[str, Any] | None, table: Columns) -> dict[str, Any]:
    schemes = []
    for name, metrics_by_method in ((metrics or {}).get("schemes") or {}).items():
        methods = {method: metrics_by_method[method] or {} for method in in_order(metrics_by_method)}
        values = {
            method: [_value_at(content, path) for path in table.paths.values()]
            for method, content in methods.items()
        }
        best = [
            _best(dict(zip(methods, column, strict=True)), table.better)
            for column in zip(*values.values(), strict=True)
        ]
        rows = [
            {
                "name": method_label(method),
                "cells": [
                    (value, best_method == method) for value, best_method in zip(cells, best, strict=True)
                ],
            }
            for method, cells in values.items()
        ]
        schemes.append({"name": name, "remarks": [], "rows": rows})
    return {"title": table.title, "note": table.note, "columns": list(table.paths), "schemes": schemes}


def _has_estimate(rows: Iterable[Mapping[str, Any]]) -> bool:
    return any(isinstance(value, Mapping) for row in rows for value, _ in row["cells"])


def _value_at(content: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = content
    for name in path:
        value = (value or {}).get(name)
    return value


def _best(value_by_method: Mapping[str, Any], better: Callable[..., str]) -> str | None:
    """The method with the best estimate; None if fewer than two have one, or for counts."""
    estimates = {name: each["value"] for name, each in value_by_method.items() if isinstance(each, Mapping)}
    return better(estimates, key=lambda name: estimates[name]) if len(estimates) > 1 else None


def beaten_by(metrics: Mapping[str, Any] | None) -> dict[str, str]:
    """The label of the independent method that hgt is not above, "" for none, by kind of tail.

    The split of random pairs stands for lists of treated tails, that of whole tails for untreated ones.
    """
    schemes = (metrics or {}).get("schemes", {})
    of_kinds = {"treated": "random", "untreated": "disease"}
    names = {kind: not_below(schemes.get(scheme) or {}) for kind, scheme in of_kinds.items()}
    return {kind: method_label(name) if name else "" for kind, name in names.items()}


def not_below(methods: Mapping[str, Mapping[str, Any] | None]) -> str:
    """The best independent method by LEADING if hgt is not above it; "" if it is, or if one is not known."""
    estimates = {name: (methods.get(name) or {}).get(LEADING) for name in ("hgt", *INDEPENDENT)}
    values = {name: estimate["value"] for name, estimate in estimates.items() if estimate}
    hgt = values.pop("hgt", None)
    best = max(values, key=lambda name: values[name], default="")
    return best if best and hgt is not None and hgt <= values[best] else ""


def shortfalls(metrics: Mapping[str, Any] | None, device: str) -> list[str]:
    """A sentence for each split on which an independent method has lists that are as good or better."""
    result = []
    for scheme, contents in (metrics or {}).get("schemes", {}).items():
        if not not_below(contents):
            continue
        methods = {name: contents.get(name) or {} for name in ("hgt", *INDEPENDENT)}
        standing = _standing(methods, ((metrics or {}).get("differences") or {}).get(scheme) or {})
        result.append(
            f"{device}, split {scheme}: {standing}. Trust its lists no more than those; wider vectors "
            "(hgt.hidden_dim) or more seeds (seeds) may help"
        )
    return result


def _remarks(metrics: Mapping[str, Any], scheme: str) -> list[str]:
    """How hgt compares with the best baseline of a scheme, and whether its metrics are of a sample."""
    methods = {name: content or {} for name, content in metrics["schemes"][scheme].items()}
    leads = (metrics.get("differences") or {}).get(scheme) or {}
    is_sampled = any(content.get("sampled") for content in methods.values())
    return [_standing(methods, leads), "estimated from a sample of the pairs" if is_sampled else ""]


def _standing(methods: Mapping[str, Mapping[str, Any]], leads: Mapping[str, Any]) -> str:
    """A sentence that compares hgt by LEADING with the best baseline and says if that may be chance."""
    estimates = {name: content[LEADING] for name, content in methods.items() if content.get(LEADING)}
    hgt = estimates.pop("hgt", None)
    if hgt is None or not estimates:
        return ""
    best = max(estimates, key=lambda name: estimates[name]["value"])
    baseline, lead = estimates[best], (leads.get(best) or {}).get(LEADING)
    is_certain = hgt["low"] > baseline["high"] or hgt["high"] < baseline["low"]
    if lead:
        is_certain = lead["low"] > 0 or lead["high"] < 0
    relation = "above" if hgt["value"] > baseline["value"] else "not above"
    reserve = ", and the difference may be chance" if lead else ", and their intervals overlap"
    values = f"{LABELS[LEADING]} {hgt['value']:#.3g} against {baseline['value']:#.3g}"
    return (
        f"{method_label('hgt')} is {relation} the best other method, {method_label(best)}: "
        f"{values}{'' if is_certain else reserve}"
    )
