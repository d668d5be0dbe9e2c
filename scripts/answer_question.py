"""Write the best new drugs of one disease, with their explanations, as JSON."""

from pathlib import Path

from repurpose.candidates import questions
from repurpose.core import files, logs, threads
from repurpose.graph import names
from repurpose.provenance import jobs


def main(
    *,
    results: Path,
    device: str,
    disease: str,
    answer_out: str | Path,
    top: int,
    correct_popularity: float,
    seed: int,
) -> None:
    """Write the `top` best new candidates of a disease; disease: id or name."""
    run = questions.Run(results, device, correct_popularity=correct_popularity, seed=seed)
    tail = names.find(run.kg, run.target.tail_type, disease)
    rows = run.heads_of(tail, top, with_known=False)
    files.write_json(answer_out, run.explained(rows, questions.PAIR_PATHS, questions.PAIR_SIMILAR))


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                results=Path("results"),
                device=snakemake.wildcards.device,
                disease=snakemake.wildcards.disease,
                answer_out=output.answer,
                top=snakemake.params.top,
                correct_popularity=snakemake.params.correct_popularity,
                seed=snakemake.params.seed,
            )
