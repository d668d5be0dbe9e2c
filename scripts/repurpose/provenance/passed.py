"""Which devices of a finished run passed their gate, for readers outside the workflow.

A module of its own, so that a command that reads files alone does not load the models' libraries.
"""

from pathlib import Path

from repurpose.core import files
from repurpose.core.errors import InputError


def device_of(results: Path, wanted: str | None) -> str:
    """The wanted device, or the first that passed its gate; raises InputError if it has no candidates."""
    devices = passed_in(results)
    if wanted and wanted not in devices:
        raise InputError(
            f"{wanted} has no candidates; devices that passed their gate: {', '.join(devices) or 'none'}"
        )
    if not devices:
        raise InputError("no device passed its gate, so there are no candidates: see report.html")
    return wanted or devices[0]


def passed_in(results: Path) -> list[str]:
    """The devices that passed their gate; raises InputError if no run has finished."""
    if not (results / "summary.json").exists():
        earlier = results / "previous"
        hint = f"; the results before are in {earlier}" if (earlier / "summary.json").exists() else ""
        raise InputError(
            f"{results} has no summary.json: run the workflow first, or to its end, or give --results{hint}"
        )
    return files.read_json(results / "summary.json")["passed"]
