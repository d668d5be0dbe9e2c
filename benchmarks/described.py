"""A disease that the graph lacks: how good is its list, compared with that of the same disease in the graph?

    python benchmarks/described.py --json --results results --config benchmarks/hetionet.yaml --work FOLDER

--results: a finished run, whose graph and treatments are used; --config: its overlays without the table. Some
diseases that have treatments and genes are drawn. One run has a table without the relations between them and
drugs: the diseases are in the graph, and their treatments are held out. A second run has a table without any
of their rows: they are described, as a user would, by their genes, by genes and symptoms, or by all their
links. All drugs are ranked for each; the treatments in `--results` are the truth. A row is one disease, asked
for in one way; the table has the means over diseases, with 95 % intervals that draw diseases.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pyarrow as pa
import row_files
import yaml
from sklearn.metrics import average_precision_score, roc_auc_score

from repurpose.candidates import candidates, described, questions
from repurpose.config.sections import Target
from repurpose.core import files, streams, threads
from repurpose.evaluation import metrics
from repurpose.graph import graph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.pairs import pairs

PROJECT = Path(__file__).resolve().parents[1]
GOAL = "results/candidates/cpu/candidates.parquet"
MEASURES = ("average_precision", "reciprocal_rank", "recall_50", "auroc")
IN_GRAPH = "in the graph"
FEWEST_GENES = 3


def main() -> None:
    """Make both runs, measure all lists, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, required=True, help="of a finished run with the whole table")
    parser.add_argument("--config", type=Path, nargs="+", default=[], help="overlays of both runs")
    parser.add_argument("--work", type=Path, required=True, help="folder for both runs; made ones are kept")
    parser.add_argument("--rows", type=Path, help="also write each row to this .jsonl file")
    parser.add_argument("--diseases", type=int, default=20, help="how many")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="JSON in place of text")
    options = parser.parse_args()
    threads.limit(options.cores)
    kg = graph.load(GraphFiles.in_folder(options.results / "graph"))
    target = Target(**files.read_json(options.results / "pairs" / "certificate.json")["target"])
    drawn = draw(kg, target, options.diseases, options.seed)
    tables = {"inside": without_treatments(kg, target, drawn), "outside": without_nodes(kg, target, drawn)}
    runs = {
        name: finished(options.work / name, table, options.config, options.cores)
        for name, table in tables.items()
    }
    rows = list(measured(kg, target, drawn, runs["inside"], runs["outside"]))
    for row in rows if options.rows else []:
        row_files.append(options.rows, row)
    summary = table_of(rows, options.seed)
    print(json.dumps(summary) if options.json else "\n".join(lines(summary)))


def draw(kg: Graph, target: Target, count: int, seed: int) -> np.ndarray:
    """Tails with a known treatment and at least FEWEST_GENES genes, ascending."""
    _, treated = pairs.treated(pairs.label(kg, target))
    genes = [
        len(described.linked(kg, target.tail_type, tail, "genes"))
        for tail in range(kg.count(target.tail_type))
    ]
    eligible = np.intersect1d(treated, np.flatnonzero(np.array(genes) >= FEWEST_GENES))
    rng = streams.generator(seed, "diseases that are described")
    return np.sort(rng.permutation(eligible)[:count])


def without_treatments(kg: Graph, target: Target, tails: np.ndarray) -> pa.Table:
    """All edges but those between heads and the given tails, in the columns of PrimeKG."""
    types = set(target.types)
    return edges_table(
        kg,
        lambda relation, ends: np.logical_or.reduce(
            [
                np.isin(nodes, tails)
                for node_type, nodes in ends
                if node_type == target.tail_type and {relation.head_type, relation.tail_type} == types
            ]
            or [np.zeros(len(ends[0][1]), bool)]
        ),
    )


def without_nodes(kg: Graph, target: Target, tails: np.ndarray) -> pa.Table:
    """All edges but those of the given tails."""
    return edges_table(
        kg,
        lambda _, ends: np.logical_or.reduce(
            [np.isin(nodes, tails) & (node_type == target.tail_type) for node_type, nodes in ends]
        ),
    )


def edges_table(kg: Graph, is_left_out: Any) -> pa.Table:
    """The edges of a graph; is_left_out: relation, its two ends (type, indices) -> mask of edges."""
    parts = []
    for relation, heads, tails in zip(kg.relations, kg.heads, kg.tails, strict=True):
        ends = ((relation.head_type, heads), (relation.tail_type, tails))
        kept = ~is_left_out(relation, ends)
        columns = {"relation": np.full(kept.sum(), relation.relation, object)}
        # The arrow of the user's table: where the graph stores an edge turned, the ends are exchanged again.
        for side, (node_type, nodes) in zip("xy", ends[:: -1 if relation.turned else 1], strict=True):
            columns[f"{side}_id"] = kg.node_ids[node_type][nodes[kept]]
            columns[f"{side}_type"] = np.full(kept.sum(), node_type, object)
            columns[f"{side}_name"] = kg.node_names[node_type][nodes[kept]]
        parts.append(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))
    return pa.concat_tables(parts)


