"""A workflow of three jobs without Snakemake, for the tests of how results are kept.

table.csv -> copy -> double; double and copy -> join. Every job writes two files.
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
    """Named values as Snakemake gives them."""


def params(config, rule, code="1"):
    tables = {"edges": str(TABLE)} if rule == "copy" else {}
    return {"factor": config.get(rule, 1), "tables": tables, "code": code, "unread": ()}


def given(config, rule, code="1"):
    """What Snakemake would tell the script of this job."""
    return SimpleNamespace(
        rule=rule,
        wildcards=Names(),
        input=Names(INPUTS[rule]),
        output=Names(OUTPUTS[rule]),
        params=Names(params(config, rule, code)),
    )


def write(config, rule, output):
    """What the job makes: text that depends on its factor and on its inputs alone."""
    sources = [
        Path(path) for each in INPUTS[rule].values() for path in ([each] if isinstance(each, str) else each)
    ]
    text = "".join(path.read_text() for path in sources or [TABLE]) * config.get(rule, 1)
    output.a.write_text(text)
    output.b.write_text(text.upper())


def do(config, rule, code="1", before_end=lambda: None):
    """Run one job; returns whether it had to make its files."""
    job = jobs.Job(given(config, rule, code))
    if job.restore_previous():
        return False
    with job.replacing() as output:
        write(config, rule, output)
        before_end()
    return True


def expected(config, code="1"):
    def of(record):
        if record.rule not in INPUTS:
            return None
        return runs.Expected(params(config, record.rule, code), INPUTS[record.rule])

    return of


def is_result(path):
    return path in {each for outputs in OUTPUTS.values() for each in outputs.values()}


def judge(config, code="1"):
    return runs.judge(expected(config, code), is_result, records.Digests())


def run(config, code="1"):
    """A whole run as Snakemake would make it; returns the jobs that made their files anew."""
    before = judge(config, code)
    runs.begin(before)
    missing = [rule for rule in INPUTS if not all(Path(path).exists() for path in OUTPUTS[rule].values())]
    return [rule for rule in missing if do(config, rule, code)]


def texts(folder="results"):
    """The result files below a folder and what is in them."""
    paths = [
        Path(folder) / Path(path).relative_to("results")
        for each in OUTPUTS.values()
        for path in each.values()
    ]
    return {str(path): path.read_text() for path in paths if path.exists()}


def forget_run():
    """This process belongs to no run any more."""
    os.environ.pop(jobs.VARIABLE, None)
