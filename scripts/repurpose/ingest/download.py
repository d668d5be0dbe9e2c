"""Download tables from the web: where each is stored, and checks that it arrived completely and unchanged."""

import gzip
import hashlib
import logging
import re
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files
from repurpose.core.errors import InputError, shortened
from repurpose.ingest import addresses, members, tables, transfer
from repurpose.ingest.addresses import Address
from repurpose.ingest.transfer import Partial

FOLDER = "data/downloads"
PAUSES = (2.0, 10.0)  # seconds before the second and the third try, after an error that may be temporary
TITLES = {"sha256": "SHA-256", "md5": "MD5"}


def is_url(table: str) -> bool:
    """Whether a configured table is an address and not a file; `local_path` refuses those not on the web."""
    return bool(addresses.SCHEME.match(table))


def local_path(url: str) -> str:
    """The path where the table of a URL is stored; each URL has its own folder, so equal names do not clash.

    Raises the errors of `addresses.parse`.
    """
    address = addresses.parse(url)
    return f"{FOLDER}/{hashlib.sha256(url.encode()).hexdigest()[:12]}/{address.name}"


def fetch(url: str, path: str | Path, keep: str | Path = "", pauses: Sequence[float] = PAUSES) -> int:
    """Download `url` to `path` and return the number of bytes; an old file is replaced only after all checks.

    keep: the folder of what outlives this call, by default that of `path`: the bytes of a broken transfer,
    from which the next call continues, and the SHA-256 of the first download if the URL states no checksum.

    After an error that may be temporary (a busy server, a broken transfer) it tries again, after each of
    `pauses` in seconds; the pauses start anew when a try has brought the file forward. Raises InputError if
    the address does not answer, if size or checksum are not those stated or those of the first download, or
    if the file is not a complete table of the format that the name of `path` says.
    """
    path, address = Path(path), addresses.parse(url)
    folder = Path(keep or path.parent)
    with files.writing(path):
        for place in (folder, path.parent):
            place.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.{'?' * 8}"):  # of a process that was killed
            leftover.unlink()
        with Partial.held(folder, path.name, address) as partial:
            transfer.transfer(address, partial, pauses)
            fault = _fault(address, partial, path.name, folder)
            if fault and partial.is_continued:
                logging.warning("%s; its parts came one after another, so it is downloaded anew", fault)
                partial.clear()
                transfer.transfer(address, partial, pauses)
                fault = _fault(address, partial, path.name, folder)
            if fault:
                partial.clear()
                raise fault
            return _finish(address, partial, path, folder)


def _finish(address: Address, partial: Partial, path: Path, folder: Path) -> int:
    """Move a checked download to its path, and keep its SHA-256 if none is stated."""
    count, sha256 = partial.count, files.digest(partial.path)
    with files.replacing(path) as temporary:
        partial.move(temporary)
    if not address.has_checksum:
        # The format of sha256sum.
        files.write_text(_digest_path(folder, path.name), f"{sha256}  {path.name}\n")
    logging.info("%s: %s bytes, SHA-256 %s", path.name, f"{count:,}", sha256)
    return count


# ---- the checks of a complete file ----


def _fault(address: Address, partial: Partial, name: str, folder: Path) -> InputError | None:
    """Why a transferred file must not be kept; None if it passes all checks."""
    try:
        _require_whole(partial.path, name)
    except InputError as error:
        fault = str(error).removeprefix(f"{partial.path} ")
        led = f"led to {partial.redirected} and " if partial.redirected else ""
        return InputError(f"{address.url} {led}gave a file that was not kept, because it {fault}")
    try:
        if address.size not in (None, partial.count):
            raise transfer.other_size(address, partial.count)
        if address.has_checksum:
            _require_checksum(address, partial)
        else:
            _require_as_first(address, partial, _digest_path(folder, name))
    except InputError as error:
        return error
    return None


def _require_checksum(address: Address, partial: Partial) -> None:
    """Raise InputError if the checksum is not the one that the URL states."""
    kind, wanted = address.checksum
    with partial.path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    if found != wanted:
        raise InputError(
            f"{address.url} has the {TITLES[kind]} {found}, not the one that its address asks for: it "
            f"changed; look at it before you correct #{kind}="
        )


def _require_as_first(address: Address, partial: Partial, kept: Path) -> None:
    """Raise InputError if the SHA-256 is not that of the first download, which the file `kept` holds."""
    if not kept.exists():
        return
    first, found = kept.read_text(errors="replace").partition(" ")[0].strip(), files.digest(partial.path)
    if not re.fullmatch(r"[0-9a-f]{64}", first):
        raise InputError(f"{kept} does not begin with a SHA-256: delete it, and the file is taken as new")
    if found != first:
        raise InputError(
            f"{address.url} has the SHA-256 {found}, but had {first} at its first download: it changed; "
            f"if the new file is the right one, delete {kept}"
        )


def _digest_path(folder: Path, name: str) -> Path:
    """The file that keeps the SHA-256 of a first download."""
    return folder / f"{name}.sha256"


def _require_whole(path: Path, name: str) -> None:
    """Raise InputError if a file is not a complete table or archive of the format that its name says."""
    if members.is_archive(name):
        _require_archive(path, "zip" if name.endswith(".zip") else "gzip")
    else:
        tables.require_whole(path, name)


def _require_archive(path: Path, wanted: str) -> None:
    """Raise InputError if a file is no complete archive (zip, or tar in gzip) with a file in it."""
    content, remedy = tables.describe_content(path)
    if not content.endswith("zip archive" if wanted == "zip" else "gzip"):
        raise InputError(f"{path} is named as {wanted} but holds {content}: {remedy}")
    try:
        if wanted == "zip":
            with zipfile.ZipFile(path) as archive:
                damaged, count = archive.testzip(), len(archive.namelist())
            if damaged:
                raise zipfile.BadZipFile(f"{damaged} has a wrong checksum")
        else:
            with gzip.open(path) as stream:
                while stream.read(transfer.CHUNK):  # gzip checks length and checksum at the end
                    pass
            with tarfile.open(path) as archive:
                count = archive.next() is not None
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is cut short or damaged ({shortened(error)}): download it again") from error
    if not count:
        raise InputError(f"{path} is an archive with no file in it: give one with a table")
