"""Encode the graph with an untrained encoder: a baseline for the classifier."""

from pathlib import Path

from repurpose.config.sections import EncoderSettings
from repurpose.core import logs, threads
from repurpose.gate import quality
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs
from repurpose.vectors import embeddings


def main(
    *,
    graph_files: GraphFiles,
    vectors_out: str | Path,
    encoder: EncoderSettings,
    valid_share: float,
    seed: int,
) -> None:
    """Write vectors from random inputs and weights; encoder: the config section `hgt`."""
    kg = graph.load(graph_files)
    vectors = quality.encode_untrained(kg, encoder, encoder.embedding_dim, valid_share, seed)
    embeddings.write(vectors_out, kg, vectors, {"device": "untrained"})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                vectors_out=output.embeddings,
                encoder=EncoderSettings(**snakemake.params.hgt),
                valid_share=snakemake.params.valid_share,
                seed=snakemake.params.seed,
            )
