"""A workflow of three jobs that runs without Snakemake, for the tests of how results are kept.

table.csv -> copy -> double; copy and double -> join. Every job writes two files.
"""

import os
from pathlib import Path
from types import SimpleNamespace

from repurpose.provenance import jobs, records, runs

TABLE = Path("table.csv")
INPUTS = {
    "copy": {},
    "double": {"copied": "results/copy/a.txt"},
    "join": {"copied": "results/copy/a.txt", "doubled": ["results/double/a.txt", "results/double/b.txt"]},
}
OUTPUTS = {rule: {name: f"results/{rule}/{name}.txt" for name in "ab"} for rule in INPUTS}


class Names(dict):
    """Named values, like those that Snakemake gives to a script."""


def params(config, rule, code="1"):
    tables = {"edges": str(TABLE)} if rule == "copy" else {}
    return {"factor": config.get(rule, 1), "tables": tables, "code": code, "unread": ()}


def given(config, rule, code="1"):
    """The `snakemake` object that the script of this job would get."""
    return SimpleNamespace(
        rule=rule,
        wildcards=Names(),
        input=Names(INPUTS[rule]),
        output=Names(OUTPUTS[rule]),
        params=Names(params(config, rule, code)),
    )


def write(config, rule, output):
    """Write the files of a job: text that depends only on its factor and its inputs."""
    sources = [
        Path(path)
        for inputs in INPUTS[rule].values()
        for path in ([inputs] if isinstance(inputs, str) else inputs)
    ]
    text = "".join(path.read_text() for path in sources or [TABLE]) * config.get(rule, 1)
    output.a.write_text(text)
    output.b.write_text(text.upper())


def do(config, rule, code="1", before_end=lambda: None):
    """Run one job; returns False if it took back files that an earlier run had made."""
    job = jobs.Job(given(config, rule, code))
    if job.restore_previous():
        return False
    with job.replacing() as output:
        write(config, rule, output)
        before_end()
    return True


def expected(config, code="1"):
    def expect(record):
        if record.rule not in INPUTS:
            return None
        return runs.Expected(params(config, record.rule, code), INPUTS[record.rule])

    return expect


def is_result(path):
    return path in {path_of_result for outputs in OUTPUTS.values() for path_of_result in outputs.values()}


def judge(config, code="1"):
    return runs.judge(expected(config, code), is_result, records.Digests())


def run(config, code="1"):
    """Run all jobs as Snakemake would do; returns the jobs that computed their files."""
    before = judge(config, code)
    runs.begin(before)
    missing = [rule for rule in INPUTS if not all(Path(path).exists() for path in OUTPUTS[rule].values())]
    return [rule for rule in missing if do(config, rule, code)]


def texts(folder="results"):
    """The text of every result file below a folder, by path."""
    paths = [
        Path(folder) / Path(path).relative_to("results")
        for outputs in OUTPUTS.values()
        for path in outputs.values()
    ]
    return {str(path): path.read_text() for path in paths if path.exists()}


def forget_run():
    """Remove the environment variable by which this process belongs to a run."""
    os.environ.pop(jobs.VARIABLE, None)
