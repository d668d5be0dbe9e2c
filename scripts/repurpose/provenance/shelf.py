"""Moves a job's files: from the staging folder to their final paths, to results/previous, and back.

All files of a job move together. Their record says that they are complete: it is removed first and written
last. If a process dies in between, it leaves files without a record, which the workflow does not use.
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
# During a run, what results/previous had before: the run may be of the config before the last one.
OLDER = RUN / "older"
MARK = "made.json"  # in a staging folder: all files are complete and only need to be moved


def previous_path(path: str | Path, shelf: Path = PREVIOUS) -> Path:
    """The path in results/previous, or on another shelf, where the earlier version of a file is kept."""
    path = Path(path)
    return shelf / (path.relative_to(RESULTS) if path.is_relative_to(RESULTS) else path)


def set_aside(record: Record, is_kept: bool = True) -> None:
    """Move a job's files to results/previous; the previous version moves on to OLDER, until the run ends.

    If `is_kept` is false, no record is kept: the files stay there for reading, but no job restores them.
    """
    record_path, previous_record_path = (
        records.path_of(record.name),
        records.path_of(record.name, previous_path(records.RECORDS)),
    )
    _move_on(record.name)
    previous_record_path.unlink(missing_ok=True)
    set_aside_files(record.outputs)
    if is_kept and record_path.exists():
        move(record_path, previous_record_path)
    record_path.unlink(missing_ok=True)


def put_back(record: Record) -> None:
    """Undo `set_aside` of a record that was kept: its files return, and OLDER's to results/previous.

    What the job has made since then is deleted.
    """
    kept_path = records.path_of(record.name, previous_path(records.RECORDS))
    record_path = records.path_of(record.name)
    since = records.read(record_path)
    record_path.unlink(missing_ok=True)
    for path in map(Path, since.outputs if since else ()):
        path.unlink(missing_ok=True)
    for path in record.outputs:
        if previous_path(path).exists():
            move(previous_path(path), Path(path))
    record.write(record_path)
    # Last: after a kill before this line, the next run moves the files, which have no record, back to it.
    kept_path.unlink()
    older = records.read(records.path_of(record.name, previous_path(records.RECORDS, OLDER)))
    if older:
        for path in older.outputs:
            if previous_path(path, OLDER).exists():
                move(previous_path(path, OLDER), previous_path(path))
        older.write(kept_path)


def _move_on(name: str) -> None:
    """Move the previous version of a job's files to OLDER."""
    source, target = (
        records.path_of(name, previous_path(records.RECORDS, shelf)) for shelf in (PREVIOUS, OLDER)
    )
    record = records.read(source)
    if not record:
        return
    target.unlink(missing_ok=True)
    for path in record.outputs:
        if previous_path(path).exists():
            move(previous_path(path), previous_path(path, OLDER))
    move(source, target)


def forget_older() -> None:
    """Delete what OLDER has, at the end of a run."""
    shutil.rmtree(OLDER, ignore_errors=True)


def set_aside_files(paths: Iterable[str | Path]) -> None:
    """Move files to results/previous; missing files are skipped."""
    for path in map(Path, paths):
        if path.exists():
            move(path, previous_path(path))
            remove_empty(path.parent)


def restore(wanted: Record, digests: Digests) -> bool:
    """Restore a job's files from results/previous or OLDER, if their record matches and they are unchanged.

    Provisional results are not restored. Returns whether the files were restored.
    """
    return any(_restore_from(shelf, wanted, digests) for shelf in (PREVIOUS, OLDER))


def _restore_from(shelf: Path, wanted: Record, digests: Digests) -> bool:
    kept_record_path = records.path_of(wanted.name, previous_path(records.RECORDS, shelf))
    record = records.read(kept_record_path)
    if not record or record.provisional or not record.matches(wanted):
        return False
    paths = {path: previous_path(path, shelf) for path in record.outputs}
    if any(digest != digest_or_none(paths[path], digests) for path, digest in record.outputs.items()):
        return False
    # The inputs may have other paths now, so the new record has the paths of the job that is about to run.
    renewed = replace(wanted, outputs=record.outputs)
    kept_record_path.unlink()
    for path, kept in paths.items():
        move(kept, Path(path))
    renewed.write(records.path_of(wanted.name))
    return True


def digest_or_none(path: str | Path, digests: Digests) -> str | None:
    """The digest of a file; None if it cannot be read."""
    try:
        return digests.of(path)
    except OSError:
        return None


def new_staging(name: str) -> Path:
    """Create an empty staging folder for a job."""
    with files.writing(STAGING):
        STAGING.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=STAGING, prefix=f"{name.replace('/', '-')[:100]}-"))


def list_staged(folder: Path) -> list[str]:
    """The final paths of the files in a staging folder, sorted."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if str(path) != MARK)


def place(folder: Path) -> None:
    """Move the files of a marked staging folder to their final paths.

    If this is interrupted, it can be repeated. Raises ValueError if the folder is not marked.
    """
    record = records.read(folder / MARK)
    if not record:
        raise ValueError(f"{folder} is not marked as made")
    record_path = records.path_of(record.name)
    current_record = records.read(record_path)
    if current_record:
        set_aside(current_record)
    record_path.unlink(missing_ok=True)
    for path in list_staged(folder):
        move(folder / path, Path(path))
    move(folder / MARK, record_path)
    shutil.rmtree(folder)


def clear_staging() -> list[str]:
    """Finish the moves that a killed run had begun, and delete its other staging folders.

    Returns the names of the jobs whose files are now in place.
    """
    finished = []
    for folder in sorted(STAGING.glob("*")):
        record = records.read(folder / MARK)
        if record:
            place(folder)
            finished.append(record.name)
        else:
            shutil.rmtree(folder)
    return finished


def move(source: Path, target: Path) -> None:
    """Rename a file and replace the target if it exists; copy it if the two are on different disks."""
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
    """Remove a folder of results and its parent folders, as far as they are empty."""
    while folder.is_relative_to(RESULTS) and folder != RESULTS:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                return
            raise
        folder = folder.parent


def sync(paths: Iterable[Path]) -> None:
    """Write files to disk physically (fsync), before a record says that they exist."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
