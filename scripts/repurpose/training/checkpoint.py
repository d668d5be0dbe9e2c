"""Checkpoints of a training: written whole or not at all, the last two kept, never unpickled.

A checkpoint is one safetensors file with its facts as JSON in the header. Only a training with the same key
resumes from it: the same settings, data and code. `listen` tells a training that it has been asked to stop.
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
AT_ONCE = KEPT + 1  # with the one that is being written
SHARE = 0.02  # of the time of a training that writing may take
PATIENCE = 20.0
NAME = re.compile(r"step-(\d+)\.safetensors")


@dataclass(frozen=True)
class State:
    """A training after `step` steps: its tensors by name, and what else it must know, ready for JSON."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Folder:
    """The checkpoints of one training. `key`: nested settings and digests, ready for JSON."""

    def __init__(self, path: str | Path, key: Mapping[str, Any], seconds: float) -> None:
        self.path, self.key, self.seconds = Path(path), json.loads(json.dumps(key)), seconds
        self.written, self.cost = time.monotonic(), 0.0

    def latest(self) -> State | None:
        """The newest readable state with this key; None, with the reason in the log, where there is none."""
        for path in reversed(self._paths()):
            try:
                facts = _facts(path)
                change = records.difference(facts["key"], self.key)
                if change:
                    logging.info("starting afresh: %s since the checkpoint of step %d", change, facts["step"])
                    return None
                return State(facts["step"], load_file(path), facts)
            except (OSError, SafetensorError, KeyError, ValueError) as error:
                logging.warning("%s cannot be read (%s); looking for the one before", path, error)
        return None

    def is_due(self) -> bool:
        """Whether the time has come for another state, which is seldom where writing takes long."""
        pause = max(self.seconds, self.cost / SHARE)
        return time.monotonic() - self.written >= pause

    def write(self, state: State) -> None:
        """Write a state and drop all but the last two.

        Raises InputError with the newest state that is left where the disk is full or the folder is not
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
            left = (
                f"the checkpoint {before[-1].name} is intact" if before else "there is no earlier checkpoint"
            )
            raise InputError(
                f"{path} cannot be written ({error.__cause__ or error}); make room there or make it "
                f"writable, then run the same command again; {left}"
            ) from error
        # Those of another key may have higher numbers.
        own = [each for each in before if each != path and self._is_own(each)]
        for each in before:
            if each != path and each not in own[-(KEPT - 1) :]:
                each.unlink(missing_ok=True)
        self.written = time.monotonic()
        self.cost = self.written - started

    def size(self) -> int:
        """Bytes of all states that are there."""
        return sum(path.stat().st_size for path in self._paths())

    def clear(self) -> None:
        """Remove all states: what ended badly is not to be taken up again."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self, patience: float = PATIENCE) -> Iterator[None]:
        """Keep every other process out of the folder; raises InputError that names the one that is in it.

        patience: seconds in which a training of an earlier run, which ends when another begins, may do so.
        """
        with records.claim(self.path / "lock", lambda holder: _occupied(self.path, holder), patience):
            for left in self.path.glob(".step-*"):  # by a process that was killed as it wrote
                left.unlink()
            yield

    def _paths(self) -> list[Path]:
        """The states that are there, the newest last."""
        found = [path for path in self.path.glob("step-*.safetensors") if NAME.fullmatch(path.name)]
        return sorted(found)

    def _is_own(self, path: Path) -> bool:
        try:
            return records.difference(_facts(path)["key"], self.key) == ""
        except (OSError, SafetensorError, KeyError, ValueError):
            return False


def _facts(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {})["facts"])


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the prefix and a dot before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that `named` gave the prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): each for name, each in tensors.items() if name.startswith(start)}


def _occupied(path: Path, holder: str) -> str:
    """One sentence on the process that holds the lock, which a killed run may have left behind."""
    try:
        process = psutil.Process(int(holder))
        above = " ".join(word for parent in process.parents() for word in parent.cmdline())
    except (ValueError, psutil.Error):
        return f"another process trains in {path}; wait until it ends"
    if "snakemake" in above:
        return f"process {holder} trains in {path}; wait until it ends, or stop it with: kill {holder}"
    return (
        f"process {holder}, left behind by a run that was killed, still trains in {path}; "
        f"stop it with: kill {holder} (it writes a checkpoint first), then run the same command again"
    )


# ---- the request to stop ----


def listen() -> Callable[[], bool]:
    """Listen for Ctrl-C (SIGINT) and SIGTERM; the returned function says whether one has come.

    The training asks it after each step, and so ends with a checkpoint. A second signal ends it at once.
    """
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)
        logging.info("asked to stop (%s): a checkpoint first", signal.Signals(number).name)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, remember)
    return lambda: bool(came)
