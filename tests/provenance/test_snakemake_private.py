"""What Snakemake must do that its documentation does not promise, and what fails without it."""

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
# a.used needs a.made, a.verdict and, after the checkpoint that makes a.verdict, a.late. `plan` and `hook` are
# lines of Python from the tests; they run while the DAG is made and at the end of the run.
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
        second="{{name}}.second",
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
    """The result of one call of Snakemake: exit status, output, and the values that its Snakefile wrote."""

    code: int
    output: str
    told: list[dict]

    @property
    def rules(self):
        return sorted(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", self.output, re.MULTILINE))


def call(folder, *arguments, plan="pass", hook="pass"):
    """Run the workflow in a folder, with lines of Python in `plan` and in its hooks."""
    (folder / "Snakefile").write_text(SNAKEFILE.format(scripts=str(SCRIPTS), plan=plan, hook=hook))
    (folder / "told.jsonl").write_text("")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    completed = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    told = [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
    return Run(completed.returncode, completed.stdout + completed.stderr, told)


def tells(**expressions):
    """A line of Python that writes named values; each is an expression of `private` and `workflow`."""
    values = ", ".join(f"{name}={value}" for name, value in expressions.items())
    return f"tell({values})".replace("private.", "snakemake_private.")


def job(rule, name):
    """The expression for a job's params and inputs."""
    value = f"private.job(workflow, {rule!r}, {{'name': {name!r}}})"
    return f"{value} and [dict(each) for each in {value}]"


PATHS = ["a.made", "any/b.second", "a.verdict", "notes.txt", "made"]
OUTPUTS = {"make": ["a.made", "a.second"], "use": ["a.used"]}
OVERLAYS = "private.overlays(workflow)"
FORCED = f"[private.is_forced(workflow, *each) for each in {list(OUTPUTS.items())}]"
TOUCHES = "private.only_touches(workflow)"


@pytest.fixture(name="first", scope="module")
def first_run(tmp_path_factory):
    """A folder in which all files are made, and the run that made them."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "use.py").write_text(USE)
    plan = tells(
        planner="private.is_planner(workflow)",
        process="os.getpid()",
        overlays=OVERLAYS,
        forced=FORCED,
        outputs=f"[private.is_output(private.own_rules(workflow), each) for each in {PATHS}]",
        jobs=f"[{job('make', 'b')}, {job('use', 'a')}, {job('all', 'a')}, {job('nobody', 'a')}]",
    )
    run = call(folder, plan=plan, hook=tells(touches=TOUCHES, job=job("use", "a")))
    assert run.code == 0 and run.rules == ["all", "judge", "late", "make", "use"], run.output
    return folder, run


@pytest.fixture(name="folder")
def everything_made(first, tmp_path):
    """A copy of that folder; all its files are current."""
    return Path(shutil.copytree(first[0], tmp_path / "copy"))


def test_the_process_that_plans_is_distinguished_from_processes_that_run_a_job(first):
    """`workflow.is_main_process`: a job with `run:`, or on a cluster, is a process that also plans.

    Without it, each job on a cluster would judge all results again and set times of files that others make.
    Instead: the first process sets an environment variable, which its jobs inherit, like `jobs.VARIABLE`.
    """
    plans = [each for each in first[1].told if "planner" in each]
    assert [each["planner"] for each in plans] == [True, False]
    assert len({each["process"] for each in plans}) == 2


def test_a_command_with_touch_is_recognised(first, folder):
    """`workflow.touch`: the command has --touch.

    Without it, --touch would set aside results that it must keep. Instead: look for --touch in `sys.argv`.
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
    """`workflow.config_settings`: its `configfiles` are those of the command line; its `config` is --config.

    Without it, a command that forgot its overlay would replace results that were made with it. Instead: read
    `sys.argv`, which lacks the options of a profile.
    """
    assert first[1].told[0]["overlays"] == [[], False]
    for name in ("one.yaml", "two.yaml"):
        (folder / name).write_text("b: 2\n")
    run = call(folder, "--dry-run", "--forcerun", "make", *options, plan=tells(overlays=OVERLAYS))
    paths, has_options = run.told[0]["overlays"]
    assert [[os.path.relpath(folder / path, folder) for path in paths], has_options] == expected


def test_params_and_inputs_of_any_job_are_available(first):
    """`workflow.is_rule`, `get_rule`, and a rule's `wildcard_names`, `params` and `expand_input`.

    Without them, no record can be compared with the job as it would run now, so no result is known to be
    stale. Instead: keep params and inputs by rule in a Python table, and make the rules from it.
    """
    make, _, without_name, without_rule = first[1].told[0]["jobs"]
    assert make == [{"factor": 2, "name": "b"}, {}]
    assert without_name is None and without_rule is None
    at_the_end = first[1].told[-1]["job"]
    assert at_the_end == [{}, {"judged": "a.verdict", "late": "a.late", "made": "a.made"}]


def test_before_a_checkpoint_is_done_a_job_has_its_other_inputs(first):
    """`expand_input` returns the checkpoint's file, unnamed, instead of the inputs that are known after it.

    Without it, an exception would end the run, because nothing can be judged before all checkpoints are done.
    Instead: catch IncompleteCheckpointException in the input functions of rules/common.smk.
    """
    assert first[1].told[0]["jobs"][1] == [{}, {"made": "a.made"}]


def test_a_file_that_no_rule_makes_is_distinguished_from_a_result(first):
    """`workflow.rules`, and `match` of each of a rule's `output`.

    Without it, a user's own file in results/ would be set aside, or a result without a record would be kept.
    Instead: turn the output patterns into regular expressions.
    """
    assert first[1].told[0]["outputs"] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--forcerun", "make"], [True, False]),
        (["--forcerun", "a.second"], [True, False]),
        (["--forceall"], [True, True]),
    ],
    ids=["rule", "file", "all"],
)
def test_rules_and_files_that_the_command_line_forces_are_known(first, folder, options, expected):
    """`workflow.dag.forcerules` (all rules with --forceall) and `dag.forcefiles`, while the DAG is made.

    Without them, a job that the user forced would restore its earlier result. Instead: look for the options
    in `sys.argv`.
    """
    assert first[1].told[0]["forced"] == [False, False]
    assert call(folder, "--dry-run", *options, plan=tells(forced=FORCED)).told[0]["forced"] == expected


