"""Names of nodes in formats without quotation marks: characters that would break such a file are escaped.

An escaped character is % and the hexadecimal digits of its UTF-8 bytes, as in a web address: a space is %20.
"""

import re
from urllib.parse import unquote

# Besides white space, control characters: a line may end at some of them, a text at others.
WORD = re.compile(r"[%\s\x00-\x1f\x7f]")  # for a format that separates its fields by white space
WORD_BEFORE_COLON = re.compile(r"[%:\s\x00-\x1f\x7f]")
FIELD = re.compile(r"[%\x00-\x1f\x7f\x85\u2028\u2029]")  # for a format that separates its fields by tabs
MEMBER = re.compile(r"[%\\:\x00-\x1f\x7f]")  # for the name of a file in a zip archive
UNSAFE_MEMBER = re.compile(r"[%\\:/.\x00-\x1f\x7f]")


def escape(text: str, pattern: re.Pattern[str]) -> str:
    """The text with the characters of `pattern` escaped."""
    return pattern.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    return unquote(text)


def word(node_type: str, node_id: str) -> str:
    """A node as one word, type:id, without white space."""
    end = escape(node_id, WORD)
    # `split` takes two colons after the type for one separator.
    end = f"%3A{end[1:]}" if end.startswith(":") else end
    return f"{escape(node_type, WORD_BEFORE_COLON)}:{end}"


def split(text: str) -> tuple[str, str] | None:
    """Node type and id of a word, type:id or type::id; None if it is neither."""
    node_type, _, node_id = text.partition(":")
    node_id = node_id.removeprefix(":")
    return (unescape(node_type), unescape(node_id)) if node_type and node_id else None


def member(node_type: str, name: str) -> str:
    """The name TYPE/NAME of an array in a zip archive; a type such as ../x cannot leave the folder."""
    is_safe = all(part.strip(". ") for part in node_type.split("/"))
    return f"{escape(node_type, MEMBER if is_safe else UNSAFE_MEMBER)}/{name}"
