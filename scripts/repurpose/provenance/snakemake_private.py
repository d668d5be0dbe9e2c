"""The parts of Snakemake that the workflow uses although its documentation does not promise them.

rules/common.smk passes the `workflow` object of its Snakefile; nothing is imported from Snakemake.
tests/provenance/test_snakemake_private.py states what each part must do, and what to do if a newer Snakemake
lacks it.
"""

import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

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


def is_output(workflow: Any, path: str) -> bool:
    """Whether a rule makes a file of this path."""
    return any(output.match(path) for rule in workflow.rules for output in rule.output)


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
