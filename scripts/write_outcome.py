"""Write what became of one device: its row of the summary."""

from collections.abc import Mapping
from pathlib import Path

from repurpose.core import files, logs
from repurpose.gate import verdict
from repurpose.provenance import jobs
from repurpose.report import summary


def main(
    verdict_in: str | Path,
    training: str | Path,
    embeddings: str | Path,
    ranked: Mapping[str, str | Path],
    outcome_out: str | Path,
) -> None:
    """Join a device's results; `ranked`: those of summary.Ranked by name, none where its gate stopped it."""
    row = summary.outcome(
        verdict.read(verdict_in),
        files.read_json(training),
        read(ranked) if ranked else None,
        summary.embedding_dim(embeddings),
    )
    files.write_json(outcome_out, row)


def read(ranked: Mapping[str, str | Path]) -> summary.Ranked:
    """What the files hold; of the candidates, which may be all pairs, the columns that are shown."""
    return summary.Ranked(
        files.read_json(ranked["metrics"]),
        files.read_table(ranked["candidates"], summary.PAIR_COLUMNS),
        files.read_table(ranked["evidence"]),
        files.read_table(ranked["popularity"]),
        files.read_json(ranked["stability"]),
        files.read_json(ranked["negatives"]),
    )


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    given = dict(snakemake.input.items())
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                snakemake.input.verdict,
                snakemake.input.training,
                snakemake.input.embeddings,
                {name: given[name] for name in summary.Ranked._fields if name in given},
                output.outcome,
            )
