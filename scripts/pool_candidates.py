"""Pool the candidates of all runs (devices and seeds) that passed their gate."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from repurpose.candidates import candidates, finished, pooled
from repurpose.candidates.additions import Addition, AdditionFiles
from repurpose.candidates.finished import DeviceFiles
from repurpose.candidates.pooled import PooledRun
from repurpose.config.sections import Target
from repurpose.core import files, logs, threads
from repurpose.gate import verdict
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs

FEWEST = 2  # runs that can be pooled


def main(
    *,
    names: Sequence[str],
    files_of_runs: Sequence[DeviceFiles],
    seeds: Sequence[int],
    chosen: str | Path | None,
    additions_in: AdditionFiles,
    parquet_out: str | Path,
    csv_out: str | Path,
    target: Target,
    per_tail: int,
    correct_popularity: float,
) -> None:
    """Write the pooled candidates of the runs `names`; lists of files and seeds are in the same order.

    With fewer than FEWEST runs nothing is pooled, and both files have no rows. seeds: those that the runs'
    own candidates are ranked with. chosen: file of the heads and tails to rank, None for all. additions_in:
    columns of the user's.
    """
    is_pooled = len(names) >= FEWEST
    if not is_pooled:
        logging.info("nothing to pool: %d of the runs passed the gate", len(names))
    lists = files.read_json(chosen) if chosen else {}
    tables: Iterator[pa.Table] = iter(())
    more: list[Addition] = []
    if is_pooled:
        runs = load(files_of_runs, seeds, target, correct_popularity)
        more = additions_in.load(runs[0].annotator.kg.node_ids, target.types)
        chosen_nodes = {side: np.array(indices) for side, indices in lists.items() if indices}
        tables = pooled.rank(runs, per_tail=per_tail, **chosen_nodes)
    metadata = {"runs": list(names) if is_pooled else []}
    count = candidates.save(tables, parquet_out, csv_out, metadata, additions=more)
    logging.info("%d candidates", count)


def load(
    files_of_runs: Sequence[DeviceFiles], seeds: Sequence[int], target: Target, correct_popularity: float
) -> list[PooledRun]:
    """The runs one after the other; all share the graph of the first, so that it is in memory once."""
    runs: list[PooledRun] = []
    for files_of_run, seed in zip(files_of_runs, seeds, strict=True):
        run = PooledRun.of(finished.load(files_of_run, target), correct_popularity, seed)
        if runs:
            first = runs[0].annotator
            shared = dataclasses.replace(run.annotator, kg=first.kg, known=first.known)
            run = dataclasses.replace(run, annotator=shared)
        runs.append(run)
    return runs


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    is_passed = [verdict.has_passed(path) for path in snakemake.input.verdicts]
    passed = [
        (name, seed)
        for name, seed, has_passed in zip(
            snakemake.params.runs, snakemake.params.seeds, is_passed, strict=True
        )
        if has_passed
    ]
    graph_files = GraphFiles.of(snakemake.input)
    parts = ("embeddings", "model", "kernel", "metrics", "negatives")
    paths = [snakemake.input.get(part, []) for part in parts]
    models = snakemake.input.get("metapaths")
    metapaths = {"metapaths": Path(models)} if models else {}
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                names=[name for name, _ in passed],
                files_of_runs=[
                    DeviceFiles(graph_files, **dict(zip(parts, map(Path, of_run), strict=True)), **metapaths)
                    for of_run in zip(*paths, strict=True)
                ],
                seeds=[seed for _, seed in passed],
                chosen=snakemake.input.get("chosen"),
                additions_in=AdditionFiles.of(snakemake),
                parquet_out=output.parquet,
                csv_out=output.csv,
                target=Target(**snakemake.params.target),
                **snakemake.params.candidates,
            )
