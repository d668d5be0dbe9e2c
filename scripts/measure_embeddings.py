"""Measure one embedding file, its null model (an untrained encoder), and what its layers learned."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from repurpose.config.sections import ContrastiveSettings, EncoderSettings
from repurpose.core import files, logs, threads
from repurpose.gate import quality
from repurpose.graph import graph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.provenance import jobs
from repurpose.vectors import embeddings
from repurpose.vectors.embeddings import Embeddings


def main(
    *,
    graph_files: GraphFiles,
    vectors_path: str | Path,
    measures_out: str | Path,
    encoder: EncoderSettings,
    target_types: Sequence[str],
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
            embeddings.read(vectors_path),
            vectors_path,
            encoder=encoder,
            target_types=target_types,
            contrastive=contrastive,
            valid_share=valid_share,
            seed=seed,
        ),
    )


def measures(
    kg: Graph,
    embedded: Embeddings,
    vectors_path: str | Path,
    *,
    encoder: EncoderSettings,
    target_types: Sequence[str],
    contrastive: ContrastiveSettings,
    valid_share: float,
    seed: int,
) -> dict[str, Any]:
    """Measure a file, its null model and its encoder output, on the edges that a training holds out.

    target_types: head and tail type. A file of another tool may have vectors of these two types only; the
    null model then has those of the same types. `layers` (the encoder output) is None if there is no baseline
    for it, or if the file is not from a training of this project with the config's embedding_dim.
    """
    if not embedded.vectors:  # training was refused and wrote an empty file
        return {"measured": quality.empty_measures({}), "null": quality.empty_measures({}), "layers": None}
    options = {"contrastive": contrastive, "valid_share": valid_share, "seed": seed}
    options["tail_type"] = target_types[1]
    vectors = embeddings.aligned_to_target(embedded, kg, vectors_path, target_types)
    measured = quality.measure(kg, vectors, **options)
    is_ours = embeddings.is_trained(embedded) and embedded.dim == encoder.embedding_dim
    untrained = quality.encode_untrained(kg, encoder, embedded.dim, valid_share, seed)
    return {
        "measured": measured,
        "null": quality.measure(kg, {t: untrained[t] for t in vectors}, **options),
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
                target_types=snakemake.params.target_types,
                contrastive=ContrastiveSettings(**snakemake.params.contrastive),
                valid_share=snakemake.params.valid_share,
                seed=snakemake.params.seed,
            )
