"""One job's part in keeping results true: its files appear all together with their record, or not at all.

job = jobs.Job(snakemake)
if not job.taken_back():
    with job.replacing() as output:
        main(..., output.embeddings)
"""

import contextlib
import json
import logging
import os
import shutil
import signal
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
VARIABLE = "REPURPOSE_RUN"  # the run that a job belongs to
# Parameters that say how a job works and not what it makes; the first two are in the record in another form.
PRACTICAL = ("code", "tables", "unread", "checkpoints", "checkpoint_seconds", "verdict")
WATCH_SECONDS = 2.0


class Given(Protocol):
    """What Snakemake tells a script of its job."""

    rule: str
    wildcards: Any
    input: Any
    output: Any
    params: Any


class Job:
    """A job that is about to make its files.

    Of its params, `code` is the digest of the code, `tables` the user's files by config key, and `unread` the
    inputs that only have to be there first. Raises InputError where an input is not as its maker left it.
    """

    def __init__(self, given: Given) -> None:
        self.outputs = {name: str(path) for name, path in given.output.items()}
        self.digests = Digests()
        self.run = os.environ.get(VARIABLE, "")
        params = dict(given.params.items())
        self.tables = tables_of(params)
        self.inputs = paths_of(given.input, params.get("unread", ()))
        self.seen = self._signatures()
        self.wanted = Record(
            given.rule,
            {name: str(value) for name, value in given.wildcards.items()},
            plain(params),
            params.get("code", ""),
            {key: self.digests.of(path) for key, path in self.tables.items()},
            {name: {path: self.digests.of(path) for path in paths} for name, paths in self.inputs.items()},
        )
        self._require_as_made()
        self.provisional = ""  # a script says here why its result holds for this moment only
        if self.run:
            threading.Thread(target=self._watch, daemon=True).start()

    def taken_back(self) -> bool:
        """Whether results/previous had just what this job is to make; it is in its place then."""
        with records.locked("place"):
            self._require_own_run()
            found = shelf.take_back(self.wanted, self.digests)
        self.digests.save()
        if found:
            logging.info(
                "%s: made before from the same config, inputs and code, taken back from results/previous",
                self.wanted.name,
            )
        return found

    @contextlib.contextmanager
    def replacing(self) -> Iterator[SimpleNamespace]:
        """Yield the outputs under their names, as paths in a folder of this job's own.

        When the block ends well, all files in that folder take their place together, and those that stood
        there go to results/previous; an exception leaves everything as it was.
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
        paths = shelf.staged(folder)
        missing = [path for path in self.outputs.values() if path not in paths]
        if missing:
            raise FileNotFoundError(f"{self.wanted.name} did not write {', '.join(missing)}")
        self._require_unchanged()
        with files.writing(self.outputs[next(iter(self.outputs))]):
            shelf.synced(folder / path for path in paths)
        outputs = {path: files.digest(folder / path) for path in paths}
        with records.locked("place"):
            self._require_own_run()
            made = replace(self.wanted, outputs=outputs, provisional=self.provisional)
            made.write(folder / shelf.MARK)
            shelf.place(folder)
        self.digests.save()

    def _require_as_made(self) -> None:
        """Raise InputError where an input is not as its maker left it."""
        other = records.other_input(self.wanted, records.makers(records.read_all()))
        if other:
            raise InputError(
                f"{other} is not as the job that made it left it: something else wrote there while this run "
                "went on; the same command makes it again"
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
        """Raise InputError where a file is not the one any more that was read."""
        changed = [path for path, before in self.seen.items() if self._is_other(path, before)]
        if changed:
            raise InputError(f"{changed[0]} changed while it was read; run the same command again")

    def _is_other(self, path: str, before: list[int]) -> bool:
        try:
            # Snakemake may touch a file that a parallel job reads too: then its content decides.
            if records.signature_of(path) == before:
                return False
            of_tables = {p: self.wanted.tables[key] for key, p in self.tables.items()}
            return self.digests.of(path) != (self.wanted.sources | of_tables)[path]
        except FileNotFoundError:
            return True

    def _require_own_run(self) -> None:
        """Raise StoppedError where another run has begun in this folder since this job's own."""
        if self._is_left_behind():
            raise StoppedError(
                "this job is of a run that was ended, and another run has begun here since: what it made is "
                "left out"
            )

    def _is_left_behind(self) -> bool:
        try:
            return bool(self.run) and TOKEN.read_text() != self.run
        except FileNotFoundError:  # the folder was removed: whatever is made now is nobody's
            return False

    def _watch(self) -> None:
        """End this process where it is left behind: nobody waits for it, and others need the machine."""
        while not self._is_left_behind():
            time.sleep(WATCH_SECONDS)
        logging.warning("another run has begun in this folder: this job, of a run that was ended, stops")
        os.kill(os.getpid(), signal.SIGTERM)


def paths_of(inputs: Any, unread: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """A job's inputs by name, each a list of paths, without those that are not read."""
    named = ((name, [paths] if isinstance(paths, str) else list(paths)) for name, paths in inputs.items())
    return {name: [str(path) for path in paths] for name, paths in named if name not in unread}


def tables_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The user's files that a job reads, by config key."""
    return {key: path for key, path in params.get("tables", {}).items() if path}


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """A job's parameters that decide what it makes, as JSON gives them back."""
    return json.loads(json.dumps({k: v for k, v in params.items() if k not in PRACTICAL}, sort_keys=True))
