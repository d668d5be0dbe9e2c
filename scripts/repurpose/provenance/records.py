"""Records of what made each result, and digests (SHA-256) of the files involved.

One record covers all files that one job made. It holds everything that determines their content: the rule's
section of the config, the digest of its code, and the digests of the user's tables and of the job's inputs.
It also holds the digests of the files themselves. It holds no times, folders or machine names: a copy of a
result is the same result.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from repurpose.core import files
from repurpose.core.errors import InputError

RESULTS = Path("results")
RECORDS = RESULTS / "records"
PREVIOUS = RESULTS / "previous"
# Files that only a run on this machine needs: locks, staged files, stored digests.
RUN = RESULTS / ".run"

FORMAT = 1
# Seconds. A file that changed less than this ago may change again without a new time stamp.
TICK = 2.0


@dataclass(frozen=True)
class Record:
    """What made the files of a job.

    tables: config key -> digest. inputs: name -> path -> digest. outputs: path -> digest. provisional: why
    every run must make the result again; "" if it need not.
    """

    rule: str
    wildcards: dict[str, str]
    params: dict[str, Any]
    code: str
    tables: dict[str, str]
    inputs: dict[str, dict[str, str]]
    outputs: dict[str, str] = field(default_factory=dict)
    provisional: str = ""

    @property
    def name(self) -> str:
        """The job as a path without suffix, for example rank_candidates/cpu."""
        return "/".join([self.rule, *self.wildcards.values()])

    @property
    def sources(self) -> dict[str, str]:
        """The inputs: path -> digest, without their names."""
        return {path: digest for each in self.inputs.values() for path, digest in each.items()}

    def matches(self, other: "Record") -> bool:
        """Whether the same config, code, tables and inputs made both. Paths of inputs may differ."""
        keys = ("rule", "wildcards", "params", "code", "tables")
        contents = [{name: list(each.values()) for name, each in r.inputs.items()} for r in (self, other)]
        return all(getattr(self, key) == getattr(other, key) for key in keys) and contents[0] == contents[1]

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        files.write_json(path, {"format": FORMAT, **asdict(self)})


def cost_path(record: Record, folder: Path = RUN) -> Path:
    """Where it is kept what making these files cost on this machine; a record itself holds no times."""
    content = json.dumps(record.outputs, sort_keys=True)
    return folder / "costs" / f"{hashlib.sha256(content.encode()).hexdigest()}.json"


def path_of(name: str, folder: Path = RECORDS) -> Path:
    """The path of a job's record."""
    return folder / f"{name}.json"


def read(path: Path) -> Record | None:
    """Read a record; None if this version of the workflow cannot read the file.

    A result without a readable record is made again, so a damaged record does no other harm.
    """
    try:
        content = json.loads(path.read_text())
        if content.pop("format") != FORMAT:
            return None
        record = Record(**content)
        return record if all(map(_is_inside, [record.name, *record.outputs])) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_all(folder: Path = RECORDS) -> dict[str, Record]:
    """All readable records below a folder: name of the job -> record, sorted by path."""
    records = ((path, read(path)) for path in sorted(folder.rglob("*.json")))
    return {r.name: r for path, r in records if r and path_of(r.name, folder) == path}


def _is_inside(path: str) -> bool:
    """Whether a path from a record stays inside the run's folder. Files are moved to such paths."""
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def records_by_output(records: Mapping[str, Record]) -> dict[str, Record]:
    """The record of each output file: path -> record."""
    return {path: record for record in records.values() for path in record.outputs}


def first_changed_input(record: Record, made_by: Mapping[str, Record]) -> str:
    """The first input whose digest differs from the record of the job that made it; "" if there is none.

    made_by: path -> the record of the job that made the file (see `records_by_output`).
    """
    for path, digest in record.sources.items():
        if path not in made_by or made_by[path].outputs[path] != digest:
            return path
    return ""