def test_files_that_an_input_function_forces_are_made_again_and_are_no_targets(folder):
    """Snakemake reads `dag.forcefiles` after an input function has added files to it.

    Without it, results that do not fit the config would be taken as current. Instead: write a command that
    sets them aside and then starts Snakemake.
    """
    for end in ("made", "second"):
        shutil.copy2(folder / f"a.{end}", folder / f"b.{end}")
    force = "snakemake_private.force(workflow, ['a.second', 'b.made'])"
    run = call(folder, plan=force)
    assert run.rules == ["all", "make", "use"] and "Forced execution" in run.output, run.output
    assert "b.made" not in run.output  # forced, but no job needs it
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
def test_a_hook_can_clear_what_was_forced_at_the_end(folder, options, before):
    """`dag.forcefiles` and `dag.forcerules` are sets that a hook may clear.

    Without it, forced results would be set aside at the end, as results that must be made again. Instead:
    remember that the run has ended, and let `is_forced` return False from then on.
    """
    hook = f"{tells(forced=FORCED)}; snakemake_private.forget_forced(workflow); {tells(forced=FORCED)}"
    run = call(folder, *options, hook=hook)
    assert run.told == [{"forced": before}, {"forced": [False, False]}], run.output


def test_the_log_files_of_a_hook_name_a_killed_script(folder):
    """A hook's `log` is a list of paths; Snakemake's message about a killed script contains its file name.

    Without it, a run that ended because memory ran out says only "see the messages above". Instead: a file
    that a job writes when it begins and removes when it ends gives the same information.
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
def test_a_killed_script_is_named_once_and_a_failed_script_is_not_named(end):
    command = "Command 'set -euo pipefail;  /venv/bin/python /run/.snakemake/scripts/tmprpyw_9l4.{}.py' {}.\n"
    text = command.format("train_classifier", end) * 2
    text += command.format("build_graph", "returned non-zero exit status 1")
    (sentence,) = snakemake_private.killed(text)
    assert sentence.startswith("train_classifier was killed from outside, most often for want of memory; ")


SHORT = "snakemake_private.shorten_console(workflow) if workflow.is_main_process else None"


@pytest.fixture(name="fresh")
def folder_without_results(tmp_path):
    (tmp_path / "use.py").write_text(USE)
    return tmp_path


def test_the_terminal_is_short_and_the_log_has_everything(fresh):
    quiet = ["--quiet", "host", "reason", "--"]
    short = call(fresh, *quiet, plan=SHORT)
    assert short.code == 0, short.output
    started = re.findall(r"^\d\d:\d\d:\d\d (\w+)$", short.output, re.MULTILINE)
    assert sorted(started) == ["judge", "late", "make", "use"]
    # Before the checkpoint it is not known that `late` will run.
    assert "1 of at least 4 steps done" in short.output and "4 of 5 steps done" in short.output
    for chatter in ("Select jobs", "Execute 1 jobs", "Finished jobid", "jobid:", "reason:", "localrule all"):
        assert chatter not in short.output, chatter
    (log,) = (fresh / ".snakemake" / "log").glob("*.log")
    text = log.read_text()
    assert all(part in text for part in ("Finished jobid", "jobid:", "reason:", "Execute 1 jobs"))


def test_without_quiet_reasons_and_in_a_dry_run_the_terminal_shows_everything(fresh):
    dry = call(fresh, "--dry-run", "--quiet", "host", "reason", "--", plan=SHORT)
    assert dry.code == 0 and "reason:" in dry.output and dry.rules == ["all", "judge", "make", "use"]
    whole = call(fresh, plan=SHORT)
    assert whole.code == 0 and "Finished jobid" in whole.output and "reason:" in whole.output


def test_a_failed_job_has_a_line_and_what_it_said(fresh):
    (fresh / "use.py").write_text("raise SystemExit('out of luck')\n")
    failed = call(fresh, "--quiet", "host", "reason", "--", plan=SHORT)
    assert failed.code == 1 and "Failed: use" in failed.output and "out of luck" in failed.output
    for chatter in (
        "RuleException",
        "CalledProcessError",
        "Error in rule",
        "Exiting because",
        "WorkflowError",
    ):
        assert chatter not in failed.output, chatter
    (log,) = (fresh / ".snakemake" / "log").glob("*.log")
    assert "Error in rule use:" in log.read_text() and "RuleException" in log.read_text()


def test_errors_of_snakemake_itself_are_never_quiet(fresh):
    failed = call(fresh, "--quiet", "host", "reason", "--", "nowhere.txt", plan=SHORT)
    assert failed.code == 1 and "MissingRuleException" in failed.output and "nowhere.txt" in failed.output


def test_the_rules_of_failed_jobs_are_known_from_the_log(fresh):
    (fresh / "use.py").write_text("raise SystemExit('out of luck')\n")
    text = "''.join(open(path).read() for path in log)"
    failed = call(fresh, hook=tells(failed=f"sorted(private.failed_rules({text}))"))
    assert failed.code == 1 and failed.told[-1] == {"failed": ["use"]}


def test_what_was_asked_for_is_known_at_the_end(fresh):
    asked = tells(**{rule: f"private.is_asked_for(workflow, {rule!r})" for rule in ("make", "use", "none")})
    assert call(fresh, hook=asked).told[-1] == {"make": True, "use": True, "none": False}
    assert call(fresh, "b.made", hook=asked).told[-1] == {"make": True, "use": False, "none": False}


MODULE = f"""
import sys

