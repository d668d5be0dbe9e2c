"""Explain one device's best new candidates: paths, similar treatments and attention."""

import logging
from pathlib import Path

import pyarrow as pa

from repurpose.candidates import evidence, finished
from repurpose.candidates.finished import DeviceFiles
from repurpose.config.sections import Target
from repurpose.core import files, logs, threads
from repurpose.provenance import jobs
from repurpose.report import summary


def main(
    *,
    device_files: DeviceFiles,
    candidates: str | Path,
    evidence_out: str | Path,
    target: Target,
    explained: int,
    paths_each: int,
    similar: int,
) -> None:
    """Write the explanations of the `explained` best pairs that no relation connects, over all tails."""
    device = finished.load(device_files, target)
    best = summary.best_new(files.read_table(candidates), explained)
    explained_rows = device.explainer.explain_rows(best, paths_each, similar)
    files.write_table(evidence_out, pa.Table.from_pylist(explained_rows, evidence.SCHEMA))
    logging.info("%d pairs explained", best.num_rows)


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
                target=Target(**snakemake.params.target),
                **snakemake.params.evidence,
            )
