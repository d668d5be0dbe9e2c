"""Transfer a file from the web; if the transfer breaks, a later request asks for the rest.

`transfer` fills a `Partial`, which holds the bytes that have arrived, also from one run to the next.
"""

import contextlib
import errno
import fcntl
import http.client
import json
import logging
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.ingest.addresses import SCHEMES, Address

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without any data
PROGRESS_SECONDS = 5.0  # between two lines that say how far a transfer is
LOCK_SECONDS = 10.0  # to wait for a process that downloads the same file, such as a job that is just ending
MEGABYTE = 1e6

# ---- the bytes of a transfer that has not ended ----


class Partial:
    """The bytes that have arrived so far, in a hidden file, with what the server said about the whole file.

    If the transfer breaks, they stay, and a later request asks for the rest. This needs proof that the rest
    belongs to the same file: an ETag or a date from the server, or a checksum in the URL.
    """

    def __init__(self, file: FileIO, address: Address) -> None:
        self.file, self.path, self.address = file, Path(file.name), address
        self.notes_path = self.path.with_name(f"{self.path.name}.json")
        self.notes = self._read_notes()
        self.is_continued = False  # whether the bytes come from more than one transfer
        self.is_moved = False
        if not self.is_resumable:
            self.clear()

    @classmethod
    @contextlib.contextmanager
    def held(cls, folder: Path, name: str, address: Address) -> Iterator["Partial"]:
        """Yield the partial download of a file, held against other processes.

        After the block, it stays only if a later transfer can continue it.
        """
        with _locked(folder / f".{name}.part") as file:
            partial = cls(file, address)
            try:
                yield partial
            except OSError as error:
                if error.errno in files.UNWRITABLE:  # do not keep the disk full
                    partial.clear()
                raise
            finally:
                if not partial.is_moved and not (partial.count and partial.is_resumable):
                    partial.remove()

    @property
    def count(self) -> int:
        """The number of bytes that have arrived."""
        return self.file.seek(0, 2)

    @property
    def size(self) -> int | None:
        """The size of the whole file, if the server said it."""
        return self.notes.get("size")

    @property
    def validator(self) -> str:
        """The ETag or the date by which the server recognises this version of the file; "" for none."""
        return self.notes.get("validator", "")

    @property
    def redirected(self) -> str:
        """The address after a redirection, or ""."""
        return self.notes.get("redirected", "")

    @property
    def is_resumable(self) -> bool:
        """Whether a later request can ask for the rest."""
        return self.notes.get("url") == self.address.request and bool(
            self.validator or self.address.has_checksum
        )

    def clear(self) -> None:
        """Forget all bytes."""
        self.file.truncate(0)
        self.notes, self.is_continued = {}, False
        self.notes_path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[self.file.write(rest) :]

    def move(self, target: Path) -> None:
        """Move the complete file to `target`, which may be on another disk."""
        shutil.move(self.path, target)
        self.is_moved = True
        self.notes_path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the files of this partial download."""
        self.notes_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def begin(self, validator: str, size: int | None, redirected: str) -> None:
        """Start over with a file of which the server said this."""
        self.clear()
        self.notes = {
            "url": self.address.request,
            "validator": validator,
            "size": size,
            "redirected": redirected,
        }
        files.write_json(self.notes_path, self.notes)

    def _read_notes(self) -> dict[str, Any]:
        try:
            notes = json.loads(self.notes_path.read_text())
        except (FileNotFoundError, ValueError):
            return {}  # without notes nobody knows which file the bytes are of, so they are not used
        return notes if isinstance(notes, dict) else {}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[FileIO]:
    """Yield a file opened for appending, locked against other processes until the block ends."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with path.open("a+b", buffering=0) as file:
            if _lock(file) and _is_at(path, file):
                yield file
                return
        # Another process has it, or removed it between the opening and the locking.
        if time.monotonic() > deadline:
            raise InputError(
                f"another process is downloading {path.name.removeprefix('.').removesuffix('.part')} to "
                f"{path.parent}: wait until it ends, then run the same command again"
            )
        time.sleep(0.1)


