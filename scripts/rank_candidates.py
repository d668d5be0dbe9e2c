"""Score every head x tail pair with one device's classifier; write the best of each tail and of each head."""

import logging
from pathlib import Path

import numpy as np

from repurpose.candidates import (
    applicability,
    by_head,
    candidates,
    finished,
    likeness,
    stability,
)
from repurpose.candidates.additions import AdditionFiles, added
from repurpose.candidates.finished import DeviceFiles
from repurpose.config.sections import Target
from repurpose.core import files, logs, threads
from repurpose.provenance import jobs


def main(
    *,
    device_files: DeviceFiles,
    chosen: str | Path | None,
    additions_in: AdditionFiles,
    parquet_out: str | Path,
    csv_out: str | Path,
    by_head_out: str | Path,
    popularity_out: str | Path,
    stability_out: str | Path,
    lists_out: str | Path,
    target: Target,
    per_tail: int,
    per_head: int,
    correct_popularity: float,
    seed: int,
) -> None:
    """Write the best candidates of each tail and of each head, and what is measured on all lists.

    That is the heads' popularity, the stability, and how alike the lists are.

    chosen: file of the heads and tails to rank, None for all. additions_in: columns of the user's. per_tail:
    0 keeps every pair.
    """
    device = finished.load(device_files, target)
    annotator = device.annotator(correct_popularity, seed)
    by_head_collector = by_head.HeadCollector(annotator.heads, per_head, annotator.penalties)
    stability_collector = stability.StabilityCollector(annotator.heads)
    likeness_collector = likeness.LikenessCollector(annotator)
    lists = files.read_json(chosen) if chosen else {}
    nodes = {side: np.array(indices) for side, indices in lists.items() if indices}
    head_ranks = by_head.HeadRanks(annotator, **nodes)
    tables = candidates.rank(
        device.score,
        annotator,
        per_tail=per_tail,
        collectors=[by_head_collector, head_ranks, stability_collector, likeness_collector],
        **nodes,
    )
    treated = np.unique(device.treated[1])
    metadata = {
        "calibration": annotator.calibration,
        "treated": device.kg.node_ids[target.tail_type][treated].tolist(),
        "ranking": {"correct_popularity": correct_popularity, "seed": seed},
    }
    more = additions_in.load(device.kg.node_ids, target.types)
    count = candidates.save(tables, parquet_out, csv_out, metadata, head_ranks.complete, more)
    logging.info("%d candidates", count)
    files.write_table(by_head_out, added(by_head_collector.table(annotator), more))
    files.write_table(popularity_out, by_head_collector.popularity(annotator))
    members = len(device.metrics["members"])
    files.write_json(stability_out, {"members": members, "lists": stability_collector.summary()})
    vectors = device.vectors.tails
    unlike = applicability.unlike(vectors, treated)
    files.write_json(lists_out, likeness_collector.summary(vectors, treated, unlike, seed))


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                device_files=DeviceFiles.of(snakemake.input),
                chosen=snakemake.input.get("chosen"),
                additions_in=AdditionFiles.of(snakemake),
                parquet_out=output.parquet,
                csv_out=output.csv,
                by_head_out=output.by_head,
                popularity_out=output.popularity,
                stability_out=output.stability,
                lists_out=output.lists,
                target=Target(**snakemake.params.target),
                **snakemake.params.candidates,
                seed=snakemake.params.seed,
            )