sys.path.insert(0, {str(SCRIPTS)!r})
from pathlib import Path

from repurpose.core.errors import InputError
from repurpose.provenance import snakemake_private as private

try:
    private.require_local(workflow, Path(str(workflow.current_basedir)))
except InputError as error:
    sys.exit(f"Error: {{error}}")


def end(logs, is_failed):
    print("ended", is_failed, len(logs))


OWN, IS_MAIN, named = private.own_rules(workflow), private.is_main(workflow), private.names_of_rules(workflow)


def plan(wildcards):
    if private.is_planner(workflow) and not IS_MAIN and "is_planned" not in globals():
        globals()["is_planned"] = True
        private.add_handlers(workflow, lambda: print("begun"), end)
        print("own", sorted(rule.name for rule in OWN), IS_MAIN, named("inner"))
        print("made", [private.is_output(OWN, path) for path in ("inner.txt", "outer.txt")])
    return []


rule inner:
    input:
        plan,
    output:
        "inner.txt",
    shell:
        "{{config[command]}} {{output}}"
"""
USER_OF_MODULE = """
module used:
    snakefile: "inner/Snakefile"
    config: config
    {more}


use rule * from used as used_*


rule outer:
    default_target: True
    input: "inner.txt"
    output: "outer.txt"
    shell: "touch {{output}}"


onstart:
    print("outer began")


onerror:
    print("outer failed")
"""


@pytest.mark.parametrize(("command", "is_failed"), [("touch", False), ("false", True)])
def test_a_module_has_its_own_rules_under_their_new_names_and_its_handlers_run(tmp_path, command, is_failed):
    """`workflow.modifier`, and the handlers `workflow._onstart` and so on, which a module cannot set.

    Without them, a run of a module would not set aside what is stale. Instead: the documents tell the user to
    call the module's handlers in handlers of their own.
    """
    (tmp_path / "inner" / "scripts").mkdir(parents=True)
    (tmp_path / "inner" / "Snakefile").write_text(MODULE)
    (tmp_path / "Snakefile").write_text(USER_OF_MODULE.format(more=""))
    line = [sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(tmp_path)]
    line += ["--snakefile", str(tmp_path / "Snakefile"), "--config", f"command={command}"]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    said = ended.stdout.splitlines()
    assert ended.returncode == is_failed, ended.stderr
    assert said[:2] == ["own ['used_inner'] False used_inner", "made [True, False]"]
    assert said[2:4] == ["begun", "outer began"]
    assert said[4:] == [f"ended {is_failed} 1", *(["outer failed"] if is_failed else [])]
    (tmp_path / "Snakefile").write_text(USER_OF_MODULE.format(more='prefix: "sub"'))
    refused = subprocess.run(line, capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and "leave prefix and replace_prefix out" in refused.stderr
    (tmp_path / "Snakefile").write_text(USER_OF_MODULE.format(more=""))
    (tmp_path / "inner" / "scripts").rmdir()
    refused = subprocess.run(line, capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and "clone the repository" in refused.stderr