def _lock(file: FileIO) -> bool:
    """Lock a file until it is closed; returns whether no other process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some file systems of clusters have no locks.
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return True


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether an open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


# ---- requests and answers ----

TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP status codes of errors that may be temporary
PARTIAL_CONTENT, NOT_SATISFIABLE = 206, 416
BY_HAND = "download the table by hand and give its path in the config"
LATER = "try again later"
REMEDIES = {
    401: f"the server asks for a log-in: {BY_HAND}",
    403: f"the server does not let everyone download it: {BY_HAND}",
    404: "the server has no such file: correct the address",
    410: "the file was removed: correct the address",
    429: f"the server was asked too often: {LATER}",
    503: f"the server is busy: {LATER}",
}


class BrokenOffError(OSError):
    """A transfer ended before all announced bytes had arrived, or its rest does not fit its beginning."""


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections between addresses of the web only, and never from https to http."""

    def http_error_302(self, req, fp, code, msg, headers):
        """Follow a redirection; raises InputError if it is not safe."""
        target = urljoin(req.full_url, headers.get("Location") or headers.get("URI") or "")
        before, after = urlsplit(req.full_url).scheme, urlsplit(target).scheme
        if after not in SCHEMES:
            fault = "is no address of the web"
        elif before == "https" and after == "http":
            fault = "is not encrypted, so anyone on the way could change the file"
        else:
            return super().http_error_302(req, fp, code, msg, headers)
        fp.close()
        shown = target.partition("?")[0]
        raise InputError(
            f"{req.full_url} leads to {shown}, which {fault}: look for another address, or {BY_HAND}"
        )

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Progress:
    """Logs how far a transfer is, at most once in PROGRESS_SECONDS."""

    def __init__(self, name: str, count: int, size: int | None) -> None:
        self.name, self.size = name, size
        self.last_count, self.last_time = count, time.monotonic()

    def show(self, count: int) -> None:
        """Log the bytes so far, their share and the rate since the last line, if it is time for a line."""
        seconds = time.monotonic() - self.last_time
        if seconds < PROGRESS_SECONDS:
            return
        rate = (count - self.last_count) / seconds
        self.last_count, self.last_time = count, time.monotonic()
        logging.info(
            "%s: %s, %.1f MB/s%s", self.name, self._so_far(count), rate / MEGABYTE, self._left(count, rate)
        )

    def _so_far(self, count: int) -> str:
        if not self.size:
            return f"{count / MEGABYTE:.1f} MB"
        return f"{count / MEGABYTE:.1f} of {self.size / MEGABYTE:.1f} MB ({count / self.size:.0%})"

    def _left(self, count: int, rate: float) -> str:
        if not self.size or not rate:
            return ""
        seconds = (self.size - count) / rate
        return f", {seconds:.0f} s left" if seconds < 120 else f", {seconds / 60:.0f} min left"


