"""Compare the runs (devices and seeds) with one another."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.config.device import seed_in
from repurpose.config.sections import AgreementSettings
from repurpose.core import files, logs, threads
from repurpose.gate import agreement, verdict
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs
from repurpose.report import summary
from repurpose.vectors import embeddings


def main(
    *,
    graph_files: GraphFiles,
    names: Sequence[str],
    batchings: Sequence[str],
    vectors: Sequence[str | Path],
    histories: Sequence[str | Path],
    candidates: Sequence[str | Path | None],
    agreement_out: str | Path,
    settings: AgreementSettings,
    seed: int,
) -> None:
    """Compare the runs `names`; lists of files are in the same order, None for missing candidates."""
    kg = graph.load(graph_files)
    devices = [
        agreement.DeviceRun(name, batching, *read(kg, *paths, settings.top), seed_in(name))
        for name, batching, *paths in zip(names, batchings, vectors, histories, candidates, strict=True)
    ]
    content = agreement.compare(devices, kg.connected(), settings, seed)
    files.write_json(agreement_out, content)
    for sentence in summary.disagreements(content):
        logging.warning("%s", sentence)


def read(kg, vectors, history, candidates, top):
    """Vectors in the graph's order, the link losses, and the shortlist of one device."""
    embedded = embeddings.read(vectors)
    aligned = embeddings.aligned(embedded, kg, vectors) if embedded.vectors else {}
    losses = files.read_table(history, ["link"])["link"].to_pylist()
    if candidates is None:
        return aligned, losses, None
    batches = files.batches(candidates, agreement.CANDIDATE_COLUMNS)
    return aligned, losses, agreement.shortlist(batches, top)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    ranked = iter(snakemake.input.get("candidates", []))
    passed = [verdict.has_passed(path) for path in snakemake.input.verdicts]
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                names=snakemake.params.devices,
                batchings=snakemake.params.batchings,
                vectors=snakemake.input.embeddings,
                histories=snakemake.input.histories,
                candidates=[next(ranked) if has_passed else None for has_passed in passed],
                agreement_out=output.agreement,
                settings=AgreementSettings(**snakemake.params.agreement),
                seed=snakemake.params.seed,
            )
