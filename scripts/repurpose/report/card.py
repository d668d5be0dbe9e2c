"""The dataset card of a run: README.md with front matter, to publish the results folder with.

The format is that of the Hugging Face Hub's dataset cards; other archives show it as a text.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repurpose.report import metric_tables

LINES = {
    "candidates/{device}/candidates.parquet (.csv)": "the best drugs for each disease",
    "candidates/{device}/by_head.parquet": "the best diseases for each drug",
    "candidates/{device}/evidence.parquet": "explanations of the best new pairs",
    "candidates/{device}/evidence.csv": "their paths, a row for each",
    "embeddings/{device}/embeddings.parquet": "the vectors: node_type, node_id, embedding",
    "classifier/{device}/metrics.json": "all metrics, with intervals and baselines",
    "validation/{device}/verdict.json": "the checks of the embeddings",
}
COMMON = {
    "report.html, summary.json": "the report",
    "pairs/pairs.parquet": "the labelled pairs and their splits",
    "graph/": "nodes, edges and relations, and every row that was dropped",
    "methods.md": "a methods paragraph with versions and citations",
    "config.yaml, records/": "the settings, and what each file was made from (SHA-256)",
}
# What Markdown or HTML would read as markup; names come from other people's files.
MARKUP = re.compile(r"([\\`*_{}\[\]<>()#|&!~$])")


def render(summary: Mapping[str, Any], types: Sequence[str], licence: str = "") -> str:
    """The card as text.

    summary: the content of summary.json; types: head and tail type of the target. licence: of the graph.
    """
    passed = summary["passed"]
    return "\n".join(
        [
            "---",
            *front_matter(passed, types, licence),
            "---",
            "",
            *_title(summary, types),
            "",
            *_files(passed),
            "",
            *_metrics(summary, passed),
            *_limits(summary, licence),
        ]
    )


def front_matter(passed: Sequence[str], types: Sequence[str], licence: str = "") -> Iterator[str]:
    """The lines of the front matter. Each value is JSON, which every reader of YAML takes."""
    files = {
        "candidates": "candidates/{}/candidates.parquet",
        "embeddings": "embeddings/{}/embeddings.parquet",
    }
    configs = [
        # A name of a config may have no colon, a path may.
        {"config_name": f"{name}-{device}".replace(":", "-"), "data_files": path.format(device)}
        for name, path in files.items()
        for device in passed
    ]
    content = {
        "pretty_name": f"Ranked candidates: {types[0]} for {types[1]}",
        "license": "other",
        "license_name": licence or "see-licence-of-edges-table",
        "tags": ["biology", "drug-repurposing", "knowledge-graph", "graph-embeddings"],
        "configs": configs,
    }
    for key, value in content.items():
        yield f"{key}: {json.dumps(value)}"


def plain(text: str) -> str:
    """A name as Markdown shows it: on one line, without markup."""
    return MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _title(summary: Mapping[str, Any], types: Sequence[str]) -> Iterator[str]:
    head, tail = map(plain, types)
    graph, pairs = summary["graph"], summary["pairs"]
    yield f"# Ranked candidates: {head} for {tail}"
    yield ""
    yield (
        f"Each row of a candidates file is a pair of a {head} and a {tail}, with a score, a probability, its "
        f"ranks and cautions. The scores were learned from a knowledge graph of {graph['nodes']:,} nodes and "
        f"{graph['edges']:,} edges, {pairs['positives']:,} known treatments and {pairs['negatives']:,} known "
        "negatives."
    )
    yield ""
    yield "**Research use only, not medical advice.** A candidate is a hypothesis; most are wrong."


def _files(passed: Sequence[str]) -> Iterator[str]:
    yield "## Files"
    yield ""
    if not passed:
        yield "No embedding passed its checks, so there are no candidates; report.html says why."
        yield ""
    else:
        yield f"DEVICE is {' or '.join(map(plain, passed))}."
        yield ""
    yield "| file | what |"
    yield "|---|---|"
    for name, text in {**(LINES if passed else {}), **COMMON}.items():
        yield f"| {name.format(device='DEVICE')} | {text} |"
    yield ""
    yield "No file is a pickle. The workflow's docs/exports.md describes the columns of the candidates."


def _metrics(summary: Mapping[str, Any], passed: Sequence[str]) -> Iterator[str]:
    rows = [row for row in summary["devices"] if row["device"] in passed]
    if not rows:
        return
    yield "## How good it is"
    yield ""
    yield (
        "Known treatments were held out and ranked among all unknown pairs. Each value is a mean over the "
        "lists of single diseases, with its 95 % interval. report.html compares them with baselines."
    )
    yield ""
    labels = metric_tables.LIST_METRICS
    yield f"| device | held out | {' | '.join(labels.values())} |"
    yield f"|---|---|{'---|' * len(labels)}"
    for row in rows:
        for scheme, methods in row["metrics"]["schemes"].items():
            cells = [_estimate(methods["hgt"].get(name)) for name in labels]
            yield f"| {plain(row['device'])} | {scheme} | {' | '.join(cells)} |"
    yield ""


def _estimate(metric: Mapping[str, float] | None) -> str:
    if not metric or metric.get("value") is None:
        return "-"
    value, low, high = (metric.get(name) for name in ("value", "low", "high"))
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _limits(summary: Mapping[str, Any], licence: str) -> Iterator[str]:
    dropped, rows = summary["graph"]["dropped"], summary["graph"]["rows"]
    yield "## Limits"
    yield ""
    yield f"- {dropped:,} of {rows:,} rows of the edges table were dropped; graph/ledger.json says why."
    yield "- Unknown pairs count as no treatments, in training and in the metrics, although some of them are."
    yield "- A graph has more edges where more research was done: well-studied drugs may rank higher."
    yield "- The column `caution` marks pairs that are unlike those that the model learned from."
    yield ""
    yield "## Licence"
    yield ""
    yield "Nodes, edges, names and known pairs come from the edges table, whose licence holds for them:"
    yield ""
    yield f"- source and licence of the edges table: {plain(licence) or '...'}"
    yield ""
