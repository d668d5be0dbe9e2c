"""Explain one device's best new candidates; find paths and reasons of the best ones of every tail."""

import logging
from pathlib import Path

from repurpose.candidates import evidence, finished, listed
from repurpose.candidates.finished import DeviceFiles
from repurpose.config.sections import Target
from repurpose.core import files, logs, threads
from repurpose.provenance import jobs
from repurpose.report import explorer, summary


def main(
    *,
    device_files: DeviceFiles,
    candidates: str | Path,
    evidence_out: str | Path,
    csv_out: str | Path,
    listed_out: str | Path,
    target: Target,
    explained: int,
    per_tail: int,
    paths_each: int,
    similar: int,
) -> None:
    """Write the explanations of the `explained` best pairs that no relation connects, over all tails.

    Of the `per_tail` best new pairs of each tail, write paths and reasons alone.
    """
    device = finished.load(device_files, target)
    best = summary.best_new(files.read_table(candidates), explained)
    explained_rows = device.explainer.explain_rows(best, paths_each, similar)
    evidence.write(explained_rows, evidence_out, csv_out)
    logging.info("%d pairs explained", best.num_rows)
    ranked = explorer.read_best(candidates, "tail", listed.COLUMNS, per_tail)
    pairs = listed.write(listed_out, device.explainer, ranked, per_tail, paths_each)
    logging.info("paths of %d pairs", pairs)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                device_files=DeviceFiles.of(snakemake.input),
                candidates=snakemake.input.candidates,
                evidence_out=output.evidence,
                csv_out=output.csv,
                listed_out=output.listed,
                target=Target(**snakemake.params.target),
                **snakemake.params.evidence,
            )
