"""One job: its files appear together with their record, or not at all.

job = jobs.Job(snakemake)
if not job.restore_previous():
    with job.replacing() as output:
        main(..., output.embeddings)
"""

import contextlib
import json
import logging
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from repurpose.core import files
from repurpose.core.errors import InputError, StoppedError
from repurpose.provenance import records, shelf
from repurpose.provenance.records import RUN, Digests, Record

TOKEN = RUN / "token"
VARIABLE = "REPURPOSE_RUN"  # environment variable: the token of the run that a job belongs to
# Parameters that do not change what a job makes; the first three are in the record in another form.
NOT_RECORDED = ("code", "tables", "paths", "unread", "checkpoints", "checkpoint_seconds", "verdict")
WATCH_SECONDS = 2.0
BEGAN = time.monotonic()  # of this process, except for what was imported before


class ScriptContext(Protocol):
    """The object that Snakemake gives to a script: the description of its job."""

    rule: str
    wildcards: Any
    input: Any
    output: Any
    params: Any


class Job:
    """A job that is about to make its files.

    Among its params, `code` is the digest of the code, `tables` holds the user's files by config key, and
    `unread` names inputs that the job waits for but does not read. Raises InputError if an input was changed
    after its job made it.
    """

    def __init__(self, context: ScriptContext) -> None:
        self.outputs = {name: str(path) for name, path in context.output.items()}
        self.digests = Digests()
        self.run = os.environ.get(VARIABLE, "")
        params = dict(context.params.items())
        self.tables = tables_of(params)
        self.inputs = paths_of(context.input, params.get("unread", ()))
        self.seen = self._signatures()
        self.wanted = Record(
            context.rule,
            {name: str(value) for name, value in context.wildcards.items()},
            recorded_params(params),
            params.get("code", ""),
            {key: self.digests.of(path) for key, path in self.tables.items()},
            {name: {path: self.digests.of(path) for path in paths} for name, paths in self.inputs.items()},
        )
        self._require_as_made()
        self.provisional = ""  # a script sets this to the reason why every run must make its result again
        if self.run:
            threading.Thread(target=self._watch, daemon=True).start()

    def restore_previous(self) -> bool:
        """Restore this job's files from results/previous if the same config, inputs and code made them.

        Returns whether the files were restored.
        """
        with records.locked("place"):
            self._require_own_run()
            is_restored = shelf.restore(self.wanted, self.digests)
        self.digests.save()
        if is_restored:
            logging.info(
                "%s: made before from the same config, inputs and code, taken back from results/previous",
                self.wanted.name,
            )
        return is_restored

    @contextlib.contextmanager
    def replacing(self) -> Iterator[SimpleNamespace]:
        """Yield the outputs by name, as paths in a staging folder of this job.

        If the block succeeds, all files in the staging folder move to their final paths together, and the
        files that they replace go to results/previous. If it raises, nothing changes.
        """
        folder = shelf.new_staging(self.wanted.name)
        try:
            staged = {name: folder / path for name, path in self.outputs.items()}
            for path in staged.values():
                path.parent.mkdir(parents=True, exist_ok=True)
            yield SimpleNamespace(**staged)
            self._commit(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _commit(self, folder: Path) -> None:
        paths = shelf.list_staged(folder)
        missing = [path for path in self.outputs.values() if path not in paths]
        if missing:
            raise FileNotFoundError(f"{self.wanted.name} did not write {', '.join(missing)}")
        self._require_unchanged()
        with files.writing(self.outputs[next(iter(self.outputs))]):
            shelf.sync(folder / path for path in paths)
        outputs = {path: files.digest(folder / path) for path in paths}
        with records.locked("place"):
            self._require_own_run()
            record = replace(self.wanted, outputs=outputs, provisional=self.provisional)
            record.write(folder / shelf.MARK)
            shelf.place(folder)
        self.digests.save()
        self._keep_cost(record)

    def _keep_cost(self, record: Record) -> None:
        """Keep seconds and peak memory of this process, for the report of a run that takes the files back."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        cost = {"seconds": round(time.monotonic() - BEGAN, 2), "memory": peak}
        with contextlib.suppress(OSError):  # a full disk costs a line of the report, not a result
            files.write_json(records.cost_path(record), cost)

    def _require_as_made(self) -> None:
        """Raise InputError if an input was changed after its job made it."""
        path = records.first_changed_input(self.wanted, records.records_by_output(records.read_all()))
        if path:
            raise InputError(
                f"{path} was changed after its job had made it: something else wrote there during this run; "
                "the same command makes it again"
            )

    def _signatures(self) -> dict[str, list[int]]:
        paths = [*self.tables.values(), *(path for each in self.inputs.values() for path in each)]
        try:
            return {path: records.signature_of(path) for path in paths}
        except FileNotFoundError as error:
            raise InputError(
                f"{error.filename} is not there any more; put it back, or run the same command again"
            ) from error

    def _require_unchanged(self) -> None:
        """Raise InputError if a file changed after this job began to read it."""
        changed = [path for path, signature in self.seen.items() if self._has_changed(path, signature)]
        if changed:
            raise InputError(f"{changed[0]} changed while it was read; run the same command again")

    def _has_changed(self, path: str, signature: list[int]) -> bool:
        try:
            # Snakemake may touch a file that a parallel job also reads. Then its content decides.
            if records.signature_of(path) == signature:
                return False
            table_digests = {p: self.wanted.tables[key] for key, p in self.tables.items()}
            return self.digests.of(path) != (self.wanted.sources | table_digests)[path]
        except FileNotFoundError:
            return True

    def _require_own_run(self) -> None:
        """Raise StoppedError if another run has begun in this folder since this job's run."""
        if self._is_of_earlier_run():
            raise StoppedError(
                "this job belongs to a run that was ended, and another run has begun here since: its outputs "
                "are discarded"
            )

    def _is_of_earlier_run(self) -> bool:
        try:
            return bool(self.run) and TOKEN.read_text() != self.run
        except FileNotFoundError:  # the folder was removed, so no other run has begun in it
            return False

    def _watch(self) -> None:
        """End this process if another run begins: no run waits for it, and it would occupy the machine."""
        while not self._is_of_earlier_run():
            time.sleep(WATCH_SECONDS)
        logging.warning(
            "this job stops: it belongs to a run that was ended, and another run has begun in this folder"
        )
        os.kill(os.getpid(), signal.SIGTERM)


def paths_of(inputs: Any, unread: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """A job's inputs: name -> list of paths, without the names in `unread`."""
    paths_by_name = (
        (name, [paths] if isinstance(paths, str) else list(paths)) for name, paths in inputs.items()
    )
    return {name: [str(path) for path in paths] for name, paths in paths_by_name if name not in unread}


def tables_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The user's files that a job reads, by config key."""
    return {key: path for key, path in params.get("tables", {}).items() if path}


def recorded_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that determine what a job makes, converted to JSON types."""
    return json.loads(json.dumps({k: v for k, v in params.items() if k not in NOT_RECORDED}, sort_keys=True))
