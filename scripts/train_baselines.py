"""Train and evaluate the baselines: popularity, node degrees, SVD, an untrained encoder, votes, paths."""

import logging
from dataclasses import replace
from pathlib import Path

from repurpose.classifier import (
    classifier,
    metapath_baselines,
    metapath_fits,
    popularity_baseline,
)
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.core import files, logs, threads
from repurpose.evaluation import ranks
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import external, pairs
from repurpose.provenance import jobs
from repurpose.vectors import baselines
from repurpose.vectors.vectors import Vectors


def main(
    *,
    pairs_in: str | Path,
    graph_files: GraphFiles,
    external_in: str | Path | None,
    untrained: str | Path,
    metapaths_in: str | Path | None,
    metrics_out: str | Path,
    ranks_out: str | Path,
    target: Target,
    settings: ClassifierSettings,
    seed: int,
    n_threads: int,
) -> None:
    """Write the baselines' metrics (schemes -> scheme -> method), and the ranks of the test pairs."""
    kg = graph.load(graph_files)
    labelled = pairs.load(pairs_in)
    head_type, tail_type = target.types
    known, external_pairs = pairs.known(kg, head_type, tail_type), external.load(external_in)
    degrees = [baselines.degree_features(kg, node_type) for node_type in (head_type, tail_type)]
    methods = {"degree": Vectors(*degrees, product=False)}
    components = baselines.svd(kg, settings.svd_dim, seed)
    methods["svd"] = Vectors(components[head_type], components[tail_type], product=True)
    methods["untrained"] = Vectors.read(untrained, kg, (head_type, tail_type))
    fits = {}
    for name, vectors in methods.items():
        logging.info("baseline %s", name, extra=logs.IF_SLOW)
        task = classifier.Task(vectors, labelled, known, settings, seed, n_threads, external_pairs)
        fits[name] = classifier.evaluate_all(task)
    fits["popularity"] = popularity_baseline.evaluate_all(task)
    if metapaths_in:
        metapaths = metapath_fits.load(metapaths_in, kg, target.types, labelled)
        fits |= metapath_baselines.evaluate_all(replace(task, metapaths=metapaths), target.types)
    schemes = list(fits["degree"])
    content = {
        "schemes": {scheme: {name: fits[name][scheme].metrics for name in fits} for scheme in schemes},
        "rounds": {scheme: {name: fits[name][scheme].rounds for name in methods} for scheme in schemes},
    }
    ranked = {scheme: {name: fits[name][scheme].ranked for name in fits} for scheme in schemes}
    ranks.save(ranks_out, ranked)
    files.write_json(metrics_out, content)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                pairs_in=snakemake.input.pairs,
                graph_files=GraphFiles.of(snakemake.input),
                external_in=snakemake.input.get("external"),
                untrained=snakemake.input.untrained,
                metapaths_in=snakemake.input.get("metapaths"),
                metrics_out=output.metrics,
                ranks_out=output.ranks,
                target=Target(**snakemake.params.target),
                settings=ClassifierSettings(**snakemake.params.classifier),
                seed=snakemake.params.seed,
                n_threads=threads.limit(snakemake.threads),
            )