def require_whole(results: Path, device: str) -> None:
    """Raise InputError if a device's results were changed, or were not made from one another.

    For readers outside the workflow, which have no config to compare the records with.
    """
    records = read_all(results / RECORDS.relative_to(RESULTS))
    if not records:
        raise InputError(
            f"{results} has no records of what made it, as an earlier version of the workflow left it: run "
            "the workflow again"
        )
    made_by, digests = (
        records_by_output(records),
        Digests(results / RUN.relative_to(RESULTS) / "digests.json"),
    )
    for record in records.values():
        if device not in (record.wildcards.get("device"), None) and record.wildcards:
            continue
        changed_input = first_changed_input(record, made_by)
        if changed_input:
            raise InputError(_not_whole(results, record.name, f"was made from another {changed_input}"))
        for path, digest in record.outputs.items():
            result_path = (
                results / Path(path).relative_to(RESULTS) if Path(path).is_relative_to(RESULTS) else None
            )
            if result_path and not (result_path.exists() and digests.of(result_path) == digest):
                raise InputError(_not_whole(results, record.name, f"is not as it was made: {path}"))


def _not_whole(results: Path, name: str, fault: str) -> str:
    return f"{name} in {results} {fault}; run the workflow again, which remakes what is out of date"


def difference(before: Any, now: Any, name: str = "") -> str:
    """The first difference between two nested settings, as a phrase; "" if they are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            inner_name = f"{name}.{key}" if name else key
            change = difference(before.get(key), now.get(key), inner_name)
            if change:
                return change
        return ""
    if before == now:
        return ""
    is_digest = isinstance(now, str) and len(now) == 64 and set(now) <= set("0123456789abcdef")
    return f"{name} changed" if is_digest else f"{name} changed from {before} to {now}"


class Digests:
    """SHA-256 of files, stored with the size, times and inode of each file.

    A file is read again only if one of these has changed.
    """

    def __init__(self, path: Path = RUN / "digests.json") -> None:
        self.path = path
        self.known = self._stored()
        self.fresh: dict[str, list[Any]] = {}

    def of(self, path: str | Path) -> str:
        """The digest of a file's content. Raises FileNotFoundError if there is no such file."""
        name, signature = str(path), signature_of(path)
        if self.known.get(name, [])[:-1] == signature:
            return self.known[name][-1]
        digest = files.digest(path)
        if signature_of(path) == signature and time.time() - signature[2] / 1e9 > TICK:
            self.known[name] = self.fresh[name] = [*signature, digest]
        return digest

    def save(self) -> None:
        """Add new digests to the stored ones, for later processes.

        If the disk is full or read-only, nothing is stored and later processes read the files again.
        """
        if not self.fresh:
            return
        with contextlib.suppress(InputError), locked("digests"):
            files.write_json(self.path, {**self._stored(), **self.fresh})
        self.fresh = {}

    def _stored(self) -> dict[str, list[Any]]:
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}  # then all files are read again
        return content if isinstance(content, dict) else {}


def signature_of(path: str | Path) -> list[int]:
    """Size, modification time, change time and inode of a file.

    If they are the same, the content is taken to be the same.
    """
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of this results folder for a short time, against all other processes."""
    with files.writing(RUN):
        RUN.mkdir(parents=True, exist_ok=True)
        handle = (RUN / f"{name}.lock").open("a")
    with handle as file:
        lock(file)
        yield


def lock(file: IO[str], at_once: bool = False) -> None:
    """Lock an open file until it is closed.

    `at_once` raises BlockingIOError if another process holds the lock. Some file systems of clusters have no
    such locks. There, this function does nothing, and only the run token (see `jobs`) stops jobs of an
    earlier run.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if at_once else 0))
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def claim(path: Path, occupied: Callable[[str], str], patience: float = 0.0) -> IO[str]:
    """Lock a file for as long as it stays open, and write this process's number into it.

    Raises InputError if another process holds the lock for longer than `patience` seconds. `occupied` makes
    the error's sentence from the number of that process.
    """
    deadline = time.monotonic() + patience
    with files.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(file.close)
        while not _is_locked(file):
            if time.monotonic() > deadline:
                file.seek(0)
                raise InputError(occupied(file.read()))
            time.sleep(0.2)
        with files.writing(path.parent):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        cleanup.pop_all()
    return file


def _is_locked(file: IO[str]) -> bool:
    try:
        lock(file, at_once=True)
    except BlockingIOError:
        return False
    return True
