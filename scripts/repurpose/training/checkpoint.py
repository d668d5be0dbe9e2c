"""Checkpoints of a training: each is written whole or not at all, and the last two are kept.

A checkpoint is one safetensors file with its facts as JSON in the header; nothing is unpickled. Only a
training with the same key resumes from it: the same settings, data and code. `listen` tells a training that
it has been asked to stop.
"""

import json
import logging
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.provenance import records

KEPT = 2
AT_ONCE = KEPT + 1  # files on disk, with the one that is being written
SHARE = 0.02  # of a training's time, that writing may take
PATIENCE = 20.0  # seconds
NAME = re.compile(r"step-(\d+)\.safetensors")


@dataclass(frozen=True)
class State:
    """A training after `step` steps: its tensors by name, and all else that it needs, ready for JSON."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Folder:
    """The checkpoints of one training.

    key: nested settings and digests, ready for JSON. seconds: least time between two checkpoints.
    """

    def __init__(self, path: str | Path, key: Mapping[str, Any], seconds: float) -> None:
        self.path, self.key, self.seconds = Path(path), json.loads(json.dumps(key)), seconds
        self.written, self.cost = time.monotonic(), 0.0

    def latest(self) -> State | None:
        """The newest readable state with this key; None, with the reason in the log, if there is none."""
        for path in reversed(self._paths()):
            try:
                facts = _facts(path)
                change = records.difference(facts["key"], self.key)
                if change:
                    logging.info(
                        "starting from the first step: %s since the checkpoint of step %d",
                        change,
                        facts["step"],
                    )
                    return None
                return State(facts["step"], load_file(path), facts)
            except (OSError, SafetensorError, KeyError, ValueError) as error:
                logging.warning("%s cannot be read (%s); looking for the one before", path, error)
        return None

    def is_due(self) -> bool:
        """Whether to write another checkpoint now; if writing is slow, that is less often."""
        pause = max(self.seconds, self.cost / SHARE)
        return time.monotonic() - self.written >= pause

    def write(self, state: State) -> None:
        """Write a state, and delete all but the last two.

        Raises InputError, which names the newest checkpoint left, if the disk is full or the folder is not
        writable.
        """
        started = time.monotonic()
        before, path = self._paths(), self.path / f"step-{state.step:08d}.safetensors"
        facts = json.dumps({**state.facts, "step": state.step, "key": self.key}, allow_nan=False)
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        try:
            with files.replacing(path) as temporary:
                save_file(tensors, temporary, {"facts": facts})
        except (InputError, OSError, SafetensorError) as error:
            remaining = (
                f"the checkpoint {before[-1].name} is intact" if before else "there is no earlier checkpoint"
            )
            raise InputError(
                f"{path} cannot be written ({error.__cause__ or error}); make room there or make it "
                f"writable, then run the same command again; {remaining}"
            ) from error
        # All checkpoints of other keys are deleted too: they may have higher numbers.
        same_key = [older for older in before if older != path and self._has_same_key(older)]
        for older in before:
            if older != path and older not in same_key[-(KEPT - 1) :]:
                older.unlink(missing_ok=True)
        self.written = time.monotonic()
        self.cost = self.written - started

    def size(self) -> int:
        """Bytes of all checkpoints in the folder."""
        return sum(path.stat().st_size for path in self._paths())

    def clear(self) -> None:
        """Remove all checkpoints, so that a training that ended badly is not resumed."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self, patience: float = PATIENCE) -> Iterator[None]:
        """Keep every other process out of the folder; raises InputError, which names a process that is in it.

        patience: seconds to wait for that process: it may be a training of an earlier run that is ending.
        """
        with records.claim(self.path / "lock", lambda holder: _occupied(self.path, holder), patience):
            for half_file in self.path.glob(".step-*"):  # of a process that was killed while it wrote
                half_file.unlink()
            yield

    def _paths(self) -> list[Path]:
        """The checkpoints in the folder, the newest last."""
        paths = [path for path in self.path.glob("step-*.safetensors") if NAME.fullmatch(path.name)]
        return sorted(paths)

    def _has_same_key(self, path: Path) -> bool:
        try:
            return records.difference(_facts(path)["key"], self.key) == ""
        except (OSError, SafetensorError, KeyError, ValueError):
            return False


def _facts(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {})["facts"])


def add_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, with the prefix and a dot before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def select_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names have the prefix, without it in their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _occupied(path: Path, holder: str) -> str:
    """One sentence on the process that holds the lock, which a killed run may have left behind."""
    try:
        process = psutil.Process(int(holder))
        ancestors = " ".join(word for parent in process.parents() for word in parent.cmdline())
    except (ValueError, psutil.Error):
        return f"another process trains in {path}; wait until it ends"
    if "snakemake" in ancestors:
        return f"process {holder} trains in {path}; wait until it ends, or stop it with: kill {holder}"
    return (
        f"process {holder}, left behind by a run that was killed, still trains in {path}; "
        f"stop it with: kill {holder} (it writes a checkpoint first), then run the same command again"
    )


# ---- the request to stop ----


def listen() -> Callable[[], bool]:
    """Listen for Ctrl-C (SIGINT) and SIGTERM; the returned function says whether one was received.

    The training asks after each step, so it ends with a checkpoint. A second signal ends it at once.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        logging.info("asked to stop (%s): a checkpoint first", signal.Signals(number).name)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, remember)
    return lambda: bool(received)