def finished(folder: Path, table: pa.Table, configs: Sequence[Path], cores: int) -> questions.Run:
    """The run of a table in a folder, up to its candidates."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = folder.resolve() / "edges.parquet"
    if not edges.exists():
        files.write_table(edges, table)
    overlay = folder / "edges.yaml"
    overlay.write_text(yaml.safe_dump({"edges": str(edges), "nodes": "", "devices": ["cpu"]}))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--directory", str(folder), GOAL]
    command += ["--snakefile", str(PROJECT / "Snakefile"), "--configfile", *map(str, configs), str(overlay)]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit(f"the run in {folder} stopped")
    return questions.Run.as_ranked(folder / "results", "cpu")


def measured(
    kg: Graph, target: Target, tails: np.ndarray, inside: questions.Run, outside: questions.Run
) -> Iterator[dict[str, Any]]:
    """A row for each disease and each way to ask for it."""
    heads, treated = pairs.treated(pairs.label(kg, target))
    for tail in tails.tolist():
        true_ids = set(kg.node_ids[target.head_type][heads[treated == tail]].tolist())
        name = str(kg.node_names[target.tail_type][tail])
        for way, (run, index) in asked(kg, target, tail, name, inside, outside).items():
            yield {"disease": name, "way": way, **values(run, index, true_ids)}


def asked(
    kg: Graph, target: Target, tail: int, name: str, inside: questions.Run, outside: questions.Run
) -> dict[str, tuple[questions.Run, int]]:
    """The runs that answer for a disease, and its index there."""
    tail_type = target.tail_type
    ids = inside.kg.node_ids[tail_type]
    result = {IN_GRAPH: (inside, int(np.flatnonzero(ids == kg.node_ids[tail_type][tail])[0]))}
    words = {word: described.linked(kg, tail_type, tail, word) for word in described.WORDS}
    ways: dict[str, Mapping[str, Sequence[str]]] = {
        "genes": {"genes": words["genes"]},
        "genes and symptoms": {word: found for word, found in words.items() if found},
    }
    for way, by_word in ways.items():
        new = described.describe(outside.kg, tail_type, name, by_word, {})
        result[way] = outside.with_tail(new), outside.kg.count(tail_type)
    every = described.describe(outside.kg, tail_type, name, {}, described.links_of(kg, tail_type, tail))
    result["all links"] = outside.with_tail(every), outside.kg.count(tail_type)
    return result


def values(run: questions.Run, tail: int, true_ids: set[str]) -> dict[str, float]:
    """The measures of one list of all heads."""
    (ranked,) = candidates.rank(run.device.score, run.annotator, per_tail=0, tails=np.array([tail]))
    ranks = ranked["rank_of_drug_for_disease"].to_numpy()
    is_true = np.isin(ranked["head_id"].to_numpy(zero_copy_only=False), list(true_ids))
    return {
        "average_precision": float(average_precision_score(is_true, -ranks)),
        "reciprocal_rank": float(1 / ranks[is_true].min()),
        "recall_50": float((ranks[is_true] <= 50).mean()),
        "auroc": float(roc_auc_score(is_true, -ranks)),
    }


def table_of(rows: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Way -> measure -> mean, interval, and the difference from the same diseases in the graph."""
    ways = dict.fromkeys(row["way"] for row in rows)
    found = {
        way: {name: np.array([row[name] for row in rows if row["way"] == way]) for name in MEASURES}
        for way in ways
    }
    result = {}
    for way in ways:
        result[way] = {name: _mean(found[way][name], seed) for name in MEASURES}
        result[way]["difference"] = {
            name: _mean(found[way][name] - found[IN_GRAPH][name], seed) for name in MEASURES
        }
    return result


def _mean(of_diseases: np.ndarray, seed: int) -> dict[str, float]:
    draws = metrics.bootstrap([metrics.mean(of_diseases)], np.arange(len(of_diseases)), seed)
    return {"value": float(of_diseases.mean()), **metrics.interval(draws[0])}


def lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The table as Markdown."""
    yield "| asked by | " + " | ".join(MEASURES) + " |"
    yield "|---" * (1 + len(MEASURES)) + "|"
    for way, row in summary.items():
        cells = [
            f"{row[name]['value']:.3f} ({row[name]['low']:.3f} to {row[name]['high']:.3f})"
            for name in MEASURES
        ]
        yield f"| {way} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
