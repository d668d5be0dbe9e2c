"""Node types that are not in a column of their own: before the ids, or several in one cell."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.ingest import tables

SEPARATOR = "::"  # between type and id: Gene::9021
SEVERAL = r"[|\x1f]"  # between the types of a node: biolink:Drug|biolink:ChemicalEntity


def has_prefix(text: str) -> bool:
    """Whether a cell is a type and an id."""
    before, _, after = text.partition(SEPARATOR)
    return bool(before and after)


def split_prefix(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Types and ids of a column of ids with a type in front; a cell without one has the type ""."""

    def types(values: pa.Array) -> pa.Array:
        position = pc.find_substring(values, SEPARATOR).to_numpy()
        texts = zip(values.to_pylist(), position.tolist(), strict=True)
        return pa.array([text[:at] if at > 0 else "" for text, at in texts], pa.string())

    def ids(values: pa.Array) -> pa.Array:
        return pa.array(
            [text.partition(SEPARATOR)[2] if has_prefix(text) else text for text in values.to_pylist()],
            pa.string(),
        )

    return tables.map_values(column, types), tables.map_values(column, ids)


def choose_one(columns: Sequence[pa.ChunkedArray], preferred: Sequence[str]) -> list[pa.ChunkedArray]:
    """Columns of types with one type in each cell, where a cell may have several.

    preferred: the first of these that a cell has counts. If it has none of them, the type that the fewest
    cells have counts: an ancestor is in every cell of its descendants, so the rarest type is the most special
    one. Types that are equally rare are taken in alphabetical order. The order in a cell does not matter.
    """
    counts: dict[str, int] = {}
    for column in columns:
        for chunk in column.chunks:
            rows = np.bincount(chunk.indices.to_numpy(), minlength=len(chunk.dictionary))
            for text, count in zip(chunk.dictionary.to_pylist(), rows.tolist(), strict=True):
                counts[text] = counts.get(text, 0) + count
    several = [text for text in counts if "|" in text or "\x1f" in text]
    if not several:
        return list(columns)
    alternatives = {text: split_several(text) for text in counts}
    cells: dict[str, int] = {}
    for text, count in counts.items():
        for name in alternatives[text]:
            cells[name] = cells.get(name, 0) + count
    ranks = {name: rank for rank, name in enumerate(preferred)}
    chosen = {
        text: min(alternatives[text], key=lambda name: (ranks.get(name, len(ranks)), cells[name], name))
        if alternatives[text]
        else ""
        for text in counts
    }
    return [
        tables.map_values(
            column, lambda values: pa.array([chosen[text] for text in values.to_pylist()], pa.string())
        )
        for column in columns
    ]


def split_several(text: str) -> list[str]:
    """The distinct types of a cell."""
    return sorted({name.strip() for name in text.replace("\x1f", "|").split("|")} - {""})
