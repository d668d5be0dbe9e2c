"""Moving a job's files: from where they were made to their place, to the shelf of earlier results, and back.

All files of a job move together, and their record is what says that they are all there: it is taken away
first and put down last. A process that dies in between leaves files without a record, which nobody takes
for a result.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from repurpose.core import files
from repurpose.provenance import records
from repurpose.provenance.records import PREVIOUS, RESULTS, RUN, Digests, Record

STAGING = RUN / "staging"
MARK = "made.json"  # in a staging folder: all is there, and only moving is left


def earlier(path: str | Path) -> Path:
    """Where an earlier version of a file is kept."""
    path = Path(path)
    return PREVIOUS / (path.relative_to(RESULTS) if path.is_relative_to(RESULTS) else path)


def set_aside(record: Record, is_kept: bool = True) -> None:
    """Move a job's files to results/previous, where they replace those of the time before.

    Without `is_kept` the files stay readable there and no job takes them back.
    """
    place, shelved = records.path_of(record.name), records.path_of(record.name, earlier(records.RECORDS))
    shelved.unlink(missing_ok=True)
    set_aside_files(record.outputs)
    if is_kept and place.exists():
        move(place, shelved)
    place.unlink(missing_ok=True)


def set_aside_files(paths: Iterable[str | Path]) -> None:
    """Move files to results/previous; those that are not there are left out."""
    for path in map(Path, paths):
        if path.exists():
            move(path, earlier(path))
            remove_empty(path.parent)


def take_back(wanted: Record, digests: Digests) -> bool:
    """Move a job's files back from results/previous where the same made them and they are whole."""
    shelved = records.path_of(wanted.name, earlier(records.RECORDS))
    record = records.read(shelved)
    if not record or record.provisional or not record.is_of(wanted):
        return False
    if any(digest != digest_or_none(earlier(path), digests) for path, digest in record.outputs.items()):
        return False
    # The inputs may have other names now: the record is written as the job that asked would have written it.
    renewed = replace(wanted, outputs=record.outputs)
    shelved.unlink()
    for path in record.outputs:
        move(earlier(path), Path(path))
    renewed.write(records.path_of(wanted.name))
    return True


def digest_or_none(path: str | Path, digests: Digests) -> str | None:
    """The digest of a file, None where there is no such file that can be read."""
    try:
        return digests.of(path)
    except OSError:
        return None


def new_staging(name: str) -> Path:
    """An empty folder for what a job makes, beside those of all others."""
    with files.writing(STAGING):
        STAGING.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=STAGING, prefix=f"{name.replace('/', '-')[:100]}-"))


def staged(folder: Path) -> list[str]:
    """The files in a staging folder, by the paths that they are made for, sorted."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if str(path) != MARK)


def place(folder: Path) -> None:
    """Put what lies in a marked staging folder in its place. Begun and not ended, it can be done again."""
    record = records.read(folder / MARK)
    if not record:
        raise ValueError(f"{folder} is not marked as made")
    now = records.path_of(record.name)
    standing = records.read(now)
    if standing:
        set_aside(standing)
    now.unlink(missing_ok=True)
    for path in staged(folder):
        move(folder / path, Path(path))
    move(folder / MARK, now)
    shutil.rmtree(folder)


def clear_staging() -> list[str]:
    """End what a killed run had begun to put in place and drop the rest; the names of the jobs so ended."""
    ended = []
    for folder in sorted(STAGING.glob("*")):
        record = records.read(folder / MARK)
        if record:
            place(folder)
            ended.append(record.name)
        else:
            shutil.rmtree(folder)
    return ended


def move(source: Path, target: Path) -> None:
    """Rename a file, over whatever is there; through a copy where the two are on different disks."""
    with files.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with files.replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            source.unlink()


def remove_empty(folder: Path) -> None:
    """Remove a folder of results and those above it that hold nothing any more."""
    while folder.is_relative_to(RESULTS) and folder != RESULTS:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                return
            raise
        folder = folder.parent


def synced(paths: Iterable[Path]) -> None:
    """Make sure that files are on the disk before anything says that they are."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
