"""One run: set aside every result that does not fit the present config, inputs and code.

`judge` compares every record with the job that the workflow would start now. Before the first job starts,
`begin` moves the results that do not fit, and everything that was made from them, to results/previous. Each
file in results/ is therefore what the present config makes.
"""

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from repurpose.config import settings
from repurpose.core import files
from repurpose.core.errors import InputError, shortened
from repurpose.ingest import inputs
from repurpose.provenance import jobs, records, shelf
from repurpose.provenance.records import RECORDS, RESULTS, RUN, Digests, Record

CONFIG = RESULTS / "config.yaml"
MEMORY = RECORDS / "run.json"
# Folders in results/ without results of jobs.
NOT_RESULTS = ("records", "previous", ".run", "logs", "benchmarks", "checkpoints")
# The reason for files without a record, for example those of an early version of the workflow.
NO_RECORD = "there is no record of what made it"
FORCED = "asked for again"

ANSWER = re.compile(r"results/answers/[^/]+/(.*)\.json", re.DOTALL)
ANSWER_NAME = "[A-Za-z0-9][A-Za-z0-9:._-]{0,199}"  # also the pattern of the wildcard in rules/candidates.smk


@dataclass(frozen=True)
class Expected:
    """A job as the present config would start it.

    inputs: name -> paths. has_open_inputs: whether some inputs become known only during the run. objection:
    why its result is not wanted although it fits, as a phrase; "" if nothing is against it.
    """

    params: Mapping[str, Any]
    inputs: Mapping[str, Any]
    has_open_inputs: bool = False
    objection: str = ""

    @property
    def tables(self) -> dict[str, str]:
        """The user's files by config key."""
        return jobs.tables_of(self.params)

    @property
    def read_paths(self) -> dict[str, list[str]]:
        """The inputs that the job reads, by name."""
        return jobs.paths_of(self.inputs, self.params.get("unread", ()))

    @property
    def waits_for(self) -> set[str]:
        """All files that the job waits for, whether it reads them or not."""
        return {path for paths in jobs.paths_of(self.inputs).values() for path in paths}


@dataclass(frozen=True)
class Judgement:
    """Which results do not fit.

    records: all records by job. sources: job -> the files it was made from or waits for. reasons: job -> why
    it does not fit. made_from: each other job with a stale input -> such an input. unrecorded: result files
    without a record. leftovers: temporary files of processes that were killed while writing.
    """

    records: Mapping[str, Record]
    sources: Mapping[str, set[str]]
    reasons: Mapping[str, str]
    made_from: Mapping[str, str]
    unrecorded: Sequence[str]
    leftovers: Sequence[str] = ()

    @property
    def stale(self) -> list[Record]:
        """The records that do not fit, and those made from them."""
        return [self.records[name] for name in (*self.reasons, *self.made_from)]

    @property
    def files(self) -> list[str]:
        """The files that are not results of the present config."""
        return [*(path for record in self.stale for path in record.outputs), *self.unrecorded]

    def lines(self) -> list[str]:
        """Text for the user: each reason, and the jobs that were made from stale results."""
        lines = [f"{name}: {reason}" for name, reason in self.reasons.items()]
        lines += [f"{path}: {NO_RECORD}" for path in self.unrecorded[:3]]
        more = max(0, len(self.unrecorded) - 3)
        lines += [f"{more} more files: {NO_RECORD}"] if more else []
        return lines + (
            [f"and what was made from these: {', '.join(self.made_from)}"] if self.made_from else []
        )


def judge(
    expected: Callable[[Record], Expected | None],
    is_result: Callable[[str], bool],
    digests: Digests,
    is_end: bool = False,
) -> Judgement:
    """Compare all records with the present config, inputs and code.

    expected: record -> its job now; None if there is no such rule. is_result: whether a rule makes a file of
    this path. is_end: whether the run has ended, so that its provisional results still count. Nothing is
    moved, and only the stored digests are written.
    """
    recorded = records.read_all()
    made_by = records.records_by_output(recorded)
    now = {name: expected(record) for name, record in recorded.items()}
    reasons = {
        name: reason
        for name, record in recorded.items()
        if (reason := _reason(record, now[name], made_by, digests, is_end))
    }
    sources = {name: _sources(record, now[name]) for name, record in recorded.items()}
    made_from: dict[str, str] = {}
    while True:
        stale = {path for name in (*reasons, *made_from) for path in recorded[name].outputs}
        newly_stale = {
            name: min(stale & sources[name])
            for name in recorded
            if name not in reasons and name not in made_from and stale & sources[name]
        }
        if not newly_stale:
            break
        made_from |= newly_stale
    paths = list(candidate_files())
    unrecorded = [path for path in paths if path not in made_by and is_result(path)]
    leftovers = [path for path in paths if (result := _target_of_temporary(path)) and is_result(result)]
    if RESULTS.is_dir():
        digests.save()
    return Judgement(recorded, sources, reasons, made_from, unrecorded, leftovers)


