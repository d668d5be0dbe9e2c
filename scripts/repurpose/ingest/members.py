"""Files in archives: what tables are there, and their bytes, without unpacking an archive to the disk."""

import functools
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from repurpose.core.errors import InputError, shortened

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


class Member(NamedTuple):
    """A file in an archive."""

    archive: str
    name: str

    def __str__(self) -> str:
        return f"{self.archive} ({self.name})"


File = str | Path | Member


def is_archive(path: str | Path) -> bool:
    """Whether the name of a file is that of an archive."""
    return Path(path).name.lower().endswith(ARCHIVES)


def names(archive: str | Path) -> list[str]:
    """The names of the files in an archive, sorted; raises InputError if it cannot be read."""
    with _reading(archive):
        status = Path(archive).stat()
        return list(_names(str(archive), status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=16)
def _names(archive: str, size: int, changed: int) -> tuple[str, ...]:
    """The names; a compressed tar has to be unpacked whole for them. size, changed: of the file's state."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            found = [entry.filename for entry in file.infolist() if not entry.is_dir()]
    else:
        with tarfile.open(archive) as file:
            found = [entry.name for entry in file if entry.isfile()]
    return tuple(sorted(name for name in found if not is_hidden(name)))


def is_hidden(name: str) -> bool:
    """Whether a file is one that a system adds to archives, such as __MACOSX/._edges.tsv."""
    return any(
        part.startswith(("._", "__MACOSX", ".")) and part not in (".", "..") for part in name.split("/")
    )


def name_of(file: File) -> str:
    """The name of a file without its folders."""
    return Path(file.name if isinstance(file, Member) else file).name


@contextmanager
def opened(file: File) -> Iterator[BinaryIO]:
    """The bytes of a file, or of a file in an archive; raises InputError if it cannot be opened or read."""
    if not isinstance(file, Member):
        with _opened_path(file) as stream:
            yield stream
        return
    with _reading(file.archive):
        if zipfile.is_zipfile(file.archive):
            with zipfile.ZipFile(file.archive) as archive, archive.open(file.name) as stream:
                yield stream
        else:
            with tarfile.open(file.archive) as archive:
                # A member by its name would be the last of that name, for which all are unpacked first.
                entry = next((entry for entry in archive if entry.name == file.name), None)
                stream = archive.extractfile(entry) if entry else None
                if not stream:
                    raise KeyError(f"there is no file {file.name}")
                yield stream


def _opened_path(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check its permissions") from error


@contextmanager
def _reading(archive: str | Path) -> Iterator[None]:
    """Errors of the archive's reader as InputError."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, KeyError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(
                f"{archive} cannot be opened ({error.strerror}): check its permissions"
            ) from error
        raise InputError(
            f"{archive} cannot be read as an archive ({shortened(error)}): copy or download it again"
        ) from error
