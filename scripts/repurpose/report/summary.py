"""The summary of a run: the outcome of each device, and the sentences about all devices."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repurpose.config.device import seed_in
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import paths
from repurpose.report import metric_tables

TOP_PAIRS = 50
POPULAR = 10  # so many frequent flyers (heads in the lists of most tails) are in an outcome
PAIR_COLUMNS = ["head_name", "tail_name", "head_id", "tail_id", "score", "probability", "known", "caution"]
PAIR_COLUMNS += ["rank_of_drug_for_disease", "rank_low", "rank_high"]
POOLED_COLUMNS = [*PAIR_COLUMNS, "listed_by"]
# Those whose range over the runs is in the summary.
SPREAD_METRICS = (*metric_tables.LIST_METRICS, *metric_tables.POOLED_METRICS)


class Ranked(NamedTuple):
    """Contents of the result files of a device that passed; each field has its file's name."""

    metrics: Mapping[str, Any]
    candidates: pa.Table
    evidence: pa.Table
    popularity: pa.Table
    stability: Mapping[str, Any]
    lists: Mapping[str, Any]
    negatives: Mapping[str, Any]


def outcome(
    verdict: Mapping[str, Any], training: Mapping[str, Any], ranked: Ranked | None, embedding_dim: int
) -> dict[str, Any]:
    """The outcome of one device: its row of the summary, ready for JSON.

    `verdict` and `training` are the contents of the device's JSON files; `ranked` is None if the device did
    not pass the gate. In the result, `seconds` is the time of training, `final_link` the last link loss, and
    `floor` the link loss of random guessing.
    """
    failed = [check for check in verdict["checks"] if not check["passed"]]
    reason, remedy = ("", "") if verdict["passed"] else _explanation(failed, training)
    return {
        "device": verdict["device"],
        "passed": bool(verdict["passed"]),
        "status": training["status"],
        "batching": training.get("batching"),
        "reason": reason,
        "remedy": remedy,
        "steps": training.get("steps"),
        "seconds": _finite(training.get("seconds")),
        "peak_rss_bytes": training.get("peak_rss_bytes"),
        "embedding_dim": embedding_dim,
        "final_link": _finite(verdict.get("classic", {}).get("final_loss")),
        "floor": _finite(training.get("floor")),
        "checks_failed": [check["name"] for check in failed],
        "metrics": ranked and ranked.metrics,
        "calibration": ranked and _calibration(ranked.candidates),
        "candidates": ranked and ranked.candidates.num_rows,
        "top": ranked and top_pairs(ranked.candidates, ranked.evidence),
        "popular": ranked and ranked.popularity[:POPULAR].to_pylist(),
        "stability": ranked and ranked.stability,
        "lists": ranked and ranked.lists,
        # The trees of the model are left out: they are most of the file.
        "negatives": ranked and {k: v for k, v in ranked.negatives.items() if k not in ("model", "digest")},
    }


def embedding_dim(path: str | Path) -> int:
    """Dimension of the vectors in an embedding file; reads only the schema.

    Raises InputError if the file is not parquet or its vectors have no fixed size.
    """
    try:
        column_type = pq.read_schema(path).field("embedding").type
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path} is not a readable embedding file; {files.rebuild_hint(path)}") from error
    if not pa.types.is_fixed_size_list(column_type):
        raise InputError(
            f"{path}: the column embedding must hold lists of one fixed size, found {column_type}"
        )
    return column_type.list_size


def _calibration(candidates: pa.Table) -> dict[str, Any] | None:
    """The calibration of the probabilities, from the metadata of candidates.parquet (`candidates.save`)."""
    return json.loads((candidates.schema.metadata or {}).get(b"calibration", b"null"))


def best_new(candidates: pa.Table, count: int, by: Sequence[str] = ("probability", "score")) -> pa.Table:
    """The `count` pairs without a known relation that have the highest probability.

    Ties are sorted by score, tail_id and head_id. A score or probability that is not finite becomes null
    and sorts last. by: columns to sort by, the first one first.
    """
    novel = candidates.filter(pc.equal(candidates["known"], ""))
    for name in ("score", "probability"):
        values = novel[name]
        finite = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
        novel = novel.set_column(novel.schema.get_field_index(name), name, finite)
    order = [*((name, "descending") for name in by), ("tail_id", "ascending"), ("head_id", "ascending")]
    # A partial sort is enough, and faster: with `per_tail: 0` the table holds every pair of the graph.
    return novel.take(pc.select_k_unstable(novel, k=count, sort_keys=order))


def top_pairs(candidates: pa.Table, evidence: pa.Table, count: int = TOP_PAIRS) -> list[dict[str, Any]]:
    """The best new pairs, each with its main reason and its most important path, if `evidence` has them.

    `treated`: whether the tail has a known treatment, from the metadata of candidates.parquet.
    `reason`: the metapath or vote that raises the score most, with its voters, or "". `path`: text of the
    path whose removal lowers the score most, or "". `path_change`: the change of the score when the edges of
    the path are removed, or None.
    """
    explained = {
        (row["head_id"], row["tail_id"]): row
        for row in evidence.select(["head_id", "tail_id", "paths", "reasons"]).to_pylist()
    }
    treated = set(json.loads((candidates.schema.metadata or {}).get(b"treated", b"[]")))
    result = []
    for pair in best_new(candidates.select(PAIR_COLUMNS), count).to_pylist():
        row = explained.get((pair["head_id"], pair["tail_id"]), {})
        path, reason = paths.leading(row.get("paths") or []), next(iter(row.get("reasons") or []), None)
        voters = f" ({', '.join(reason['voters'])})" if reason and reason["voters"] else ""
        result.append(
            {
                **pair,
                "treated": pair["tail_id"] in treated,
                "reason": f"{reason['text']}{voters}" if reason else "",
                "path": path["text"] if path else "",
                "path_change": path["change"] if path else None,
            }
        )
    return result


