"""Write summary.json, report.html and the dataset card, whether or not a device passed its gate."""

from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files, logs
from repurpose.gate import verdict
from repurpose.provenance import jobs
from repurpose.report import card, page, summary


def main(
    *,
    outcomes: Sequence[str | Path],
    verdicts: Sequence[str | Path],
    histories: Sequence[str | Path],
    relations: str | Path,
    ledger: str | Path,
    certificate: str | Path,
    agreement: str | Path | None,
    pooled: str | Path | None,
    summary_out: str | Path,
    report_out: str | Path,
    card_out: str | Path,
) -> None:
    """Summarise the run; outcomes, verdicts, histories: one file per device, in the same order.

    agreement: None if there is only one trained run. pooled: the pooled candidates, None without `seeds`.
    """
    rows = [verdict.read(path) for path in outcomes]
    devices = [row["device"] for row in rows]
    counts, removed = files.read_json(ledger), files.read_json(certificate)
    compared = files.read_json(agreement) if agreement else None
    candidates = files.read_table(pooled, summary.POOLED_COLUMNS) if pooled else None
    of_pooled = summary.pooled(rows, candidates) if candidates is not None else None
    content = summary.summary(rows, files.read_json(relations), counts, removed, compared, of_pooled)
    html = page.render(
        content,
        {device: files.read_table(path) for device, path in zip(devices, histories, strict=True)},
        {device: verdict.read(path) for device, path in zip(devices, verdicts, strict=True)},
        counts,
        removed,
    )
    files.write_json(summary_out, content)
    texts = {report_out: html, card_out: card.render(content, page.target_types(removed))}
    for path, text in texts.items():
        with files.replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                outcomes=snakemake.input.outcomes,
                verdicts=snakemake.input.verdicts,
                histories=snakemake.input.histories,
                relations=snakemake.input.relations,
                ledger=snakemake.input.ledger,
                certificate=snakemake.input.certificate,
                agreement=snakemake.input.get("agreement"),
                pooled=snakemake.input.get("pooled"),
                summary_out=output.summary,
                report_out=output.report,
                card_out=output.card,
            )
