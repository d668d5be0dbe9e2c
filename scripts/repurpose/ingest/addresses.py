"""Addresses of tables on the web, and what a URL states about its file: #name=, #sha256=, #md5=, #size=."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urldefrag, urlsplit

from repurpose.core.errors import InputError

NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\.((csv|tsv|sif|txt|jsonl|ndjson)(\.gz|\.zst)?|parquet|tar\.gz|tgz|zip)"
)
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
SCHEMES = ("http", "https")
DIGITS = {"sha256": 64, "md5": 32}  # hexadecimal digits of each kind of checksum
STATEMENTS = ("name", *DIGITS, "size")


class Address(NamedTuple):
    """Where a file is, and what its URL states about it after the #; "" and None for what is not stated."""

    url: str
    request: str
    name: str
    sha256: str
    md5: str
    size: int | None

    @property
    def checksum(self) -> tuple[str, str]:
        """The kind and the value of the stated checksum, ("", "") for none; SHA-256 if there are both."""
        return next(((kind, getattr(self, kind)) for kind in DIGITS if getattr(self, kind)), ("", ""))

    @property
    def has_checksum(self) -> bool:
        """Whether the URL states a checksum."""
        return bool(self.checksum[1])


def parse(url: str) -> Address:
    """The parts of a URL; its file name is the last part of its path, or what #name= states.

    Raises InputError if that is not a table's name, if what is stated after the # cannot be, or if the URL is
    not an address of the web.
    """
    try:
        parts, request = urlsplit(url), urldefrag(url)[0]
        stated = dict(parse_qsl(parts.fragment, keep_blank_values=True))
    except ValueError as error:
        raise InputError(f"{url} is not an address ({error}); correct it") from error
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise InputError(f"{url} is not an address of the web: give one that begins with https:// or http://")
    for key in stated:
        if key not in STATEMENTS:
            names = ", ".join(f"#{name}=" for name in STATEMENTS)
            raise InputError(
                f"{url} has #{key}= after it, which means nothing here: correct it to one of {names}"
            )
    name = stated.get("name") or unquote(parts.path).rpartition("/")[2]
    if not NAME.fullmatch(name):
        raise InputError(
            f"{url} does not end like a table (.csv, .tsv, .sif, .txt or .jsonl, also with .gz or .zst; or "
            ".parquet, .tar.gz, .zip): say what it is by adding #name=edges.csv to it"
        )
    for kind, digits in DIGITS.items():
        if kind in stated and not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", stated[kind]):
            raise InputError(
                f"{url} has a checksum that is not {digits} hexadecimal digits; correct or remove #{kind}="
            )
    if "size" in stated and not re.fullmatch(r"[1-9][0-9]{0,17}", stated["size"]):
        raise InputError(f"{url} has a size that is not a number of bytes; correct or remove #size=")
    return Address(
        url,
        quote(request, safe="%/:=&?~+!$,;'@()*[]"),
        name,
        *(stated.get(kind, "").lower() for kind in DIGITS),
        int(stated["size"]) if "size" in stated else None,
    )
