"""Fail the run if no device passed its gate, and say why."""

from pathlib import Path

from repurpose.core import files, logs
from repurpose.core.errors import InputError
from repurpose.provenance import jobs
from repurpose.report import summary


def main(*, summary_in: str | Path, passed_out: str | Path) -> None:
    """Write the devices that passed; raises InputError with every device's reason if none did."""
    content = files.read_json(summary_in)
    if not content["passed"]:
        raise InputError(summary.verdict_sentence(content))
    files.write_json(passed_out, {"passed": content["passed"]})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(summary_in=snakemake.input.summary, passed_out=output.passed)
