"""Download tables from the web: where each is stored, and checks that it arrived completely."""

import hashlib
import http.client
import logging
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urldefrag, urlsplit

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.ingest import tables

FOLDER = "data/downloads"
CHUNK = 1 << 20
TIMEOUT = 60  # seconds without any data
PAUSES = (2.0, 10.0)  # seconds before the second and the third try, after an error that may be temporary
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(csv|tsv|parquet)(\.gz|\.zst)?")
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP status codes of errors that may be temporary
BY_HAND = "download the table by hand and give its path in the key edges"
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
    """A transfer ended before all announced bytes had arrived."""


class Download(NamedTuple):
    """A completed transfer: number of bytes, their SHA-256, and the address after a redirection, or ""."""

    size: int
    digest: str
    redirected: str


def is_url(table: str) -> bool:
    """Whether a configured table is a web address and not a file."""
    return table.startswith(("http://", "https://"))


def local_path(url: str) -> str:
    """The path where the table of a URL is stored; each URL has its own folder, so equal names do not clash.

    The file name is the last part of the URL's path, or the value of #name=. Raises InputError if that is not
    a table's name, if #sha256= is not a checksum, or if the URL is not an address.
    """
    try:
        name, digest = _name(url), _digest(url)
    except ValueError as error:
        raise InputError(f"{url} is not an address ({error}); correct it") from error
    if not NAME.fullmatch(name):
        raise InputError(
            f"{url} does not end like a table (.csv, .tsv or .parquet; csv and tsv also with .gz or .zst): "
            "say what it is by adding #name=edges.csv to it"
        )
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InputError(
            f"{url} has a checksum that is not 64 hexadecimal digits; correct or remove #sha256="
        )
    return f"{FOLDER}/{hashlib.sha256(url.encode()).hexdigest()[:12]}/{name}"


def fetch(url: str, path: str | Path, pauses: Sequence[float] = PAUSES) -> int:
    """Download `url` to `path` and return the number of bytes; an old file is replaced only after all checks.

    After an error that may be temporary (a busy server, a broken transfer) it tries again, after each of
    `pauses` in seconds. Raises InputError if the address does not answer, if the checksum is wrong, or if the
    file is not a complete table of the format that the name of `path` says.
    """
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.*"):  # of a process that was killed during a download
        leftover.unlink()
    with files.replacing(path) as temporary:
        result, wanted = _transfer_with_retries(url, temporary, pauses), _digest(url)
        try:
            tables.require_whole(temporary, path.name)
        except InputError as error:
            fault = str(error).removeprefix(f"{temporary} ")
            led = f"led to {result.redirected} and " if result.redirected else ""
            raise InputError(f"{url} {led}gave a file that was not kept, because it {fault}") from error
        if wanted and wanted != result.digest:
            raise InputError(
                f"{url} has the SHA-256 {result.digest}, not the one that its address asks for: it changed; "
                "look at it before you correct #sha256="
            )
    return result.size


def _transfer_with_retries(url: str, path: Path, pauses: Sequence[float]) -> Download:
    """Transfer a file; after an error that may be temporary, try again after each pause."""
    for pause in (*pauses, None):
        try:
            return _transfer(url, path)
        except (http.client.HTTPException, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in files.UNWRITABLE:
                raise  # the disk is at fault, not the network
            if pause is None or not is_transient(error):
                raise _failed(url, error) from error
            logging.warning("%s: %s; once more in %.0f s", url, _reason(error), pause)
            time.sleep(pause)
    raise AssertionError("unreachable")


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
        http.client.IncompleteRead,
        http.client.RemoteDisconnected,
    )
    return isinstance(cause, transient)


def _transfer(url: str, path: Path) -> Download:
    digest, size = hashlib.sha256(), 0
    address = quote(urldefrag(url)[0], safe="%/:=&?~+!$,;'@()*[]")
    request = urllib.request.Request(address, headers={"User-Agent": "drug-repurposing"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
        expected = answer.headers.get("Content-Length")
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        if expected and size != int(expected):
            raise BrokenOffError(f"it broke off after {size:,} of {int(expected):,} bytes")
        redirected = answer.url.partition("?")[0] if answer.url != request.full_url else ""
        return Download(size, digest.hexdigest(), redirected)


def _failed(url: str, error: Exception) -> InputError:
    """The error for a transfer that failed."""
    remedy = "check the address and the network"
    if isinstance(error, urllib.error.HTTPError):
        remedy = REMEDIES.get(error.code, f"the server failed: {LATER}" if error.code >= 500 else remedy)
    elif is_transient(error):
        remedy = f"{remedy}, or {LATER}"
    return InputError(f"{url} cannot be downloaded ({_reason(error)}); {remedy}")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}, {error.reason}"
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def _name(url: str) -> str:
    parts = urlsplit(url)
    return dict(parse_qsl(parts.fragment)).get("name") or unquote(parts.path).rpartition("/")[2]


def _digest(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).fragment)).get("sha256", "").lower()
