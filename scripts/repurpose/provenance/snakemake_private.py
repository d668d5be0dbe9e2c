"""The parts of Snakemake that the workflow uses although its documentation does not promise them.

rules/common.smk passes the `workflow` object of its Snakefile; nothing is imported from Snakemake.
tests/provenance/test_snakemake_private.py states what each part must do, and what to do if a newer Snakemake
lacks it.
"""

import functools
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from repurpose.core.errors import InputError
from repurpose.core.logs import FREE_MEMORY

# Snakemake's message for a script that was ended by SIGKILL, which the system sends if memory runs out.
KILLED = re.compile(
    r"/tmp\w+\.(\w+)\.py' (?:died with <Signals\.SIGKILL: 9>|returned non-zero exit status 137)"
)


def is_planner(workflow: Any) -> bool:
    """Whether this process plans the run; false in a process that Snakemake started for a single job."""
    return workflow.is_main_process


def only_touches(workflow: Any) -> bool:
    """Whether the command has --touch: it sets times of files and makes none."""
    return workflow.touch


def overlays(workflow: Any) -> tuple[list[str], bool]:
    """The files of --configfile, and whether these or --config changed the config."""
    settings = workflow.config_settings
    paths = [str(path) for path in settings.configfiles]
    return paths, bool(paths or settings.config)


