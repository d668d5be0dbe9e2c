"""Read and write result files: a file is written completely or not at all, and errors name the file."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repurpose.core.errors import InputError, is_out_of_memory

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise InputError that names `path` if the block fails on a full disk or a read-only folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise InputError(
            f"{path} cannot be written ({os.strerror(error.errno)}); make room there or make it writable, "
            "then run the same command again"
        ) from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`; it replaces `path` when the block ends without error.

    If the block raises an exception, the old file at `path` does not change.
    """
    path = Path(path)
    with writing(path), _sibling(path) as temporary:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp creates a file that only its owner can read; results get the permissions that open() gives.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)


@contextmanager
def _sibling(path: Path) -> Iterator[Path]:
    """Yield a new file in the folder of `path`; it is deleted after the block unless the block renamed it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON; raises ValueError for NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON result; raises InputError that names the file and says how to rebuild it."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise _unreadable(path, "JSON", error) from error


def write_table(path: str | Path, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
    """Write a parquet file (zstd); `metadata` is added to the file's key-value metadata."""
    if metadata:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    where: pc.Expression | None = None,
    is_result: bool = True,
) -> pa.Table:
    """Read a parquet file; raises InputError that names the file and says what to do.

    where: only rows for which it is true, filtered while they are read. is_result: whether the workflow made
    the file, so that the error says how to rebuild it.
    """
    try:
        # An open file: from a path, pyarrow would also read columns from folder names such as device=cpu.
        with Path(path).open("rb") as file:
            return pq.read_table(file, columns=list(columns) if columns is not None else None, filters=where)
    except (OSError, pa.ArrowException) as error:
        if is_out_of_memory(error):
            raise
        raise _unreadable(path, "parquet", error, is_result) from error


def batches(path: str | Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a parquet result, some at a time: for files that may hold every pair of the graph.

    Raises the same InputError as `read_table`.
    """
    try:
        with Path(path).open("rb") as file:
            yield from pq.ParquetFile(file).iter_batches(columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        if is_out_of_memory(error):
            raise
        raise _unreadable(path, "parquet", error) from error


def digest(path: str | Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rebuild_hint(path: str | Path) -> str:
    """The end of an error sentence: how to rebuild a result, with the same overlays as before."""
    return f"make it again with the snakemake command of before and --forcerun {path}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unreadable(path: str | Path, file_format: str, error: Exception, is_result: bool = True) -> InputError:
    detail = str(error).splitlines()[0] if str(error) else type(error).__name__
    remedy = rebuild_hint(path) if is_result else "correct or replace it"
    return InputError(f"{path} is not a readable {file_format} file ({detail}); {remedy}")
