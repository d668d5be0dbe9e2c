"""Data of the page: JSON and typed arrays, compressed into text for an HTML element; app/data.js reads it."""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

# JavaScript's typed array of each dtype, all little-endian.
KINDS = {"uint8": "Uint8Array", "uint16": "Uint16Array", "uint32": "Uint32Array", "float32": "Float32Array"}
ALIGNMENT = 8  # a typed array starts at a multiple of its item's size


def pack(content: Mapping[str, Any]) -> str:
    """base64 of gzip of: length of the header (uint32), header (JSON), and the arrays; always the same bytes.

    An array of the content (in mappings and lists of mappings) is replaced by {"array": kind, "at": byte,
    "length": n}; all else is JSON. Raises TypeError for an array of another dtype.
    """
    blocks: list[bytes] = []
    header = json.dumps(_without_arrays(content, blocks), ensure_ascii=False, separators=(",", ":")).encode()
    head = len(header).to_bytes(4, "little") + header
    data = b"".join(_padded(block) for block in [head, *blocks])
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def smallest(values: np.ndarray) -> np.ndarray:
    """Integers of at least 0 in the smallest unsigned dtype that holds them."""
    highest = int(values.max(initial=0))
    return values.astype(np.uint8 if highest < 1 << 8 else np.uint16 if highest < 1 << 16 else np.uint32)


def _without_arrays(value: Any, blocks: list[bytes]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_arrays(part, blocks) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [_without_arrays(part, blocks) for part in value]
    if isinstance(value, np.ndarray):
        if value.dtype.name not in KINDS or value.ndim != 1:
            raise TypeError(f"an array of {value.dtype} and {value.ndim} dimensions cannot be packed")
        at = sum(len(_padded(block)) for block in blocks)
        blocks.append(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
        return {"array": KINDS[value.dtype.name], "at": at, "length": len(value)}
    return value


def _padded(block: bytes) -> bytes:
    return block + bytes(-len(block) % ALIGNMENT)
