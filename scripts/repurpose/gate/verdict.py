"""What the gate has said of a device: nothing learns from embeddings that did not pass."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core import files
from repurpose.core.errors import InputError


def read(path: str | Path) -> dict[str, Any]:
    """The verdict in a file, or the outcome that repeats it.

    Raises InputError where it, or one of its checks, does not say true or false in `passed`: "false" in
    quotation marks is text, which Python would take for true.
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
    """Whether the verdict in a file lets its device pass; raises InputError where it does not say."""
    return read(path)["passed"]


def require_pass(path: str | Path, device: str) -> None:
    """Raise InputError, with the reasons, where the verdict in a file does not let a device pass."""
    judged = read(path)
    if not judged["passed"]:
        failed = [f"{check['name']}: {check['reason']}" for check in judged["checks"] if not check["passed"]]
        raise InputError(
            f"device {device} did not pass the gate: {'; '.join(failed) or judged['status']} ({path}); "
            "no classifier is trained on its embeddings"
        )


def _unclear(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path} is no verdict ({reason}); {files.remade(path)}")
