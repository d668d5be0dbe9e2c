"""Measure one embedding file, its null model (an untrained encoder), and what its layers learned."""

from pathlib import Path
from typing import Any

from repurpose.config.sections import ContrastiveSettings, EncoderSettings
from repurpose.core import files, logs, threads
from repurpose.gate import quality
from repurpose.graph import graph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.provenance import jobs
from repurpose.vectors import embeddings


def main(
    *,
    graph_files: GraphFiles,
    vectors_path: str | Path,
    measures_out: str | Path,
    encoder: EncoderSettings,
    tail_type: str,
    contrastive: ContrastiveSettings,
    valid_share: float,
    seed: int,
) -> None:
    """Write the measures of an embedding file."""
    kg = graph.load(graph_files)
    files.write_json(
        measures_out,
        measures(
            kg,
            vectors_path,
            encoder=encoder,
            tail_type=tail_type,
            contrastive=contrastive,
            valid_share=valid_share,
            seed=seed,
        ),
    )


def measures(
    kg: Graph,
    vectors_path: str | Path,
    *,
    encoder: EncoderSettings,
    tail_type: str,
    contrastive: ContrastiveSettings,
    valid_share: float,
    seed: int,
) -> dict[str, Any]:
    """Measure the file, its null model and its encoder output, on the edges that a training holds out.

    `layers` (the encoder output) is None if there is no baseline for it, or if the file is not from a
    training of this project with the config's embedding_dim.
    """
    embedded = embeddings.read(vectors_path)
    if not embedded.vectors:  # training was refused and wrote an empty file
        return {"measured": quality.empty_measures({}), "null": quality.empty_measures({}), "layers": None}
    options = {"tail_type": tail_type, "contrastive": contrastive, "valid_share": valid_share, "seed": seed}
    vectors = embeddings.aligned(embedded, kg, vectors_path)
    measured = quality.measure(kg, vectors, **options)
    is_ours = "seed" in embedded.metadata and embedded.dim == encoder.embedding_dim
    return {
        "measured": measured,
        "null": quality.measure(
            kg, quality.encode_untrained(kg, encoder, embedded.dim, valid_share, seed), **options
        ),
        "layers": quality.measure_layers(kg, vectors, encoder, valid_share, seed)
        if is_ours and measured["types"]
        else None,
    }


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                vectors_path=snakemake.input.embeddings,
                measures_out=output.measures,
                encoder=EncoderSettings(**snakemake.params.hgt),
                tail_type=snakemake.params.tail_type,
                contrastive=ContrastiveSettings(**snakemake.params.contrastive),
                valid_share=snakemake.params.valid_share,
                seed=snakemake.params.seed,
            )
