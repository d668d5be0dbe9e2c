"""Read verdict.json, so that no classifier is trained on embeddings that failed the gate.

gate.py makes the verdict. Reading it has a module of its own because the digest of a rule's code covers whole
modules: a rule that only reads a verdict, such as train_classifier, need not run again after an edit of
gate.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core import files
from repurpose.core.errors import InputError


def read(path: str | Path) -> dict[str, Any]:
    """The content of verdict.json, or of outcome.json, which also has the key `passed`.

    Raises InputError if `passed` of the file or of one of its checks is not true or false (Python counts the
    text "false" as true), or if the file passes although a check failed.
    """
    judged = files.read_json(path)
    if not isinstance(judged, Mapping):
        raise _unclear(path, "it has no keys")
    checks = judged.get("checks", [])
    for row in (judged, *(checks if isinstance(checks, list) else [None])):
        if not isinstance(row, Mapping) or not isinstance(row.get("passed"), bool):
            raise _unclear(path, "passed is not true or false")
    if judged["passed"] and not all(check["passed"] for check in checks):
        raise _unclear(path, "it passes although a check of it has failed")
    return judged


def has_passed(path: str | Path) -> bool:
    """True if the device of this verdict passed; raises InputError as `read` does."""
    return read(path)["passed"]


def require_pass(path: str | Path, device: str) -> None:
    """Raise InputError, which names the failed checks, if the device of this verdict did not pass."""
    judged = read(path)
    if not judged["passed"]:
        failed = [f"{check['name']}: {check['reason']}" for check in judged["checks"] if not check["passed"]]
        raise InputError(
            f"device {device} did not pass the gate: {'; '.join(failed) or judged['status']} ({path}); "
            "no classifier is trained on its embeddings"
        )


def _unclear(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path} is not a verdict ({reason}); {files.rebuild_hint(path)}")
