"""Write the dossiers of one device's best candidates that are not known."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose import evidence, files, graph, logs, pairs, paths, summary
from repurpose.vectors import Vectors


def main(
    candidates: str | Path,
    vectors_in: str | Path,
    pairs_in: str | Path,
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    evidence_out: str | Path,
    *,
    target: Mapping[str, Any],
    explained: int,
    paths_each: int,
    similar: int,
) -> None:
    """Explain the `explained` best pairs of all tails together that no relation joins."""
    kg = graph.load(nodes, edges, relations)
    types = target["head_type"], target["tail_type"]
    vectors = Vectors.read(vectors_in, kg, types)
    best = summary.best_new(files.read_table(candidates), explained)
    witness = evidence.Witness(
        kg,
        *types,
        (vectors.heads, vectors.tails),
        pairs.treated(pairs.load(pairs_in)),
        paths.network(kg),
    )
    files.write_table(evidence_out, evidence.table(best, witness.of_rows(best, paths_each, similar)))
    logging.info("%d pairs explained", best.num_rows)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    main(
        snakemake.input.candidates,
        snakemake.input.embeddings,
        snakemake.input.pairs,
        snakemake.input.nodes,
        snakemake.input.edges,
        snakemake.input.relations,
        snakemake.output.evidence,
        target=snakemake.params.target,
        **snakemake.params.evidence,
    )