def candidate_files() -> Iterator[str]:
    """The files in results/ that may be results of jobs, sorted."""
    for folder, folders, names in os.walk(RESULTS):
        if Path(folder) == RESULTS:
            folders[:] = [name for name in folders if name not in NOT_RESULTS]
        folders.sort()
        yield from (str(Path(folder) / name) for name in sorted(names))


def _target_of_temporary(path: str) -> str:
    """The result that a temporary file of `files.replacing` was meant for; "" if it is no temporary file."""
    match = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", Path(path).name)
    return str(Path(path).with_name(match[1])) if match else ""


def _sources(record: Record, now: Expected | None) -> set[str]:
    """The files that a job's result was made from, and those that the job waits for."""
    return set(record.sources) | (now.waits_for if now else set())


def _reason(
    record: Record, now: Expected | None, made_by: Mapping[str, Record], digests: Digests, is_end: bool
) -> str:
    """Why a record does not fit, as a phrase; "" if it fits.

    This covers the job itself, not the jobs that made its inputs.
    """
    if now is None:
        return "no rule of this version makes it"
    if now.objection:
        return now.objection
    change = records.difference(record.params, jobs.recorded_params(now.params))
    if change:
        return change
    if record.provisional and not is_end:
        return f"it was true at that moment only: {record.provisional}"
    if record.code != now.params.get("code", ""):
        return "its code changed"
    return _input_change(record, now, made_by, digests) or _output_change(record, digests)


def _input_change(record: Record, now: Expected, made_by: Mapping[str, Record], digests: Digests) -> str:
    if sorted(record.tables) != sorted(now.tables):
        return "it is made from other tables now"
    for key, path in now.tables.items():
        if shelf.digest_or_none(path, digests) != record.tables[key]:
            return f"{path} ({key}) has other content"
    if not now.has_open_inputs and now.read_paths != {
        name: list(each) for name, each in record.inputs.items()
    }:
        return "it is made from other files now"
    changed_input = records.first_changed_input(record, made_by)
    return f"{changed_input} is another one now" if changed_input else ""


def _output_change(record: Record, digests: Digests) -> str:
    for path, digest in record.outputs.items():
        if not Path(path).exists():
            return f"{path} is missing"
        if shelf.digest_or_none(path, digests) != digest:
            return f"{path} was changed after it was made"
    return ""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    config: the whole config. overlays: the files of --configfile. has_options: whether the command line
    changed the config. tables: the user's files by config key.
    """

    config: Mapping[str, Any]
    overlays: Sequence[str]
    has_options: bool
    tables: Mapping[str, str] = field(default_factory=dict)


def refusal(request: Request) -> str:
    """Why this run must not replace the results in this folder, as a sentence; "" if it may.

    If the results were made with an overlay and the command has none, the user most likely forgot it.
    """
    if request.has_options:
        return ""
    if not CONFIG.exists():
        return _refusal_by_ledger(", ".join(inputs.listed(request.config["edges"])))
    before, memory = settings.read(CONFIG), _memory()
    change = records.difference(before, settings.ordered(request.config))
    if not memory.get("has_options") or not change:
        return ""
    overlays = " ".join(memory["overlays"])
    options = f"--configfile {overlays}" if overlays else "the same --config"
    return (
        f"the results here were made with {options} (now {change}), and this command has no overlay: give "
        f"{options} again, or run it elsewhere with --directory, or replace them by naming the config: "
        "--configfile config/config.yaml"
    )


def refused_answer(arguments: Sequence[str]) -> str:
    """Why an answer that a command asks for cannot be written, as a sentence; "" if each can.

    The id of the disease becomes the name of a file, which can neither be long nor hold every character.
    """
    for argument in arguments:
        match = ANSWER.fullmatch(argument)
        if match and not re.fullmatch(ANSWER_NAME, match[1]):
            return (
                f"{shortened(ValueError(match[1]), 60)} cannot be the name of a file: it is longer than 200 "
                "characters, or has others than letters, digits and : . _ -; ask instead: python "
                "scripts/query_candidates.py --disease 'its id or name' --json > answer.json"
            )
    return ""


def _refusal_by_ledger(edges: str) -> str:
    """The same for results of an early version, which stored no config: its ledger names the table."""
    ledger = RESULTS / "graph" / "ledger.json"
    table = str(files.read_json(ledger).get("file", "")) if ledger.exists() else ""
    if not table or table == edges or (edges == "demo" and table == "results/demo/edges.parquet"):
        return ""
    return (
        f"the results here were made from {table}, and this command has no overlay: give it again "
        "(--configfile), or run it elsewhere with --directory, or replace them by naming the config: "
        "--configfile config/config.yaml"
    )


def _memory() -> dict[str, Any]:
    return files.read_json(MEMORY) if MEMORY.exists() else {}


def remember(request: Request, digests: Digests) -> None:
    """Store the whole config of this run with its results, and the digests of the user's tables."""
    tables = {
        key: [path, shelf.digest_or_none(path, digests)] for key, path in request.tables.items() if path
    }
    lines = [
        "# The config of the last run here, whole. The workflow writes this file and reads it to compare."
    ]
    lines += [f"# Overlays: {' '.join(request.overlays)}"] if request.overlays else []
    lines += [f"# {key}: {path}, SHA-256 {digest}" for key, (path, digest) in tables.items()]
    text = yaml.safe_dump(settings.ordered(request.config), sort_keys=True, allow_unicode=True)
    files.write_text(CONFIG, "\n".join([*lines, text]))
    files.write_json(
        MEMORY, {"overlays": list(request.overlays), "has_options": request.has_options, "tables": tables}
    )


