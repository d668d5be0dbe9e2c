"""Tables from the web: where they are kept, and how they get there whole."""

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from repurpose import files
from repurpose.errors import InputError

FOLDER = "data/downloads"
CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(csv|tsv|parquet)(\.gz|\.zst)?")


def is_url(table: str) -> bool:
    """Whether a configured table is an address on the web and not a file."""
    return table.startswith(("http://", "https://"))


def local_path(url: str) -> str:
    """Where the table of a URL is kept, a folder per URL so that equal names do not meet.

    The name is the last part of the URL's path, or what #name= says. Raises InputError where that is no
    table's name or the checksum of #sha256= is none.
    """
    name, digest = _name(url), _digest(url)
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


def fetch(url: str, path: str | Path) -> int:
    """Download `url` to `path` and return the number of bytes; what is there before stays until all is well.

    Raises InputError for an address that does not answer, a transfer that breaks off, a wrong checksum.
    """
    with files.replacing(path) as temporary:
        try:
            count, digest = _transfer(url, temporary)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise InputError(
                f"{url} cannot be downloaded ({reason}); check the address and the network"
            ) from error
        wanted = _digest(url)
        if wanted and wanted != digest:
            raise InputError(
                f"{url} has the SHA-256 {digest}, not the one that its address asks for: it changed; "
                "look at it before you correct #sha256="
            )
    return count


def _transfer(url: str, path: Path) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "drug-repurposing"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, path.open("wb") as file:
        expected = answer.headers.get("Content-Length")
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            count += len(chunk)
    if expected and count != int(expected):
        raise OSError(f"it broke off after {count:,} of {int(expected):,} bytes")
    return count, digest.hexdigest()


def _name(url: str) -> str:
    parts = urlsplit(url)
    return dict(parse_qsl(parts.fragment)).get("name") or unquote(parts.path).rpartition("/")[2]


def _digest(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).fragment)).get("sha256", "").lower()
