"""Records of what made each result, and the digests of files that they rest on.

A record stands for all files that one job made together. It holds what decides what is in them: the rule's
section of the config, its code, the user's tables and the job's inputs by their digests, and the digests of
the files themselves. Times, folders and machines are not in it: a copy of a result is the same result.
"""

import contextlib
import errno
import fcntl
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
# What only a run on this machine needs: locks, staged files, remembered digests.
RUN = RESULTS / ".run"

FORMAT = 1
# A file that changed so lately may change again within the same tick of the file system's clock.
TICK = 2.0


@dataclass(frozen=True)
class Record:
    """What made a job's files. tables: config key -> digest; inputs: name -> path -> digest; outputs: path ->
    digest; provisional: why the result is to be asked for again by every run, "" where it is not."""

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
        """The job, as a path without suffix: rank_candidates/cpu."""
        return "/".join([self.rule, *self.wildcards.values()])

    @property
    def sources(self) -> dict[str, str]:
        """The inputs' paths and digests, without their names."""
        return {path: digest for each in self.inputs.values() for path, digest in each.items()}

    def is_of(self, other: "Record") -> bool:
        """Whether the same config, code, tables and inputs made both."""
        same = ("rule", "wildcards", "params", "code", "tables")
        contents = [{name: list(each.values()) for name, each in r.inputs.items()} for r in (self, other)]
        return all(getattr(self, key) == getattr(other, key) for key in same) and contents[0] == contents[1]

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        files.write_json(path, {"format": FORMAT, **asdict(self)})


def path_of(name: str, folder: Path = RECORDS) -> Path:
    """Where the record of a job lies."""
    return folder / f"{name}.json"


def read(path: Path) -> Record | None:
    """The record in a file; None where it is none that this version of the workflow can read.

    Without a record a result is made again, which is all that a damaged one can be worth.
    """
    try:
        content = json.loads(path.read_text())
        if content.pop("format") != FORMAT:
            return None
        record = Record(**content)
        return record if all(map(_is_ours, [record.name, *record.outputs])) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_all(folder: Path = RECORDS) -> dict[str, Record]:
    """All readable records below a folder by the names of their jobs, sorted."""
    found = ((path, read(path)) for path in sorted(folder.rglob("*.json")))
    return {r.name: r for path, r in found if r and path_of(r.name, folder) == path}


def _is_ours(path: str) -> bool:
    """Whether a path out of a record stays in the folder of the run: files are moved by it."""
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def makers(found: Mapping[str, Record]) -> dict[str, Record]:
    """The record that answers for each file."""
    return {path: record for record in found.values() for path in record.outputs}


def other_input(record: Record, made_by: Mapping[str, Record]) -> str:
    """The first input of a record that no maker (see `makers`) left as the record has it; "" for none."""
    for path, digest in record.sources.items():
        if path not in made_by or made_by[path].outputs[path] != digest:
            return path
    return ""


def require_whole(results: Path, device: str) -> None:
    """Raise InputError where a device's results are not as they were made, or not made from one another.

    For readers outside the workflow, who have no config to compare with.
    """
    found = read_all(results / RECORDS.relative_to(RESULTS))
    if not found:
        raise InputError(
            f"{results} has no records of what made it, as an earlier version of the workflow left it: run "
            "the workflow again"
        )
    made_by, digests = makers(found), Digests(results / RUN.relative_to(RESULTS) / "digests.json")
    for record in found.values():
        if device not in (record.wildcards.get("device"), None) and record.wildcards:
            continue
        other = other_input(record, made_by)
        if other:
            raise InputError(_not_whole(results, record.name, f"was made from another {other}"))
        for path, digest in record.outputs.items():
            place = results / Path(path).relative_to(RESULTS) if Path(path).is_relative_to(RESULTS) else None
            if place and not (place.exists() and digests.of(place) == digest):
                raise InputError(_not_whole(results, record.name, f"is not as it was made: {path}"))


def _not_whole(results: Path, name: str, fault: str) -> str:
    return f"{name} in {results} {fault}; run the workflow again, which makes anew what does not fit"


def difference(before: Any, now: Any, name: str = "") -> str:
    """The first thing that differs between two nested settings, as a phrase; "" where they are the same."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            inner = f"{name}.{key}" if name else key
            found = difference(before.get(key), now.get(key), inner)
            if found:
                return found
        return ""
    if before == now:
        return ""
    is_digest = isinstance(now, str) and len(now) == 64 and set(now) <= set("0123456789abcdef")
    return f"{name} changed" if is_digest else f"{name} changed from {before} to {now}"


class Digests:
    """SHA-256 of files, remembered by size, times and inode, so that nothing is read twice without need."""

    def __init__(self, path: Path = RUN / "digests.json") -> None:
        self.path = path
        self.known = self._stored()
        self.fresh: dict[str, list[Any]] = {}

    def of(self, path: str | Path) -> str:
        """The digest of a file's content; raises FileNotFoundError where there is none."""
        name, signature = str(path), signature_of(path)
        if self.known.get(name, [])[:-1] == signature:
            return self.known[name][-1]
        digest = files.digest(path)
        if signature_of(path) == signature and time.time() - signature[2] / 1e9 > TICK:
            self.known[name] = self.fresh[name] = [*signature, digest]
        return digest

    def save(self) -> None:
        """Add what was read to what is remembered on disk, for the next process.

        Where that is full or may not be written, the next process reads again.
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
            return {}  # all is read anew
        return content if isinstance(content, dict) else {}


def signature_of(path: str | Path) -> list[int]:
    """What tells without reading that a file is as it was: size, time of writing, of any change, inode."""
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold one of the short locks of this folder's results, over all processes."""
    with files.writing(RUN):
        RUN.mkdir(parents=True, exist_ok=True)
        handle = (RUN / f"{name}.lock").open("a")
    with handle as file:
        lock(file)
        yield


def lock(file: IO[str], at_once: bool = False) -> None:
    """Lock an open file until it is closed; `at_once` raises BlockingIOError where another process has it.

    Some file systems of clusters know no such locks: there it does nothing, and only the token of the last
    run to begin (see `jobs`) keeps the jobs of others out.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if at_once else 0))
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def claim(path: Path, occupied: Callable[[str], str], patience: float = 0.0) -> IO[str]:
    """Open a lock file, lock it for as long as it stays open, and write this process's number into it.

    Raises InputError with the sentence that `occupied` makes of the holder's number where another process
    has it for longer than `patience` seconds.
    """
    until = time.monotonic() + patience
    with files.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with contextlib.ExitStack() as closing:
        closing.callback(file.close)
        while not _is_locked(file):
            if time.monotonic() > until:
                file.seek(0)
                raise InputError(occupied(file.read()))
            time.sleep(0.2)
        with files.writing(path.parent):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        closing.pop_all()
    return file


def _is_locked(file: IO[str]) -> bool:
    try:
        lock(file, at_once=True)
    except BlockingIOError:
        return False
    return True
