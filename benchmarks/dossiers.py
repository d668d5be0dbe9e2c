"""Time the dossiers of 100 candidates of one disease: paths, counterfactual score changes, neighbours.

    python benchmarks/dossiers.py --planted 1.0 --config config/presets/full.yaml --threads 2

This uses the demo's planted graph at PrimeKG's size, or a table (`--edges`, `--nodes`). Weights and vectors
are random, because the time depends only on the graph and the widths. The classifier has 300 trees of depth 6
and a kernel. The output is one JSON object for each of two diseases: among diseases with an edge, those of
the median and of the highest degree. `seconds` is the time for all dossiers, and `seconds_of_changes` the
part of it for the counterfactual score changes of the paths. The last JSON object has the seconds of
preparation (`read`: the networks of edges and the profiles).
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import devices
import numpy as np
import scoring

from repurpose.candidates.counterfactual import CounterfactualEncoder, CounterfactualScorer
from repurpose.candidates.evidence import Explainer
from repurpose.config.sections import EncoderSettings, Target
from repurpose.core import threads
from repurpose.graph import holdout, paths
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.pairs import pairs
from repurpose.training import training
from repurpose.training.preparation import Composition
from repurpose.vectors import profiles
from repurpose.vectors.vectors import Vectors

CANDIDATES, PATHS, SIMILAR, ROUNDS = 100, 5, 3, 300


def make_explainer(kg: Graph, config: dict[str, Any], used: int) -> tuple[Explainer, float]:
    """Make an explainer with random weights and vectors; returns it with the seconds of preparation."""
    target = Target(**config["target"])
    types = target.types
    settings, generator = EncoderSettings(**config["hgt"]), np.random.default_rng(0)
    model = hgt.build(kg, settings, config["seed"])
    states = [model.inputs.detach()] * settings.layers
    vectors = {
        t: generator.normal(size=(kg.count(t), settings.embedding_dim)).astype(np.float32)
        for t in kg.node_types
    }
    lengths = {t: np.linalg.norm(rows, axis=1, keepdims=True) for t, rows in vectors.items()}
    vectors = {t: rows / lengths[t] for t, rows in vectors.items()}
    ones = np.ones(sum(map(len, vectors.values())), np.float32), np.ones(settings.svd_dim, np.float32)
    sides = max(len(profiles.sides(kg, t)) for t in kg.node_types)
    divisors = np.ones((len(ones[0]), sides), np.float32)
    encoder = training.encoder(model, states, Composition())._replace(
        lengths=ones[0], values=ones[1], divisors=divisors
    )
    pair_vectors = Vectors(*(vectors[t] for t in types), product=True)
    treated = pairs.treated(pairs.label(kg, target))
    classifier = scoring.model(pair_vectors, treated, ROUNDS)
    edges = holdout.split(kg, config["training"]["valid_share"], config["seed"]).train

    def build() -> Explainer:
        counterfactuals = CounterfactualScorer(
            CounterfactualEncoder(kg, types, encoder, vectors, edges), classifier, pair_vectors, used
        )
        rows = pair_vectors.heads, pair_vectors.tails
        return Explainer(kg, target, rows, treated, paths.network(kg), counterfactuals)

    seconds, ready = scoring.timed(build)
    return ready, seconds


def explain(ready: Explainer, tail: int) -> dict[str, Any]:
    """Seconds to explain candidates of a tail, random heads with edges, and counts of the result."""
    scorer = ready.counterfactuals
    first_tail = scorer.encoder.first[1]
    degrees = scorer.encoder.degrees[ready.kg.span(ready.target.head_type)]
    heads = np.random.default_rng(1).permutation(np.flatnonzero(degrees))[:CANDIDATES]
    parts, changes = [], scorer.changes

    def timed_changes(_: CounterfactualScorer, candidate_paths: Sequence[paths.Path]) -> list[float]:
        part, found = scoring.timed(lambda: changes(candidate_paths))
        parts.append(part)
        return found

    with mock.patch.object(CounterfactualScorer, "changes", timed_changes):
        seconds, dossiers = scoring.timed(
            lambda: ready.explain(heads, np.full(len(heads), tail), PATHS, SIMILAR)
        )
    return {
        "degree": int(scorer.encoder.degrees[tail + first_tail]),
        "candidates": len(dossiers),
        "paths": sum(len(dossier["paths"]) for dossier in dossiers),
        "seconds": round(seconds, 2),
        "seconds_of_changes": round(sum(parts), 2),
    }


def main() -> None:
    """Explain the candidates of two diseases."""
    parser = devices.graph_parser(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    used = threads.limit(options.threads)
    config = devices.load_config(options)
    kg = devices.read(config, options.planted)
    ready, seconds = make_explainer(kg, config, used)
    encoder = ready.counterfactuals.encoder
    degrees = encoder.degrees[kg.span(ready.target.tail_type)]
    order = np.argsort(degrees, kind="stable")[np.sum(degrees == 0) :]
    for name, tail in (("median", order[len(order) // 2]), ("highest", order[-1])):
        print(json.dumps({"disease": name, **explain(ready, int(tail))}), flush=True)
    counts = {"nodes": len(encoder.degrees), "edges": len(ready.network.other) // 2}
    print(json.dumps({"disease": None, "read": round(seconds, 2), **counts}))


if __name__ == "__main__":
    main()
