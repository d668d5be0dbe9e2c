"""What the workflow reads and sets of Snakemake that its documentation does not promise.

rules/common.smk hands over the `workflow` of its Snakefile; nothing is imported from Snakemake.
tests/provenance/test_snakemake_private.py states what each of these has to do, and what to do where a newer
Snakemake has it no more.
"""

import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from repurpose.core.logs import FREE_MEMORY

# Snakemake's words for a script that SIGKILL ended, which is how the system takes memory back.
KILLED = re.compile(
    r"/tmp\w+\.(\w+)\.py' (?:died with <Signals\.SIGKILL: 9>|returned non-zero exit status 137)"
)


def is_planner(workflow: Any) -> bool:
    """Whether this process plans the run, and is not one that it started for a single job."""
    return workflow.is_main_process


def only_touches(workflow: Any) -> bool:
    """Whether the command sets times of files (--touch) and makes none."""
    return workflow.touch


def overlays(workflow: Any) -> tuple[list[str], bool]:
    """The files of --configfile, and whether these or --config had a say in the config."""
    settings = workflow.config_settings
    paths = [str(path) for path in settings.configfiles]
    return paths, bool(paths or settings.config)


def job(
    workflow: Any, rule: str, wildcards: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The params and the inputs by name that a rule's job would start with; None where there is no such job.

    Before a checkpoint is known to be done, its own file stands for what depends on it.
    """
    if not workflow.is_rule(rule):
        return None
    maker = workflow.get_rule(rule)
    if set(wildcards) != set(maker.wildcard_names):
        return None
    names = SimpleNamespace(**wildcards)
    params = {name: value(names) if callable(value) else value for name, value in maker.params.items()}
    return params, dict(maker.expand_input(wildcards)[0].items())


def is_output(workflow: Any, path: str) -> bool:
    """Whether some rule makes a file of this path."""
    return any(output.match(path) for rule in workflow.rules for output in rule.output)


def is_forced(workflow: Any, rule: str, outputs: Iterable[str]) -> bool:
    """Whether a job is to be run though its files are current: --forceall, --forcerun, or by `force`."""
    dag = workflow.dag
    return rule in {each.name for each in dag.forcerules} or not dag.forcefiles.isdisjoint(outputs)


def force(workflow: Any, outputs: Iterable[str]) -> None:
    """Have the jobs of these files run, where the run needs them; from an input function, before it is asked.

    On the command line --forcerun does that, but makes every forced file a target too.
    """
    workflow.dag.forcefiles.update(outputs)


def forget_forced(workflow: Any) -> None:
    """Take back what was forced, on the command line too, now that it has run."""
    workflow.dag.forcefiles.clear()
    workflow.dag.forcerules.clear()


def killed(log: str) -> list[str]:
    """A sentence for each script that was killed, from Snakemake's log: such a job leaves none of its own."""
    names = dict.fromkeys(KILLED.findall(log))
    return [f"{name} was killed from outside, most often for want of memory; {FREE_MEMORY}" for name in names]
