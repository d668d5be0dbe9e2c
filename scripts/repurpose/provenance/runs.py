"""One run's part in keeping results true: what does not fit the present config, inputs and code is set aside.

`judge` compares every record with what the workflow would make now; `begin` moves what does not fit, and all
that was made from it, to results/previous before the first job starts. So what stands in results/ is what
the present config makes, or it is not there.
"""

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from repurpose.config import settings
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.provenance import jobs, records, shelf
from repurpose.provenance.records import RECORDS, RESULTS, RUN, Digests, Record

CONFIG = RESULTS / "config.yaml"
MEMORY = RECORDS / "run.json"
# Folders of results/ that hold no results of jobs.
APART = ("records", "previous", ".run", "logs", "benchmarks", "checkpoints")
# Results lie there that a version of the workflow without records made.
UNKNOWN = "there is no record of what made it"
ASKED = "asked for again"


@dataclass(frozen=True)
class Expected:
    """A job as the present config would start it. inputs: name -> paths, which only the run will tell where
    they are open; objection: why its result is not wanted all the same, as a phrase."""

    params: Mapping[str, Any]
    inputs: Mapping[str, Any]
    is_open: bool = False
    objection: str = ""

    @property
    def tables(self) -> dict[str, str]:
        """The user's files by config key."""
        return jobs.tables_of(self.params)

    @property
    def read(self) -> dict[str, list[str]]:
        """The inputs that are read, by name."""
        return jobs.paths_of(self.inputs, self.params.get("unread", ()))

    @property
    def waits_for(self) -> set[str]:
        """The files that have to be there first, read or not."""
        return {path for paths in jobs.paths_of(self.inputs).values() for path in paths}


@dataclass(frozen=True)
class Judgement:
    """What does not fit: jobs by name with the reason, those made from them, and files without a record.

    leftovers: temporary files of processes that were killed as they wrote.
    """

    records: Mapping[str, Record]
    sources: Mapping[str, set[str]]
    reasons: Mapping[str, str]
    made_from: Mapping[str, str]
    unknown: Sequence[str]
    leftovers: Sequence[str] = ()

    @property
    def stale(self) -> list[Record]:
        """The records that do not fit, or rest on what does not."""
        return [self.records[name] for name in (*self.reasons, *self.made_from)]

    @property
    def files(self) -> list[str]:
        """The files that are not results of the present config."""
        return [*(path for record in self.stale for path in record.outputs), *self.unknown]

    def lines(self) -> list[str]:
        """What does not fit, for a person: each reason, and how many more rest on it."""
        lines = [f"{name}: {reason}" for name, reason in self.reasons.items()]
        lines += [f"{path}: {UNKNOWN}" for path in self.unknown[:3]]
        more = max(0, len(self.unknown) - 3)
        lines += [f"{more} more files: {UNKNOWN}"] if more else []
        return lines + (
            [f"and what was made from these: {', '.join(self.made_from)}"] if self.made_from else []
        )


def judge(
    expected: Callable[[Record], Expected | None],
    is_result: Callable[[str], bool],
    digests: Digests,
    is_end: bool = False,
) -> Judgement:
    """Compare all records with the present. expected: of a record's job, None where there is no such rule.

    is_result: whether a rule makes a file of this path. is_end: of a run, for which what holds for the moment
    does hold. Nothing is moved or written but remembered digests.
    """
    found = records.read_all()
    made_by = records.makers(found)
    now = {name: expected(record) for name, record in found.items()}
    reasons = {
        name: reason
        for name, record in found.items()
        if (reason := _reason(record, now[name], made_by, digests, is_end))
    }
    sources = {name: _sources(record, now[name]) for name, record in found.items()}
    made_from: dict[str, str] = {}
    while True:
        stale = {path for name in (*reasons, *made_from) for path in found[name].outputs}
        more = {
            name: min(stale & sources[name])
            for name in found
            if name not in reasons and name not in made_from and stale & sources[name]
        }
        if not more:
            break
        made_from |= more
    there = list(walked())
    unknown = [path for path in there if path not in made_by and is_result(path)]
    leftovers = [path for path in there if (whole := _half_written(path)) and is_result(whole)]
    if RESULTS.is_dir():
        digests.save()
    return Judgement(found, sources, reasons, made_from, unknown, leftovers)


def walked() -> Iterator[str]:
    """The files in results/ that may be results of jobs, sorted."""
    for folder, folders, names in os.walk(RESULTS):
        if Path(folder) == RESULTS:
            folders[:] = [name for name in folders if name not in APART]
        folders.sort()
        yield from (str(Path(folder) / name) for name in sorted(names))


def _half_written(path: str) -> str:
    """The result that a temporary file of `files.replacing` was to become; "" where it is none."""
    found = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", Path(path).name)
    return str(Path(path).with_name(found[1])) if found else ""


def _sources(record: Record, now: Expected | None) -> set[str]:
    """What a job's result was made from, and what the job waits for."""
    return set(record.sources) | (now.waits_for if now else set())


def _reason(
    record: Record, now: Expected | None, made_by: Mapping[str, Record], digests: Digests, is_end: bool
) -> str:
    """Why a record does not fit by itself, as a phrase; "" where it does."""
    if now is None:
        return "no rule of this version makes it"
    if now.objection:
        return now.objection
    change = records.difference(record.params, jobs.plain(now.params))
    if change:
        return change
    if record.provisional and not is_end:
        return f"it held for that moment only: {record.provisional}"
    if record.code != now.params.get("code", ""):
        return "its code changed"
    return _other_inputs(record, now, made_by, digests) or _other_outputs(record, digests)