def pooled(outcomes: Sequence[Mapping[str, Any]], candidates: pa.Table) -> dict[str, Any]:
    """The summary's section on the pooled candidates, ready for JSON.

    outcomes: of all runs. candidates: POOLED_COLUMNS of the pooled candidates, with its metadata. In the
    result, `runs` are the pooled runs, none if fewer than two passed. `metrics`: scheme -> metric -> mean,
    lowest and highest value of hgt over these runs. `top`: the best new pairs by mean log-odds.
    """
    names = json.loads((candidates.schema.metadata or {}).get(b"runs", b"[]"))
    schemes_of_runs = [row["metrics"]["schemes"] for row in outcomes if row["device"] in names]
    return {
        "runs": names,
        "candidates": candidates.num_rows,
        "metrics": {
            scheme: _spread([schemes[scheme]["hgt"] for schemes in schemes_of_runs])
            for scheme in (schemes_of_runs[0] if schemes_of_runs else {})
        },
        "top": best_new(candidates, TOP_PAIRS, ("score", "probability")).to_pylist(),
    }


def _spread(metrics_of_runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float] | None]:
    """Mean, lowest and highest value of each metric over the runs; None if a run has no value."""
    result: dict[str, dict[str, float] | None] = {}
    for name in SPREAD_METRICS:
        values = [(metrics[name] or {}).get("value") for metrics in metrics_of_runs]
        known = [value for value in values if value is not None]
        result[name] = (
            {"value": sum(known) / len(known), "low": min(known), "high": max(known)}
            if len(known) == len(values)
            else None
        )
    return result


def summary(
    outcomes: Sequence[Mapping[str, Any]],
    relations: Sequence[Mapping[str, Any]],
    ledger: Mapping[str, Any],
    certificate: Mapping[str, Any],
    agreement: Mapping[str, Any] | None = None,
    pooled: Mapping[str, Any] | None = None,
    chance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The summary of a run, ready for JSON: all outcomes, who passed, and the size of graph and pairs.

    `relations`, `ledger`, `certificate` and `agreement` (None for a single device) are the contents of the
    JSON files of those names. `pooled`: see the function of this name; None, without the config's `seeds`,
    leaves the key out. `chance`: device -> `chance.run`; without any, the key is left out. In the result,
    `edges` counts an undirected edge once; `rows` and `dropped` count rows of the edges table.
    """
    # Some certificates have the counts of pairs in the section `pairs`, others at the top level.
    pairs = certificate.get("pairs", certificate)
    return {
        "devices": [dict(row) for row in outcomes],
        "passed": [row["device"] for row in outcomes if row["passed"]],
        "graph": {
            "nodes": sum(ledger["nodes"].values()),
            "edges": sum(relation["edges"] for relation in relations),
            "relations": len(relations),
            "rows": ledger["rows"],
            "dropped": sum(ledger["dropped"].values()),
        },
        "pairs": {"positives": pairs["positives"], "negatives": pairs["negatives"]},
        "agreement": agreement,
        **({"pooled": pooled} if pooled else {}),
        **({"chance": dict(chance)} if chance else {}),
    }


def verdict_sentence(summary: Mapping[str, Any]) -> str:
    """One sentence on which devices passed the gate and why others failed, without a full stop."""
    passed = summary["passed"]
    failed = "; ".join(
        f"{row['device']}: {'; '.join(filter(None, [row['reason'], row['remedy']]))}"
        for row in summary["devices"]
        if not row["passed"]
    )
    if not passed:
        return f"no device passed the gate: {failed}"
    total = len(summary["devices"])
    noun = "device" if seed_in(summary["devices"][0]["device"]) is None else "run"
    noun += "" if total == 1 else "s"
    sentence = f"{len(passed)} of {total} {noun} passed the gate: {', '.join(passed)}"
    return f"{sentence}; failed: {failed}" if failed else sentence


def disagreements(agreement: Mapping[str, Any]) -> list[str]:
    """One sentence for each pair of devices that does not agree, from the content of agreement.json."""
    return [
        f"{' and '.join(pair['devices'])} do not agree: "
        + "; ".join(_out_of_tolerance(check) for check in pair["checks"] if not check["passed"])
        for pair in agreement["pairs"]
        if pair["agrees"] is False
    ]


def _out_of_tolerance(check: Mapping[str, Any]) -> str:
    value = "not known" if check["value"] is None else f"{check['value']:.3g}"
    return (
        f"{check['name'].replace('_', ' ')} is {value}, {check['side']} {check['threshold']:g} was expected"
    )


def _explanation(failed: Sequence[Mapping[str, Any]], training: Mapping[str, Any]) -> tuple[str, str]:
    """Reason and remedy for a device that failed: those of its training if that did not complete."""
    if training["status"] != "completed":
        texts = [training["status"], training.get("reason", "")]
        return ": ".join(text for text in texts if text), training.get("remedy", "")
    reasons = [": ".join(filter(None, [check["name"], check["reason"]])) for check in failed]
    # Several checks often have the same remedy; it is said once.
    remedies = dict.fromkeys(check["remedy"] for check in failed if check["remedy"])
    return "; ".join(reasons) or "the verdict names no failed check", "; ".join(remedies)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
