"""How often do the paths of an explanation go through the planted mechanism? On the demo graph.

    python benchmarks/explanations.py --json --results results

--results: a finished run of the demo graph. An indication of the demo was drawn because drug and disease
share a mechanism (ingest/demo.py). A path counts if all of its inner nodes, or at least one, have that
mechanism. Known indications and the best new candidates that share a mechanism are scored apart; the graph's
paths contain no indication. Paths stand by weight, as in dossiers, or by score change, as the page leads
with; the column by_chance is the expected hits@1 of the same paths in any order.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pyarrow.compute as pc
import yaml

import score_explanations
from repurpose.candidates import questions
from repurpose.candidates.mechanisms import Matched
from repurpose.core import files, threads
from repurpose.graph.graph import Graph
from repurpose.ingest import demo
from repurpose.ingest.demo import PlantedGraph
from repurpose.provenance import passed

# Facets of the two types that have two each: an inner drug shares what it targets, a disease what causes it.
FACETS = {"drug": "drug target", "disease": "disease cause"}
PER_TAIL = 5  # best new candidates of each disease


def main() -> None:
    """Score the paths of both kinds of pairs and print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, required=True, help="of a finished run of the demo graph")
    parser.add_argument("--paths", type=int, default=score_explanations.MOST_PATHS, help="paths of a pair")
    parser.add_argument("--most", type=int, default=1000, help="pairs of each kind, drawn if there are more")
    parser.add_argument("--json", action="store_true", help="JSON in place of text")
    options = parser.parse_args()
    threads.limit(2)
    config = yaml.safe_load((options.results / "config.yaml").read_text())
    if config["edges"] != "demo":
        sys.exit(f"Error: {options.results} is no run of the demo graph; name one whose edges are demo")
    planted = demo.plant_graph(config["demo"]["scale"], config["demo"]["seed"])
    run = questions.Run.as_ranked(options.results, passed.device_of(options.results, None))
    rng = np.random.default_rng(7)
    kinds = {"known indications": run.device.treated, "new candidates": _best_new(run)}
    for kind, (heads, tails) in kinds.items():
        matched = through_mechanisms(planted, run.kg, heads, tails)
        kept = np.sort(rng.permutation(len(matched.heads))[: options.most])
        matched = Matched(
            matched.heads[kept],
            matched.tails[kept],
            tuple(matched.nodes[place] for place in kept),
            *(matched.entries, 0, matched.without_nodes),
        )
        scores = score_explanations.score(run, matched, options.paths)
        if options.json:
            row = {"kind": kind, "scale": config["demo"]["scale"], "seed": config["demo"]["seed"]}
            print(json.dumps({**row, **score_explanations.counts(matched), "orders": scores}), flush=True)
        else:
            print("\n".join([f"{kind}:", *score_explanations.table(scores), ""]))


def through_mechanisms(planted: PlantedGraph, kg: Graph, heads: np.ndarray, tails: np.ndarray) -> Matched:
    """The pairs that share a mechanism, each with the numbers of all nodes that have it."""
    of_type = {
        node_type: planted.mechanisms[FACETS.get(node_type, node_type)][
            # The id of a node is its number in the planted graph, which starts at 1.
            kg.node_ids[node_type].astype(int) - 1
        ]
        for node_type in kg.node_types
    }
    members: dict[int, set[int]] = {}
    for node_type, mechanisms in of_type.items():
        for index, row in enumerate(mechanisms.tolist()):
            for mechanism in set(row):
                members.setdefault(mechanism, set()).add(kg.span(node_type).start + index)
    kept, nodes = [], []
    for place, (head, tail) in enumerate(zip(heads.tolist(), tails.tolist(), strict=True)):
        shared = set(of_type["drug"][head].tolist()) & set(of_type["disease"][tail].tolist())
        if shared:
            kept.append(place)
            nodes.append(frozenset().union(*(members[mechanism] for mechanism in shared)))
    return Matched(heads[kept], tails[kept], tuple(nodes), len(heads), 0, len(heads) - len(kept))


def _best_new(run: questions.Run) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of the best new candidates of each tail."""
    where = (pc.field("known") == "") & (pc.field("rank_of_drug_for_disease") <= PER_TAIL)
    path = run.candidates / "candidates.parquet"
    return run.device.explainer.ends(files.read_table(path, ["head_id", "tail_id"], where=where))


if __name__ == "__main__":
    main()
