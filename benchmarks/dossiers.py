"""Time the dossiers of 100 candidates of one disease: paths, what the model makes of each, neighbours.

    python benchmarks/dossiers.py --planted 1.0 --config config/presets/full.yaml --threads 2

on the demo's planted graph in PrimeKG's size, or on a table (`--edges`, `--nodes`). Weights and vectors are
random, for the time depends on the graph and on the widths; the classifier has 300 trees of depth 6 and a
kernel. One JSON object per disease, of those with an edge the one of the median and the one of the highest
degree: `seconds` for all dossiers, `seconds_of_changes` for what the model makes of the paths among these;
then one with the seconds that pass before the first (`read`: the networks of edges, the profiles).
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import devices
import numpy as np
import scoring

from repurpose.candidates.counterfactual import CounterfactualEncoder, CounterfactualScorer
from repurpose.candidates.evidence import Explainer
from repurpose.core import threads
from repurpose.graph import holdout, paths
from repurpose.graph.graph import Graph
from repurpose.graph.target import Target
from repurpose.hgt import hgt
from repurpose.pairs import pairs
from repurpose.training import run
from repurpose.vectors import profiles
from repurpose.vectors.vectors import Vectors

CANDIDATES, PATHS, LIKE, ROUNDS = 100, 5, 3, 300


def explainer(kg: Graph, config: dict[str, Any], used: int) -> tuple[Explainer, float]:
    """An explainer with random weights and vectors, and the seconds until it is ready."""
    target = Target(**config["target"])
    types = target.types
    settings, rng = hgt.Settings(**config["hgt"]), np.random.default_rng(0)
    model = hgt.build(kg, settings, config["seed"])
    states = [model.inputs.detach()] * settings.layers
    vectors = {
        t: rng.normal(size=(kg.count(t), settings.embedding_dim)).astype(np.float32) for t in kg.node_types
    }
    lengths = {t: np.linalg.norm(rows, axis=1, keepdims=True) for t, rows in vectors.items()}
    vectors = {t: rows / lengths[t] for t, rows in vectors.items()}
    ones = np.ones(sum(map(len, vectors.values())), np.float32), np.ones(settings.svd_dim, np.float32)
    sides = max(len(profiles.sides(kg, t)) for t in kg.node_types)
    divisors = np.ones((len(ones[0]), sides), np.float32)
    encoder = run.encoder(model, states)._replace(lengths=ones[0], values=ones[1], divisors=divisors)
    of_pairs = Vectors(*(vectors[t] for t in types), product=True)
    treated = pairs.treated(pairs.label(kg, target))
    classifier = scoring.model(of_pairs, treated, ROUNDS)
    edges = holdout.split(kg, config["training"]["valid_share"], config["seed"]).train

    def build() -> Explainer:
        counterfactuals = CounterfactualScorer(
            CounterfactualEncoder(kg, types, encoder, vectors, edges), classifier, of_pairs, used
        )
        rows = of_pairs.heads, of_pairs.tails
        return Explainer(kg, target, rows, treated, paths.network(kg), counterfactuals)

    seconds, found = scoring.timed(build)
    return found, seconds


def explained(ready: Explainer, tail: int) -> dict[str, Any]:
    """Seconds to explain a tail's candidates, drawn from the heads with edges, and counts of the result."""
    scorer = ready.counterfactuals
    first_head, first_tail = scorer.encoder.first
    degrees = scorer.encoder.degrees[ready.kg.span(ready.target.head_type)]
    heads = np.random.default_rng(1).permutation(np.flatnonzero(degrees))[:CANDIDATES]
    seconds, dossiers = scoring.timed(lambda: ready.explain(heads, np.full(len(heads), tail), PATHS, LIKE))
    ways = [
        way
        for each in paths.best(ready.network, heads + first_head, tail + first_tail, PATHS)
        for way in each
    ]
    changes, _ = scoring.timed(lambda: scorer.changes(ways))
    return {
        "degree": int(scorer.encoder.degrees[tail + first_tail]),
        "candidates": len(dossiers),
        "paths": sum(len(each["paths"]) for each in dossiers),
        "seconds": round(seconds, 2),
        "seconds_of_changes": round(changes, 2),
    }


def main() -> None:
    """Explain the candidates of two diseases."""
    parser = devices.of_graph(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    used = threads.limit(options.threads)
    config = devices.configured(options)
    kg = devices.read(config, options.planted)
    ready, seconds = explainer(kg, config, used)
    encoder = ready.counterfactuals.encoder
    degrees = encoder.degrees[kg.span(ready.target.tail_type)]
    order = np.argsort(degrees, kind="stable")[np.sum(degrees == 0) :]
    for name, tail in (("median", order[len(order) // 2]), ("highest", order[-1])):
        print(json.dumps({"disease": name, **explained(ready, int(tail))}), flush=True)
    counts = {"nodes": len(encoder.degrees), "edges": len(ready.network.other) // 2}
    print(json.dumps({"disease": None, "read": round(seconds, 2), **counts}))


if __name__ == "__main__":
    main()
