"""Reading of verdict.json: no classifier is trained on embeddings that failed the gate.

The verdict is made in gate.py. This module is apart because the digest of a rule's code covers whole modules:
the rules that read a verdict, such as train_classifier, stay current when a check or the words of a reason
change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core import files
from repurpose.core.errors import InputError


def read(path: str | Path) -> dict[str, Any]:
    """The content of a verdict, or of an outcome, which repeats whether its device passed.

    Raises InputError if `passed` of the verdict or of one of its checks is not true or false: "false" in
    quotation marks is text, which Python takes for true.
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
    """Whether the device of a verdict passed; raises InputError as `read` does."""
    return read(path)["passed"]


def require_pass(path: str | Path, device: str) -> None:
    """Raise InputError with the reasons if the device of a verdict did not pass."""
    judged = read(path)
    if not judged["passed"]:
        failed = [f"{check['name']}: {check['reason']}" for check in judged["checks"] if not check["passed"]]
        raise InputError(
            f"device {device} did not pass the gate: {'; '.join(failed) or judged['status']} ({path}); "
            "no classifier is trained on its embeddings"
        )


def _unclear(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path} is no verdict ({reason}); {files.rebuild_hint(path)}")
