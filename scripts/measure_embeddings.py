"""Measure one embedding file, its null (an untrained model) and what its training started from."""

from repurpose import embeddings, files, graph, hgt, logs, quality, threads


def main(
    nodes, edges, relations, vectors_path, measures_out, *, encoder, tail_type, contrastive, valid_share, seed
):
    kg = graph.load(nodes, edges, relations)
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
    """Measures of the file, its null and its inputs, on the edges that a training with this seed leaves out.

    `inputs` is None where they were random, or where the file does not say that it is a training of ours.
    """
    found = embeddings.read(vectors_path)
    if not found.vectors:  # a refused training
        return {"measured": quality.unmeasured({}), "null": quality.unmeasured({}), "inputs": None}
    encoder = hgt.Settings(**encoder)
    options = {"tail_type": tail_type, "contrastive": contrastive, "valid_share": valid_share, "seed": seed}
    start = quality.inputs(kg, encoder, valid_share, seed) if "seed" in found.metadata else None
    return {
        "measured": quality.measure(kg, embeddings.aligned(found, kg, vectors_path), **options),
        "null": quality.measure(kg, quality.untrained(kg, encoder, found.dim, valid_share, seed), **options),
        "inputs": quality.measure(kg, start, **options) if start else None,
    }


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    main(
        snakemake.input.nodes,
        snakemake.input.edges,
        snakemake.input.relations,
        snakemake.input.embeddings,
        snakemake.output.measures,
        encoder=snakemake.params.hgt,
        tail_type=snakemake.params.tail_type,
        contrastive=snakemake.params.contrastive,
        valid_share=snakemake.params.valid_share,
        seed=snakemake.params.seed,
    )
