"""Score every head x tail pair with one device's classifier; write the best of each tail and of each head."""

import logging
from pathlib import Path

import numpy as np

from repurpose.candidates import by_head, candidates, experience, stability
from repurpose.classifier import pair_model
from repurpose.core import files, logs, threads
from repurpose.evaluation import calibration, popularity
from repurpose.graph import graph
from repurpose.graph.target import Target
from repurpose.pairs import pairs
from repurpose.provenance import jobs
from repurpose.vectors.vectors import Vectors


def main(
    model: str | Path,
    kernel: str | Path,
    metrics: str | Path,
    negatives: str | Path,
    vectors_in: str | Path,
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    parquet_out: str | Path,
    csv_out: str | Path,
    by_head_out: str | Path,
    popularity_out: str | Path,
    stability_out: str | Path,
    chosen: str | Path | None = None,
    *,
    target: Target,
    per_tail: int,
    per_head: int,
    correct_popularity: float,
    seed: int,
) -> None:
    """Write the candidates as parquet and csv, and those by head; `per_tail` 0 keeps every pair.

    chosen: of the heads and tails that are ranked, all without it.
    """
    kg = graph.load(nodes, edges, relations)
    types = target.types
    vectors = Vectors.read(vectors_in, kg, types)
    trained = files.read_json(metrics)
    loaded = pair_model.load(model, kernel, trained)
    score = pair_model.members(loaded, vectors, trained["members"])
    treated = pairs.treated(pairs.label(kg, target))
    cautions = experience.of_both(kg, types, (vectors.heads, vectors.tails), treated)
    negative = pair_model.known_negative(negatives, vectors, threads.current())
    known = pairs.known(kg, *types)
    lists = files.read_json(chosen) if chosen else {}
    only = {side: np.array(numbers) for side, numbers in lists.items() if numbers}
    demoted = None
    if correct_popularity:
        mean = popularity.means(lambda part: score(part)[0], len(vectors.tails), seed)
        demoted = np.float32(correct_popularity) * mean
    curve = calibration.select_curve(trained["calibration"], correct_popularity, metrics)
    about = candidates.About(kg, *types, known, curve, cautions, negative, demoted)
    of_heads = by_head.OfHeads(kg.count(types[0]), per_head)
    stable = stability.Stability(kg.count(types[0]))
    tables = candidates.rank(score, about, per_tail=per_tail, listeners=[of_heads, stable], **only)
    logging.info("%d candidates", candidates.save(tables, parquet_out, csv_out, curve))
    files.write_table(by_head_out, of_heads.table(about))
    files.write_table(popularity_out, of_heads.popularity(about))
    files.write_json(stability_out, {"members": len(trained["members"]), "lists": stable.summary()})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                snakemake.input.model,
                snakemake.input.kernel,
                snakemake.input.metrics,
                snakemake.input.negatives,
                snakemake.input.embeddings,
                snakemake.input.nodes,
                snakemake.input.edges,
                snakemake.input.relations,
                output.parquet,
                output.csv,
                output.by_head,
                output.popularity,
                output.stability,
                snakemake.input.get("chosen"),
                target=Target(**snakemake.params.target),
                **snakemake.params.candidates,
                seed=snakemake.params.seed,
            )
