"""Write the dossiers of one device's best candidates that are not known."""

import logging
from pathlib import Path

from repurpose.candidates import evidence, influence
from repurpose.classifier import pair_model
from repurpose.core import files, logs, threads
from repurpose.graph import graph, paths
from repurpose.graph.target import Target
from repurpose.pairs import pairs
from repurpose.provenance import jobs
from repurpose.report import summary
from repurpose.vectors import embeddings
from repurpose.vectors.vectors import Vectors


def main(
    candidates: str | Path,
    vectors_in: str | Path,
    pairs_in: str | Path,
    model: str | Path,
    kernel: str | Path,
    metrics: str | Path,
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    evidence_out: str | Path,
    encoder: str | Path | None = None,
    *,
    target: Target,
    explained: int,
    paths_each: int,
    similar: int,
) -> None:
    """Explain the `explained` best pairs of all tails together that no relation joins.

    encoder: behind the vectors; without it nothing is said of what the model makes of a path.
    """
    kg = graph.load(nodes, edges, relations)
    types = target.types
    embedded = embeddings.read(vectors_in)
    rows = embeddings.aligned(embedded, kg, vectors_in)
    vectors = Vectors.from_rows(rows, types)
    best = summary.best_new(files.read_table(candidates), explained)
    trained = files.read_json(metrics)
    loaded = pair_model.load(model, kernel, trained)
    looking = encoder and influence.read(
        kg, types, rows, embedded.metadata, encoder, loaded, threads.current()
    )
    witness = evidence.Witness(
        kg,
        *types,
        (vectors.heads, vectors.tails),
        pairs.treated(pairs.load(pairs_in)),
        paths.network(kg),
        looking,
    )
    files.write_table(evidence_out, evidence.table(best, witness.of_rows(best, paths_each, similar)))
    logging.info("%d pairs explained", best.num_rows)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                snakemake.input.candidates,
                snakemake.input.embeddings,
                snakemake.input.pairs,
                snakemake.input.model,
                snakemake.input.kernel,
                snakemake.input.metrics,
                snakemake.input.nodes,
                snakemake.input.edges,
                snakemake.input.relations,
                output.evidence,
                snakemake.input.get("encoder"),
                target=Target(**snakemake.params.target),
                **snakemake.params.evidence,
            )
