"""Fit the models on metapaths and neighbour votes, which read no embeddings and serve all devices."""

from pathlib import Path

from repurpose.classifier import metapath_fits
from repurpose.config.sections import Target
from repurpose.core import logs, threads
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import pairs
from repurpose.provenance import jobs


def main(
    *,
    pairs_in: str | Path,
    graph_files: GraphFiles,
    models_out: str | Path,
    target: Target,
    longest: int,
    kept: int,
    seed: int,
    n_threads: int,
) -> None:
    """Write the models of all schemes, the final one, and those of the calibration's folds."""
    kg, labelled = graph.load(graph_files), pairs.load(pairs_in)
    known = pairs.known(kg, *target.types)
    options = {"longest": longest, "kept": kept, "seed": seed, "threads": n_threads}
    fits = metapath_fits.fit_all(kg, target.types, labelled, known, **options)
    metapath_fits.save(fits, target.types, models_out)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                pairs_in=snakemake.input.pairs,
                graph_files=GraphFiles.of(snakemake.input),
                models_out=output.models,
                target=Target(**snakemake.params.target),
                longest=snakemake.params.longest,
                kept=snakemake.params.kept,
                seed=snakemake.params.seed,
                n_threads=threads.limit(snakemake.threads),
            )
