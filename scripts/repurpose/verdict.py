"""What the gate has said of a device: nothing learns from embeddings that did not pass."""

from pathlib import Path

from repurpose import files
from repurpose.errors import InputError


def require_pass(path: str | Path, device: str) -> None:
    """Raise InputError, with the reasons, where the verdict in a file does not let a device pass."""
    judged = files.read_json(path)
    if not judged["passed"]:
        failed = [f"{check['name']}: {check['reason']}" for check in judged["checks"] if not check["passed"]]
        raise InputError(
            f"device {device} did not pass the gate: {'; '.join(failed) or judged['status']} ({path}); "
            "no classifier is trained on its embeddings"
        )