def job(
    workflow: Any, rule: str, wildcards: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The params and the inputs by name that a rule's job would start with; None if there is no such job.

    If a job depends on a checkpoint that is not done, its inputs hold the checkpoint's file instead of the
    inputs that are known later.
    """
    if not workflow.is_rule(rule):
        return None
    rule_object = workflow.get_rule(rule)
    if set(wildcards) != set(rule_object.wildcard_names):
        return None
    wildcards_object = SimpleNamespace(**wildcards)
    params = {
        name: value(wildcards_object) if callable(value) else value
        for name, value in rule_object.params.items()
    }
    return params, dict(rule_object.expand_input(wildcards)[0].items())


def own_rules(workflow: Any) -> set[Any]:
    """The rules of the Snakefile that is read now, without those of a workflow that uses it as a module.

    The set fills while the Snakefile is read.
    """
    return workflow.modifier.rules


def is_main(workflow: Any) -> bool:
    """Whether the Snakefile that is read now is that of the command, and no module of it."""
    return workflow.modifier.is_main_snakefile()


def names_of_rules(workflow: Any) -> Callable[[str], str]:
    """A function from the name of a rule in the rules files to its name in the workflow that uses them."""
    return workflow.modifier.modify_rulename


def require_local(workflow: Any, project: Path) -> None:
    """Raise InputError if the module cannot be used: its Snakefile is elsewhere, or its paths are changed."""
    if not (project / "scripts").is_dir():
        raise InputError(
            f"{project} is no folder of this machine: clone the repository, and name its Snakefile in the "
            "module"
        )
    if workflow.modifier.modify_path("results/summary.json") != "results/summary.json":
        raise InputError(
            "a prefix of the module changes the paths of its results, which stay in results/: leave prefix "
            "and replace_prefix out, and use another --directory for another run"
        )


def add_handlers(
    workflow: Any, begin: Callable[[], None], end: Callable[[Sequence[str], bool], None]
) -> None:
    """Call `begin` before the handler onstart of the workflow, and `end` after those at its end."""
    started, succeeded, failed = workflow._onstart, workflow._onsuccess, workflow._onerror

    def on_start(log: Any) -> None:
        begin()
        started(log)

    def on_success(log: Any) -> None:
        end(_listed(log), False)
        succeeded(log)

    def on_error(log: Any) -> None:
        end(_listed(log), True)
        failed(log)

    workflow._onstart, workflow._onsuccess, workflow._onerror = on_start, on_success, on_error


def _listed(log: Any) -> list[str]:
    return [log] if isinstance(log, str) else list(log)


def is_output(rules: Iterable[Any], path: str) -> bool:
    """Whether one of the rules makes a file of this path."""
    return any(output.match(path) for rule in rules for output in rule.output)


def is_asked_for(workflow: Any, rule: str) -> bool:
    """Whether a job of the rule is part of what the command asked for, done in this run or before."""
    return any(job.rule.name == rule for job in workflow.dag.jobs)


def is_forced(workflow: Any, rule: str, outputs: Iterable[str]) -> bool:
    """Whether a job must run although its files are current: by --forceall, --forcerun or `force`."""
    dag = workflow.dag
    return rule in {each.name for each in dag.forcerules} or not dag.forcefiles.isdisjoint(outputs)


def force(workflow: Any, outputs: Iterable[str]) -> None:
    """Make the jobs of these files run, if the run needs the files.

    Call it from an input function, before Snakemake decides which jobs to run. --forcerun does the same, but
    also makes every forced file a target.
    """
    workflow.dag.forcefiles.update(outputs)


def forget_forced(workflow: Any) -> None:
    """Clear what was forced, also on the command line, after it has run."""
    workflow.dag.forcefiles.clear()
    workflow.dag.forcerules.clear()


def killed(log: str) -> list[str]:
    """A sentence for each script that was killed, from Snakemake's log.

    A killed script cannot write a message itself.
    """
    names = dict.fromkeys(KILLED.findall(log))
    return [f"{name} was killed from outside, most often for want of memory; {FREE_MEMORY}" for name in names]


def failed_rules(log: str) -> set[str]:
    """The rules of the jobs that failed, from Snakemake's log."""
    return set(re.findall(r"^Error in rule (\w+):$", log, re.MULTILINE))


def shorten_console(workflow: Any) -> None:
    """On the terminal, a line each for what starts, fails, and is done; Snakemake's log keeps it all.

    Nothing changes unless reasons are quiet, as in profiles/default: `--workflow-profile none` shows it all,
    and a dry run has its reasons.
    """
    quiet = workflow.output_settings.quiet or ()
    if "reason" not in {getattr(each, "name", each).lower() for each in quiet}:
        return
    for handler in logging.getLogger("snakemake.logging").handlers:
        if handler.name == "DefaultStreamHandler" and not workflow.output_settings.dryrun:
            handler.formatter.format_job_info = _start_of_job
            handler.formatter.format_job_error = _end_of_failed_job
            handler.formatter.format_progress = functools.partial(_progress, workflow)
            handler.addFilter(_is_news)
        else:
            for part in (handler.formatter, *handler.filters):
                part.quiet = set()


def _start_of_job(message: Mapping[str, Any]) -> str:
    return f"{time.strftime('%H:%M:%S')} {message['rule_msg'] or message['rule_name']}"


def _end_of_failed_job(message: Mapping[str, Any]) -> str:
    logs = f"; its log: {', '.join(message['log'])}" if message["log"] else ""
    return f"Failed: {message['rule_msg'] or message['rule_name']}{logs}"


def _progress(workflow: Any, message: Mapping[str, Any]) -> str:
    """Steps that are done, of all; "of at least" while it is not known which jobs follow a checkpoint."""
    dag = workflow.dag
    is_open = any(dag.needrun(job) and not dag.finished(job) for job in dag.checkpoint_jobs)
    return f"{message['done']} of {'at least ' if is_open else ''}{message['total']} steps done"


# Said of every job, of the plan again, or of a job that failed after its own sentence.
CHATTER = re.compile(
    r"Select jobs to execute\.\.\.|Execute \d+ jobs\.\.\.|DAG of jobs will be updated after completion\."
    r"|Updating checkpoint dependencies\.|Rules claiming more threads will be scaled down\."
    r"|Conda environments: ignored|Using shell: .*|Assuming unrestricted shared filesystem usage\."
    r"|RuleException:\n.*|WorkflowError:\nAt least one job did not complete successfully\."
    r"|Exiting because a job execution failed\. Look above for error messages",
    re.DOTALL,
)


def _is_news(record: logging.LogRecord) -> bool:
    """False for what is said of every job again: that one is selected, started, finished, or has failed."""
    event = str(getattr(record, "event", None) or "").rpartition(".")[2].lower()
    if event and event != "error":
        return (
            event not in ("job_finished", "job_started", "resources_info")
            and getattr(record, "rule_name", "") != "all"
        )
    text = str(record.msg or "").strip()
    return bool(text) and not CHATTER.fullmatch(text)
