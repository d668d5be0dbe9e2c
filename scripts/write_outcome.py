"""Write the outcome of one device: its row of the summary."""

from collections.abc import Mapping
from pathlib import Path

from repurpose.core import files, logs
from repurpose.gate import verdict
from repurpose.provenance import jobs
from repurpose.report import summary

LISTS = ("candidates", "by_head", "listed", "evidence")


def main(
    *,
    verdict_in: str | Path,
    training: str | Path,
    embeddings: str | Path,
    ranked_files: Mapping[str, str | Path],
    outcome_out: str | Path,
) -> None:
    """Join a device's results; ranked_files: files of summary.Ranked and LISTS by name, empty if it failed.

    `digests` are the SHA-256 of LISTS: the report reads these files, and must be written again with them.
    """
    row = summary.outcome(
        verdict.read(verdict_in),
        files.read_json(training),
        read(ranked_files) if ranked_files else None,
        summary.embedding_dim(embeddings),
    )
    row["digests"] = {name: files.digest(ranked_files[name]) for name in LISTS if ranked_files}
    files.write_json(outcome_out, row)


def read(ranked_files: Mapping[str, str | Path]) -> summary.Ranked:
    """Read the files; of the candidates, which can be all pairs, only the columns that the summary shows."""
    return summary.Ranked(
        files.read_json(ranked_files["metrics"]),
        files.read_table(ranked_files["candidates"], summary.PAIR_COLUMNS),
        files.read_table(ranked_files["evidence"]),
        files.read_table(ranked_files["popularity"]),
        files.read_json(ranked_files["stability"]),
        files.read_json(ranked_files["lists"]),
        files.read_json(ranked_files["negatives"]),
    )


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    inputs = dict(snakemake.input.items())
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                verdict_in=snakemake.input.verdict,
                training=snakemake.input.training,
                embeddings=snakemake.input.embeddings,
                ranked_files={
                    name: inputs[name] for name in {*summary.Ranked._fields, *LISTS} if name in inputs
                },
                outcome_out=output.outcome,
            )
