"""A methods paragraph for a paper, written for one run: what was done with which data and versions."""

from collections.abc import Mapping, Sequence
from typing import Any

from repurpose.config.sections import DatasetSettings
from repurpose.graph.names import shown

HGT = "Hu et al. Heterogeneous Graph Transformer. WWW 2020. doi:10.1145/3366423.3380027"
XGBOOST = "Chen, Guestrin. XGBoost: a scalable tree boosting system. KDD 2016. doi:10.1145/2939672.2939785"
METAPATHS = (
    "Himmelstein, Baranzini. Heterogeneous network edge prediction. PLoS Comput Biol 2015. "
    "doi:10.1371/journal.pcbi.1004259"
)
PARTS = {
    "trees": (
        "gradient boosted trees ({draws} sets of at most {trees} trees, each with other random negatives)",
        XGBOOST,
    ),
    "kernel": ("kernel ridge regression on pairs", ""),
    "metapaths": ("boosted trees on degree-weighted path counts and neighbour votes", METAPATHS),
    "specificity": ("a logistic regression on these with negatives matched on popularity", ""),
}
SPLITS = {
    "random": "random pairs",
    "disease": "all pairs of some {tails}s",
    "drug": "all pairs of some {heads}s",
    "area": "all {tails}s of some areas",
    "date": "the treatments known last",
}
# Which split is quoted: the first that was tested.
UNTREATED_FIRST = ("disease", "area", "date", "random", "drug")


def text(
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    types: tuple[str, str],
    dataset: DatasetSettings,
    made: Mapping[str, Any],
) -> str:
    """The paragraph in Markdown, with its references.

    summary: the content of summary.json. config: of the run; {} if it is not known. types: head and tail type
    of the target. made: see `made.describe`.
    """
    references: list[str] = []

    def cited(reference: str) -> str:
        if reference not in references:
            references.append(reference)
        return f"[{references.index(reference) + 1}]"

    heads, tails = map(shown, types)
    sentences = [*_data(summary, dataset, heads, tails, cited), *_tables(made)]
    if config:
        sentences += _encoder(summary, config, cited)
        sentences += _scores(config, tails, cited) if summary["passed"] else []
    sentences += _measures(summary, heads, tails)
    sentences += _software(made)
    lines = ["# Methods", "", " ".join(sentences), "", "## References", ""]
    return "\n".join([*lines, *(f"{number}. {each}" for number, each in enumerate(references, 1)), ""])


def _data(
    summary: Mapping[str, Any], dataset: DatasetSettings, heads: str, tails: str, cited: Any
) -> list[str]:
    graph, pairs = summary["graph"], summary["pairs"]
    name = " ".join(filter(None, (dataset.name, dataset.version)))
    source = f"The knowledge graph{f' {name}' if name else ''}"
    source += f" {cited(dataset.citation)}" if dataset.citation else ""
    licence = [f"Its licence: {dataset.licence.rstrip('.')}."] if dataset.licence else []
    negatives = f" and {pairs['negatives']:,} known negatives" if pairs["negatives"] else ""
    return [
        f"{source} was read as {graph['nodes']:,} nodes and {graph['edges']:,} distinct edges of "
        f"{graph['relations']:,} relations.",
        *licence,
        f"{pairs['positives']:,} known treatments{negatives} (pairs of a {heads} and a {tails}) and all "
        "other relations between these two types were taken out of the graph before anything was trained.",
    ]


def _tables(made: Mapping[str, Any]) -> list[str]:
    digests = [f"{table['key']} {table['digest']}" for table in made["tables"] if table["digest"]]
    return [f"SHA-256 of the tables: {', '.join(digests)}."] if digests else []


def _encoder(summary: Mapping[str, Any], config: Mapping[str, Any], cited: Any) -> list[str]:
    hgt, training = config["hgt"], config["training"]
    trained = [row for row in summary["devices"] if row["device"] != "given"]
    if not trained:
        return ["Node embeddings were those of another method."]
    parts = [("relation profiles", hgt["profile_dim"]), ("truncated SVD", hgt["svd_dim"])]
    columns = [f"{size} columns of {name}" for name, size in parts if size]
    columns.append(f"{hgt['embedding_dim'] - hgt['profile_dim'] - hgt['svd_dim']} of the encoder output")
    steps = ", ".join(f"{row['steps']:,} steps on {row['device']} ({row['batching']})" for row in trained)
    return [
        f"A Heterogeneous Graph Transformer {cited(HGT)} with {hgt['layers']} layers, {hgt['heads']} heads "
        f"and {hgt['hidden_dim']} channels was trained to tell edges from random pairs (learning rate "
        f"{training['learning_rate']:g}; {steps}).",
        f"A node's vector has {hgt['embedding_dim']} numbers: {', '.join(columns)}.",
        f"Embeddings were used if they passed the workflow's checks, which {len(summary['passed'])} of "
        f"{len(summary['devices'])} did.",
    ]


def _scores(config: Mapping[str, Any], tails: str, cited: Any) -> list[str]:
    settings = config["classifier"]
    listed = []
    for name in settings["parts"]:
        words, reference = PARTS[name]
        listed.append(words.format(**settings) + (f" {cited(reference)}" if reference else ""))
    return [
        f"Pairs were scored by {_joined(listed)}, with weights chosen on validation pairs.",
        f"Probabilities were calibrated on {tails}s whose treatments had been held out.",
    ]


def _measures(summary: Mapping[str, Any], heads: str, tails: str) -> list[str]:
    for row in summary["devices"]:
        schemes = (row["metrics"] or {}).get("schemes", {}) if row["passed"] else {}
        for scheme in (name for name in UNTREATED_FIRST if name in schemes):
            per_tail = schemes[scheme]["hgt"].get("ap") or {}
            if per_tail.get("value") is None:
                continue
            held = SPLITS[scheme].format(tails=tails, heads=heads)
            return [
                f"With {held} held out, the mean average precision over the lists of single {tails}s was "
                f"{per_tail['value']:.3f} (95 % interval {per_tail['low']:.3f} to {per_tail['high']:.3f})."
            ]
    return []


def _software(made: Mapping[str, Any]) -> list[str]:
    versions = [f"{name} {version}" for name, version in made["versions"].items()]
    commit = f" (commit {made['commit']})" if made["commit"] else ""
    said = f", with {', '.join(versions)}" if versions else ""
    return [f"All steps were run by one Snakemake workflow for drug repurposing{commit}{said}."]


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