def hold() -> IO[str]:
    """Lock this folder for one run until the process ends.

    Raises InputError if another run holds the lock.
    """
    return records.claim(
        RUN / "lock",
        lambda holder: (
            f"another run (process {holder or 'unknown'}) makes results in {RESULTS.resolve()}: wait until "
            "it ends, or use another --directory"
        ),
    )


def begin(judged: Judgement) -> list[str]:
    """Take over the folder for this run and set aside all stale results.

    From then on, jobs of earlier runs move no files. judged: the judgement that this run was planned on.
    Returns the names of the jobs that a killed run had nearly finished, whose files are now in place. Raises
    InputError if a result changed since the run was planned.
    """
    token = uuid.uuid4().hex
    with records.locked("place"):
        files.write_text(jobs.TOKEN, token)
        now = records.read_all()
        if now != judged.records:
            raise InputError("results changed while this run was prepared; run the same command again")
        finished = shelf.clear_staging()
        current = records.read_all()
        for name in {*judged.reasons, *judged.made_from, *finished}:
            shelf.set_aside(current[name], judged.reasons.get(name) != FORCED)
        shelf.set_aside_files(judged.unrecorded)
        for path in judged.leftovers:
            Path(path).unlink(missing_ok=True)
    os.environ[jobs.VARIABLE] = token
    return finished


def undo(judged: Judgement, checks: Collection[str], memory: Mapping[Path, bytes]) -> bool:
    """Undo `begin` and `remember` if the run has made nothing but files of the rules `checks`.

    judged: what `begin` set aside by. memory: what `memory_files` gave before. Returns whether the results
    are again what they were before the run; False, and nothing changes, if nothing had been set aside.
    """
    with records.locked("place"):
        now = records.read_all()
        made = {name for name, record in now.items() if record != judged.records.get(name)}
        kept = records.read_all(shelf.previous_path(RECORDS))
        is_whole = all(kept.get(record.name) == record for record in judged.stale)
        if not judged.stale or not is_whole or any(now[name].rule not in checks for name in made):
            return False
        for record in judged.stale:
            shelf.put_back(record)
        for name in made - {record.name for record in judged.stale}:
            records.path_of(name).unlink()
            for path in now[name].outputs:
                Path(path).unlink(missing_ok=True)
        for path in (CONFIG, MEMORY):
            path.unlink(missing_ok=True)
        for path, content in memory.items():
            with files.replacing(path) as temporary:
                temporary.write_bytes(content)
        shelf.forget_older()
    return True


def memory_files() -> dict[Path, bytes]:
    """The files that `remember` replaces, with their content."""
    return {path: path.read_bytes() for path in (CONFIG, MEMORY) if path.exists()}


def end(judged: Judgement) -> list[str]:
    """Set aside the results that do not fit at the end of a run.

    Returns the files that now exist only in results/previous.
    """
    with records.locked("place"):
        for record in judged.stale:
            shelf.set_aside(record)
        shelf.forget_older()
    previous_paths = (
        path for record in records.read_all(shelf.previous_path(RECORDS)).values() for path in record.outputs
    )
    return [path for path in previous_paths if not Path(path).exists()]


def settle_times(judged: Judgement) -> None:
    """Set file times so that no result looks older than its sources, or newer than now.

    Otherwise Snakemake would make it again. Such times come from a copied folder or a wrong clock. Files
    whose times cannot be set are left as they are.
    """
    now = time.time()
    times = {
        path: min(os.stat(path).st_mtime, now)
        for record in judged.records.values()
        for path in record.outputs
        if Path(path).exists()
    }
    for _ in judged.records:  # no chain of results has more links than there are records
        later = {
            path: newest
            for name, record in judged.records.items()
            if (newest := max((times.get(source, 0.0) for source in judged.sources[name]), default=0.0))
            for path in record.outputs
            if times.get(path, now) < newest
        }
        if not later:
            break
        times |= later
    for path, new_time in times.items():
        if os.stat(path).st_mtime != new_time:
            with contextlib.suppress(PermissionError):
                os.utime(path, (new_time, new_time))