def _other_inputs(record: Record, now: Expected, made_by: Mapping[str, Record], digests: Digests) -> str:
    if sorted(record.tables) != sorted(now.tables):
        return "it is made from other tables now"
    for key, path in now.tables.items():
        if shelf.digest_or_none(path, digests) != record.tables[key]:
            return f"{path} ({key}) has other content"
    if not now.is_open and now.read != {name: list(each) for name, each in record.inputs.items()}:
        return "it is made from other files now"
    other = records.other_input(record, made_by)
    return f"{other} is another one now" if other else ""


def _other_outputs(record: Record, digests: Digests) -> str:
    for path, digest in record.outputs.items():
        if not Path(path).exists():
            return f"{path} is missing"
        if shelf.digest_or_none(path, digests) != digest:
            return f"{path} was changed after it was made"
    return ""


@dataclass(frozen=True)
class Asked:
    """What a person asked for. options: whether anything but config/config.yaml had a say in the config."""

    config: Mapping[str, Any]
    overlays: Sequence[str]
    has_options: bool
    tables: Mapping[str, str] = field(default_factory=dict)


def refusal(asked: Asked) -> str:
    """Why this run must not replace what lies here, as a sentence; "" where it may.

    A command without an overlay, in a folder whose results were made with one, most likely forgot it.
    """
    if asked.has_options:
        return ""
    if not CONFIG.exists():
        return _refusal_by_ledger(asked.config["edges"])
    before, memory = settings.read(CONFIG), _memory()
    change = records.difference(before, settings.ordered(asked.config))
    if not memory.get("has_options") or not change:
        return ""
    overlays = " ".join(memory["overlays"])
    with_them = f"--configfile {overlays}" if overlays else "the same --config"
    return (
        f"the results here were made with {with_them} (now {change}), and this command has no overlay: give "
        f"{with_them} again, or run it elsewhere with --directory, or replace them by naming the config: "
        "--configfile config/config.yaml"
    )


def _refusal_by_ledger(edges: str) -> str:
    """The same where an earlier version, which kept no config, left results: its ledger names the table."""
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


def remember(asked: Asked, digests: Digests) -> None:
    """Keep the whole config of this run beside its results, with the digests of the user's tables."""
    tables = {key: [path, shelf.digest_or_none(path, digests)] for key, path in asked.tables.items() if path}
    lines = [
        "# The config of the last run here, whole. The workflow writes this file and reads it to compare."
    ]
    lines += [f"# Overlays: {' '.join(asked.overlays)}"] if asked.overlays else []
    lines += [f"# {key}: {path}, SHA-256 {digest}" for key, (path, digest) in tables.items()]
    text = yaml.safe_dump(settings.ordered(asked.config), sort_keys=True, allow_unicode=True)
    with files.replacing(CONFIG) as temporary:
        temporary.write_text("\n".join([*lines, text]), encoding="utf-8")
    files.write_json(
        MEMORY, {"overlays": list(asked.overlays), "has_options": asked.has_options, "tables": tables}
    )


def hold() -> IO[str]:
    """Keep this folder for one run until the process ends; raises InputError where another run has it."""
    return records.claim(
        RUN / "lock",
        lambda holder: (
            f"another run (process {holder or 'unknown'}) makes results in {RESULTS.resolve()}: wait until "
            "it ends, or use another --directory"
        ),
    )


def begin(before: Judgement) -> list[str]:
    """Take the folder over: no job of an earlier run moves anything any more. Set aside what is stale.

    before: what this run was planned on. Returns the names of the jobs that a killed run had all but ended.
    Raises InputError where something was put in place since.
    """
    token = uuid.uuid4().hex
    with records.locked("place"):
        with files.replacing(jobs.TOKEN) as temporary:
            temporary.write_text(token)
        now = records.read_all()
        if now != before.records:
            raise InputError("results changed while this run was prepared; run the same command again")
        ended = shelf.clear_staging()
        found = records.read_all()
        for name in {*before.reasons, *before.made_from, *ended}:
            shelf.set_aside(found[name], before.reasons.get(name) != ASKED)
        shelf.set_aside_files(before.unknown)
        for path in before.leftovers:
            Path(path).unlink(missing_ok=True)
    os.environ[jobs.VARIABLE] = token
    return ended


def end(now: Judgement) -> list[str]:
    """Set aside what a run leaves that does not fit; returns the files that only results/previous has."""
    with records.locked("place"):
        for record in now.stale:
            shelf.set_aside(record)
    found = (path for record in records.read_all(shelf.earlier(RECORDS)).values() for path in record.outputs)
    return [path for path in found if not Path(path).exists()]


def settle_times(judged: Judgement) -> None:
    """Let no result look older than what it was made from, or newer than now: Snakemake would make it again.

    A copied folder or a clock that was wrong leaves such times. Where they cannot be set they stay.
    """
    now = time.time()
    times = {
        path: min(os.stat(path).st_mtime, now)
        for record in judged.records.values()
        for path in record.outputs
        if Path(path).exists()
    }
    for _ in judged.records:  # a chain of results is no longer than that
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
    for path, moment in times.items():
        if os.stat(path).st_mtime != moment:
            with contextlib.suppress(PermissionError):
                os.utime(path, (moment, moment))
