"""Encode the graph with a model of the config's shape that has learned nothing: a baseline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core import logs, threads
from repurpose.gate import quality
from repurpose.graph import graph
from repurpose.hgt import hgt
from repurpose.provenance import jobs
from repurpose.vectors import embeddings


def main(
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    vectors_out: str | Path,
    *,
    encoder: Mapping[str, Any],
    valid_share: float,
    seed: int,
) -> None:
    """Write vectors as wide as a training's, from random inputs and weights."""
    kg = graph.load(nodes, edges, relations)
    settings = hgt.Settings(**encoder)
    vectors = quality.encode_untrained(kg, settings, settings.embedding_dim, valid_share, seed)
    embeddings.write(vectors_out, kg, vectors, {"device": "untrained"})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.taken_back():
        with job.replacing() as output:
            main(
                snakemake.input.nodes,
                snakemake.input.edges,
                snakemake.input.relations,
                output.embeddings,
                encoder=snakemake.params.hgt,
                valid_share=snakemake.params.valid_share,
                seed=snakemake.params.seed,
            )
