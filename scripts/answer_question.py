"""Write the best new drugs of one disease, with their reasons, as JSON."""

from pathlib import Path

from repurpose.candidates import questions
from repurpose.core import files, logs, threads
from repurpose.graph import names
from repurpose.provenance import jobs


def main(results: str | Path, device: str, disease: str, answer_out: str | Path, *, top: int) -> None:
    """disease: id or name."""
    run = questions.Run(Path(results), device)
    tail = names.find(run.kg, run.types[1], disease)
    files.write_json(answer_out, run.explained(run.heads_of(tail, top, False), 5, 5))


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                "results",
                snakemake.wildcards.device,
                snakemake.wildcards.disease,
                output.answer,
                top=snakemake.params.top,
            )
