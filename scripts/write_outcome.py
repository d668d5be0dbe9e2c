"""Write what became of one device: its row of the summary."""

from pathlib import Path

from repurpose import files, logs, summary


def main(
    verdict: str | Path,
    training: str | Path,
    embeddings: str | Path,
    metrics: str | Path | None,
    candidates: str | Path | None,
    evidence: str | Path | None,
    popularity: str | Path | None,
    outcome_out: str | Path,
) -> None:
    """Join a device's results; from `metrics` on all are None where its gate stopped it."""
    row = summary.outcome(
        files.read_json(verdict),
        files.read_json(training),
        files.read_json(metrics) if metrics else None,
        files.read_table(candidates, summary.PAIR_COLUMNS) if candidates else None,
        files.read_table(evidence) if evidence else None,
        files.read_table(popularity) if popularity else None,
        summary.embedding_dim(embeddings),
    )
    files.write_json(outcome_out, row)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    main(
        snakemake.input.verdict,
        snakemake.input.training,
        snakemake.input.embeddings,
        snakemake.input.get("metrics"),
        snakemake.input.get("candidates"),
        snakemake.input.get("evidence"),
        snakemake.input.get("popularity"),
        snakemake.output.outcome,
    )
