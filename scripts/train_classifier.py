"""Train the classifier on one device's embeddings, evaluate it per scheme, and refit it on all pairs."""

import logging
from dataclasses import replace
from pathlib import Path

from repurpose.classifier import classifier, metapath_fits, out_of_fold, pair_model
from repurpose.classifier.list_weights import EMBEDDED
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.core import files, logs, threads
from repurpose.evaluation import evaluation, ranks
from repurpose.gate.verdict import require_pass
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import external, pairs
from repurpose.provenance import jobs
from repurpose.vectors.vectors import Vectors, count_pairs


def main(
    *,
    pairs_in: str | Path,
    graph_files: GraphFiles,
    vectors_in: str | Path,
    metapaths_in: str | Path | None,
    baselines: str | Path,
    baseline_ranks: str | Path,
    external_in: str | Path | None,
    verdict: str | Path,
    model_out: str | Path,
    kernel_out: str | Path,
    metrics_out: str | Path,
    ranks_out: str | Path,
    target: Target,
    settings: ClassifierSettings,
    device: str,
    seed: int,
    n_threads: int,
    evaluation_seed: int | None = None,
    corrects_popularity: bool = False,
) -> None:
    """Write the model, its metrics together with the baselines', and the ranks of the test pairs.

    evaluation_seed: that of the baselines, None for `seed` (see `classifier.Task`). corrects_popularity:
    whether the ranking will correct popularity; if so, the effect on the test metrics is measured. Raises
    InputError if the device did not pass its gate.
    """
    require_pass(verdict, device)
    kg = graph.load(graph_files)
    labelled = pairs.load(pairs_in)
    types = target.types
    known = pairs.known(kg, *types)
    vectors = Vectors.read(vectors_in, kg, types)
    counts = count_pairs(vectors, labelled, known)
    logging.info("%s", counts, extra=logs.LOG_ONLY)

    metapaths = metapath_fits.load(metapaths_in, kg, types, labelled) if metapaths_in else None
    external_pairs = external.load(external_in)
    task = classifier.Task(
        vectors, labelled, known, settings, seed, n_threads, external_pairs, metapaths, evaluation_seed
    )
    fits = classifier.evaluate_all(task)
    final, members = classifier.refit(task, fits)
    pair_model.save(final, model_out, kernel_out)
    by_method = {"hgt": fits}
    if metapaths:
        by_method["embedding"] = classifier.ablated(task, fits, EMBEDDED)
    without_layers = vectors.without_layers()
    if without_layers:
        logging.info("testing it without the encoder's layers", extra=logs.IF_SLOW)
        by_method["no_layers"] = classifier.evaluate_all(
            replace(task, vectors=without_layers, metapaths=None)
        )
    baseline_metrics = files.read_json(baselines)["schemes"]
    baseline_results = ranks.load(baseline_ranks)
    compared = {
        scheme: {
            **{name: by_method[name][scheme].ranked for name in by_method if name != "hgt"},
            **baseline_results[scheme],
        }
        for scheme in fits
    }
    content = {
        "schemes": {
            scheme: {
                **{name: method[scheme].metrics for name, method in by_method.items()},
                **baseline_metrics[scheme],
            }
            for scheme in fits
        },
        "differences": {
            scheme: {
                name: evaluation.differences(fit.ranked, other, pairs.HELD_OUT.get(scheme), task.test_seed)
                for name, other in compared[scheme].items()
            }
            for scheme, fit in fits.items()
        },
        "popularity_correction": classifier.effect_of_correction(task, fits) if corrects_popularity else {},
        "rounds": {scheme: fit.rounds for scheme, fit in fits.items()},
        "scheme_weights": {scheme: fit.model.weights.described() for scheme, fit in fits.items()},
        "valid_auprc": {scheme: fit.valid_auprc for scheme, fit in fits.items()},
        "valid_lists": {
            scheme: classifier.valid_lists(task, scheme, fit)
            for scheme, fit in fits.items()
            if scheme != classifier.EXTERNAL
        },
        "calibration": out_of_fold.calibrated(task, members, final.weights, random_fit=fits.get("random")),
        "counts": counts,
        "model_digests": [files.digest(path) for path in (model_out, kernel_out)],
        "weights": final.weights.described(),
        "question": settings.question,
        "members": members,
    }
    ranked = {scheme: {name: fit[scheme].ranked for name, fit in by_method.items()} for scheme in fits}
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
                vectors_in=snakemake.input.embeddings,
                metapaths_in=snakemake.input.get("metapaths"),
                baselines=snakemake.input.baselines,
                baseline_ranks=snakemake.input.baseline_ranks,
                external_in=snakemake.input.get("external"),
                verdict=snakemake.params.verdict,
                model_out=output.model,
                kernel_out=output.kernel,
                metrics_out=output.metrics,
                ranks_out=output.ranks,
                target=Target(**snakemake.params.target),
                settings=ClassifierSettings(**snakemake.params.classifier),
                device=snakemake.wildcards.device,
                seed=snakemake.params.seed,
                n_threads=threads.limit(snakemake.threads),
                evaluation_seed=snakemake.params.evaluation_seed,
                corrects_popularity=snakemake.params.candidates["correct_popularity"],
            )