def transfer(address: Address, partial: Partial, pauses: Sequence[float]) -> None:
    """Transfer a file; after an error that may be temporary, continue it after each pause."""
    remaining, reached = list(pauses), partial.count
    while True:
        try:
            _transfer(address, partial)
            return
        except (http.client.HTTPException, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in files.UNWRITABLE:
                raise  # the disk is at fault, not the network
            if partial.is_resumable and partial.count >= reached + CHUNK:
                remaining, reached = list(pauses), partial.count
            if not remaining or not is_transient(error):
                raise _failed(address.url, error, partial) from error
            pause = remaining.pop(0)
            logging.warning("%s: %s; once more in %.0f s", address.url, _reason(error), pause)
            time.sleep(pause)


def _transfer(address: Address, partial: Partial) -> None:
    """Receive a file, or the rest of it, into a partial download."""
    if not partial.is_resumable:
        partial.clear()
    begun = partial.count
    if begun and begun == partial.size:
        partial.is_continued = True
        return
    with _answer(address, partial, begun) as answer:
        if answer.status == PARTIAL_CONTENT:
            size = _size_of_continued(answer, begun, partial)
            partial.is_continued = True
            logging.info("%s: continued after %.1f MB", address.name, begun / MEGABYTE)
        else:
            size = _announced(answer)
            redirected = answer.url.partition("?")[0] if answer.url != address.request else ""
            partial.begin(_validator(answer), size, redirected)
        if address.size is not None and size is not None and size > address.size:
            raise other_size(address, size)
        _receive(answer, address, partial, size)


def _answer(address: Address, partial: Partial, begun: int) -> http.client.HTTPResponse:
    """The server's answer to a request for a file from byte `begun` on."""
    headers = {"User-Agent": "drug-repurposing", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
        if partial.validator:
            headers["If-Range"] = partial.validator
    opener = urllib.request.build_opener(SafeRedirects)
    try:
        return opener.open(urllib.request.Request(address.request, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if begun and error.code == NOT_SATISFIABLE:
            partial.clear()
            raise BrokenOffError("the server has fewer bytes than those that arrived before") from error
        raise


def _receive(answer: http.client.HTTPResponse, address: Address, partial: Partial, size: int | None) -> None:
    count = partial.count
    progress = Progress(address.name, count, size)
    while chunk := answer.read1(CHUNK):
        partial.write(chunk)
        count += len(chunk)
        if address.size is not None and count > address.size:
            partial.clear()
            raise other_size(address, count)
        progress.show(count)
    if size is not None and count != size:
        raise BrokenOffError(f"it broke off after {count:,} of {size:,} bytes")


def _announced(answer: http.client.HTTPResponse) -> int | None:
    """The number of bytes that an answer announces; None if it announces none.

    Raises BrokenOffError if the number cannot be read, because nobody could tell then whether all arrived.
    """
    length = answer.headers.get("Content-Length")
    if length is None or answer.headers.get("Transfer-Encoding"):
        return None
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise BrokenOffError(f"the server announces {length!r} bytes, which is no number")
    return int(length)


def _size_of_continued(answer: http.client.HTTPResponse, begun: int, partial: Partial) -> int | None:
    """The size of the whole file, of which an answer has the rest.

    Raises BrokenOffError if the answer begins at another byte or belongs to a file of another size.
    """
    stated = answer.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", stated)
    size = int(match[3]) if match and match[3] != "*" else partial.size
    if not begun or not match or int(match[1]) != begun or partial.size not in (None, size):
        partial.clear()
        raise BrokenOffError(f"the rest does not fit the beginning (Content-Range: {stated!r})")
    length = _announced(answer)
    return begun + length if size is None and length is not None else size


def _validator(answer: http.client.HTTPResponse) -> str:
    """What identifies this version of a file: its ETag, unless that is weak, or its date of change."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def is_transient(error: Exception) -> bool:
    """Whether an error of a transfer may be temporary."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in TRANSIENT
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    transient = (
        BrokenOffError,
        TimeoutError,
        ConnectionResetError,
        ConnectionAbortedError,
        BrokenPipeError,
        ssl.SSLEOFError,
        http.client.IncompleteRead,
        http.client.RemoteDisconnected,
    )
    return isinstance(cause, transient)


def other_size(address: Address, count: int) -> InputError:
    """The error for a file that has not the size that its URL states."""
    return InputError(
        f"{address.url} has {count:,} bytes, not the {address.size:,} that its address asks for: it changed; "
        "look at it before you correct #size="
    )


def _failed(url: str, error: Exception, partial: Partial) -> InputError:
    """The error for a transfer that failed."""
    remedy = "check the address and the network"
    if isinstance(error, urllib.error.HTTPError):
        remedy = REMEDIES.get(error.code, f"the server failed: {LATER}" if error.code >= 500 else remedy)
    elif is_transient(error):
        remedy = f"{remedy}, or {LATER}"
    if partial.count and partial.is_resumable:
        remedy += f"; {partial.count / MEGABYTE:.1f} MB are kept, and the next run continues after them"
    return InputError(f"{url} cannot be downloaded ({_reason(error)}); {remedy}")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}, {' '.join(str(error.reason).split())}"
    return " ".join(str(getattr(error, "reason", None) or error).split()) or type(error).__name__
