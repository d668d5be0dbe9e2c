"""Measure one embedding file, its null model (an untrained encoder), and what its layers learned."""

from repurpose.core import files, logs, threads
from repurpose.gate import quality
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.hgt import hgt
from repurpose.provenance import jobs
from repurpose.vectors import embeddings


def main(*, graph_files, vectors_path, measures_out, encoder, tail_type, contrastive, valid_share, seed):
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


def measures(kg, vectors_path, *, encoder, tail_type, contrastive, valid_share, seed):
    """Measures of the file, its null model and its layers, on the edges that a training holds out.

    `layers` is None if the file was not written by our training, if its vectors are not of the config's
    length, or if the layers have nothing to be compared with.
    """
    embedded = embeddings.read(vectors_path)
    if not embedded.vectors:  # training was refused and wrote an empty file
        return {"measured": quality.empty_measures({}), "null": quality.empty_measures({}), "layers": None}
    encoder = hgt.Settings(**encoder)
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
                encoder=snakemake.params.hgt,
                tail_type=snakemake.params.tail_type,
                contrastive=snakemake.params.contrastive,
                valid_share=snakemake.params.valid_share,
                seed=snakemake.params.seed,
            )
