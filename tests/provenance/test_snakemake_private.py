"""What Snakemake has to do that its documentation does not promise: what breaks without it."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from repurpose.provenance import snakemake_private

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# a.made -> a.used, which asks for a.verdict and, once that is there, for a.late. `plan` and `hook` are Python
# of the tests, which runs as the DAG is made and at the end.
SNAKEFILE = """
import json, os, sys

sys.path.insert(0, {scripts!r})
from repurpose.provenance import snakemake_private

PLANNED = []


def tell(**said):
    with open("told.jsonl", "a") as file:
        file.write(json.dumps(said) + "\\n")


def plan(wildcards):
    if not PLANNED:
        PLANNED.append(True)
        {plan}
    return {{}}


def judged(wildcards):
    verdict = checkpoints.judge.get(name=wildcards.name).output.verdict
    return {{"judged": verdict, "late": wildcards.name + ".late"}}


rule all:
    input:
        "a.used",


rule make:
    input:
        unpack(plan),
    output:
        made="{{name}}.made",
        beside="{{name}}.beside",
    params:
        factor=2,
        name=lambda wildcards: wildcards.name,
    run:
        for path in output:
            open(path, "w").close()


checkpoint judge:
    output:
        verdict="{{name}}.verdict",
    shell:
        "touch {{output}}"


rule late:
    output:
        "{{name}}.late",
    shell:
        "touch {{output}}"


rule use:
    input:
        unpack(judged),
        made="{{name}}.made",
    output:
        "{{name}}.used",
    script:
        "use.py"


onsuccess:
    {hook}


onerror:
    {hook}
"""
USE = "import pathlib\npathlib.Path(snakemake.output[0]).touch()\n"


@dataclass(frozen=True)
class Run:
    """What one call of Snakemake said, and what its Snakefile was told."""

    code: int
    output: str
    told: list[dict]

    @property
    def rules(self):
        return sorted(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", self.output, re.MULTILINE))


def call(folder, *arguments, plan="pass", hook="pass"):
    """Run the workflow in a folder with lines of Python in `plan` and in its hooks."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(scripts=str(SCRIPTS), plan=plan, hook=hook))
    (folder / "told.jsonl").write_text("")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
    return Run(done.returncode, done.stdout + done.stderr, told)


def tells(**said):
    """A line that tells values by name, each an expression of Python over `private` and `workflow`."""
    values = ", ".join(f"{name}={value}" for name, value in said.items())
    return f"tell({values})".replace("private.", "snakemake_private.")


def job(rule, name):
    """The expression of a job's params and inputs."""
    value = f"private.job(workflow, {rule!r}, {{'name': {name!r}}})"
    return f"{value} and [dict(each) for each in {value}]"


PATHS = ["a.made", "any/b.beside", "a.verdict", "notes.txt", "made"]
OUTPUTS = {"make": ["a.made", "a.beside"], "use": ["a.used"]}
OVERLAYS = "private.overlays(workflow)"
FORCED = f"[private.is_forced(workflow, *each) for each in {list(OUTPUTS.items())}]"
TOUCHES = "private.only_touches(workflow)"


@pytest.fixture(name="first", scope="module")
def first_run(tmp_path_factory):
    """A folder in which everything is made, and the run that made it."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "use.py").write_text(USE)
    plan = tells(
        planner="private.is_planner(workflow)",
        process="os.getpid()",
        overlays=OVERLAYS,
        forced=FORCED,
        outputs=f"[private.is_output(workflow, each) for each in {PATHS}]",
        jobs=f"[{job('make', 'b')}, {job('use', 'a')}, {job('all', 'a')}, {job('nobody', 'a')}]",
    )
    run = call(folder, plan=plan, hook=tells(touches=TOUCHES, job=job("use", "a")))
    assert run.code == 0 and run.rules == ["all", "judge", "late", "make", "use"], run.output
    return folder, run


@pytest.fixture(name="folder")
def everything_made(first, tmp_path):
    """A copy of that folder, whose files are all current."""
    return Path(shutil.copytree(first[0], tmp_path / "copy"))


def test_the_process_that_plans_is_told_from_those_that_run_a_job(first):
    """`workflow.is_main_process`; a job of `run:` (and one on a cluster) is a process that plans anew.

    Without it each job on a cluster would judge all results again, and set times of files that others make.
    Instead: the first process sets an environment variable, which its jobs inherit, as `jobs.VARIABLE`.
    """
    plans = [each for each in first[1].told if "planner" in each]
    assert [each["planner"] for each in plans] == [True, False]
    assert len({each["process"] for each in plans}) == 2


def test_a_command_that_only_touches_is_known(first, folder):
    """`workflow.touch`.

    Without it --touch would set results aside that it was to keep. Instead: look for --touch in `sys.argv`.
    """
    assert first[1].told[-1]["touches"] is False
    run = call(folder, "--forcerun", "use", "--touch", hook=tells(touches=TOUCHES))
    assert run.told == [{"touches": True}], run.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--config", "seed=1"], [[], True]),
        (["--configfile", "one.yaml", "two.yaml"], [["one.yaml", "two.yaml"], True]),
    ],
    ids=["--config", "--configfile"],
)
def test_overlays_of_the_command_line_are_known(first, folder, options, expected):
    """`workflow.config_settings`: `configfiles` of the command line alone, and what --config said, `config`.

    Without it a command that forgot its overlay would replace the results of one with it. Instead: read
    `sys.argv`, which has not what a profile adds.
    """
    assert first[1].told[0]["overlays"] == [[], False]
    for name in ("one.yaml", "two.yaml"):
        (folder / name).write_text("b: 2\n")
    run = call(folder, "--dry-run", "--forcerun", "make", *options, plan=tells(overlays=OVERLAYS))
    paths, has_options = run.told[0]["overlays"]
    assert [[os.path.relpath(folder / path, folder) for path in paths], has_options] == expected


def test_params_and_inputs_of_any_job_can_be_had(first):
    """`workflow.is_rule`, `get_rule`, and of a rule `wildcard_names`, `params` and `expand_input`.

    Without them no record can be compared with what would be made now: nothing is known to be stale. Instead:
    a table of params and inputs by rule in Python, of which the rules are made (they take what it gives).
    """
    make, _, without_name, without_rule = first[1].told[0]["jobs"]
    assert make == [{"factor": 2, "name": "b"}, {}]
    assert without_name is None and without_rule is None
    at_the_end = first[1].told[-1]["job"]
    assert at_the_end == [{}, {"judged": "a.verdict", "late": "a.late", "made": "a.made"}]


def test_before_a_checkpoint_is_done_a_job_has_its_other_inputs(first):
    """`expand_input` has the checkpoint's file, without a name, in place of what is known after it.

    Without it an exception would end the run, for nothing can be judged before all checkpoints are done.
    Instead: catch IncompleteCheckpointException in the input functions of rules/common.smk.
    """
    assert first[1].told[0]["jobs"][1] == [{}, {"made": "a.made"}]


def test_a_file_that_no_rule_makes_is_told_from_a_result(first):
    """`workflow.rules`, and `match` of each of a rule's `output`.

    Without it a person's own file in results/ would be set aside, or a result without a record kept. Instead:
    the patterns of outputs as text, turned into regular expressions.
    """
    assert first[1].told[0]["outputs"] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--forcerun", "make"], [True, False]),
        (["--forcerun", "a.beside"], [True, False]),
        (["--forceall"], [True, True]),
    ],
    ids=["rule", "file", "all"],
)
def test_what_the_command_line_forces_is_known(first, folder, options, expected):
    """`workflow.dag.forcerules`, all rules with --forceall, and `dag.forcefiles`, as the DAG is made.

    Without them a job that is asked for again would take its result back. Instead: look for the options in
    `sys.argv`.
    """
    assert first[1].told[0]["forced"] == [False, False]
    assert call(folder, "--dry-run", *options, plan=tells(forced=FORCED)).told[0]["forced"] == expected


def test_files_that_are_forced_as_the_dag_is_made_are_made_again_and_are_no_targets(folder):
    """What an input function puts into `dag.forcefiles` is heard when that DAG asks which jobs are to run.

    Without it results that do not fit the config would be taken for current. Instead: a command of our own
    that sets them aside and then starts Snakemake.
    """
    for end in ("made", "beside"):
        shutil.copy2(folder / f"a.{end}", folder / f"b.{end}")
    force = "snakemake_private.force(workflow, ['a.beside', 'b.made'])"
    run = call(folder, plan=force)
    assert run.rules == ["all", "make", "use"] and "Forced execution" in run.output, run.output
    assert "b.made" not in run.output  # forced, and nobody asks for it
    assert call(folder, "--dry-run").rules == []


@pytest.mark.parametrize(
    ("options", "before"),
    [
        (["--forcerun", "make"], [True, False]),
        (["--forcerun", "a.made"], [True, False]),
        (["--forceall"], [True, True]),
    ],
    ids=["rule", "file", "all"],
)
def test_what_was_forced_can_be_taken_back_at_the_end(folder, options, before):
    """`dag.forcefiles` and `dag.forcerules` are sets that a hook may empty.

    Without it what was forced would be set aside at the end, as what is to be made again. Instead: remember
    that the run has ended, and let `is_forced` be false then.
    """
    hook = f"{tells(forced=FORCED)}; snakemake_private.forget_forced(workflow); {tells(forced=FORCED)}"
    run = call(folder, *options, hook=hook)
    assert run.told == [{"forced": before}, {"forced": [False, False]}], run.output


def test_a_killed_script_is_named_by_the_log_files_that_a_hook_is_given(folder):
    """A hook's `log` is a list of paths; Snakemake's line on a script that was killed names it by its file.

    Without it a run that ended for want of memory says no more than "see the messages above". Instead: a file
    that a job writes when it begins and removes when it ends tells the same.
    """
    (folder / "use.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    text = "''.join(open(path).read() for path in log)"
    run = call(folder, "--forcerun", "use", hook=tells(logs="log", killed=f"private.killed({text})"))
    assert run.code != 0
    (told,) = run.told
    assert isinstance(told["logs"], list)
    (sentence,) = told["killed"]
    assert sentence.startswith("use was killed from outside, most often for want of memory; ")


@pytest.mark.parametrize("end", ["died with <Signals.SIGKILL: 9>", "returned non-zero exit status 137"])
def test_a_script_that_was_killed_is_named_once_and_one_that_failed_is_not(end):
    command = "Command 'set -euo pipefail;  /venv/bin/python /run/.snakemake/scripts/tmprpyw_9l4.{}.py' {}.\n"
    text = command.format("train_classifier", end) * 2
    text += command.format("build_graph", "returned non-zero exit status 1")
    (sentence,) = snakemake_private.killed(text)
    assert sentence.startswith("train_classifier was killed from outside, most often for want of memory; ")
