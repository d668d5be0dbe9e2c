"""Look up nodes by id or name, as a person writes them."""

import difflib
import unicodedata
from collections.abc import Sequence

import numpy as np

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph

NEAR = 5  # most names that an error suggests for an unknown name
ALIKE = 0.75  # least similarity of such a name, from 0 to 1, if it does not contain the unknown one


# Control and format characters, surrogates, line and paragraph separators.
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def shown(name: str) -> str:
    """A node type or a relation as people read it: without the prefix that all names of Biolink have."""
    return name.removeprefix("biolink:")


def in_words(relation: str, one: str, other: str) -> str:
    """A relation between nodes of two types as people read it: "binds" for compound_binds_gene.

    Other names stay, with blanks for underscores. withoutTypes of app/dossier.js does the same in the page.
    """
    text = shown(relation)
    for start, end in ((one, other), (other, one)):
        start, end = f"{shown(start)}_", f"_{shown(end)}"
        if text.startswith(start) and text.endswith(end) and len(text) > len(start) + len(end):
            text = text[len(start) : -len(end)]
            break
    return text.replace("_", " ")


def visible(text: str) -> str:
    """The text with characters that cannot be seen, or that turn the direction of others, as code points."""
    if str(text).isprintable():
        return str(text)
    return "".join(
        f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(mark):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
        if unicodedata.category(mark) in UNSEEN
        else mark
        for mark in str(text)
    )


def has(kg: Graph, node_type: str, text: str) -> bool:
    """Whether `find` knows a node by this id or name, or several by this name."""
    wanted = text.strip()
    is_id = (kg.node_ids[node_type] == wanted).any()
    return bool(is_id) or wanted.casefold() in {str(name).casefold() for name in kg.node_names[node_type]}


def find(kg: Graph, node_type: str, text: str) -> int:
    """The index, within its type, of the node with this id or this name; names may differ in case.

    Raises InputError if no node has this name (with similar names) or if several have it (with their ids).
    """
    ids, names = kg.node_ids[node_type], kg.node_names[node_type]
    wanted = text.strip().casefold()
    with_id = np.flatnonzero(ids == text.strip())
    if len(with_id):
        return int(with_id[0])
    folded = [str(name).casefold() for name in names]
    same = [index for index, name in enumerate(folded) if name == wanted]
    if len(same) > 1:
        raise InputError(
            f"several nodes of type {node_type} are called {text}: ask for one of {_listing(ids[same])}"
        )
    if same:
        return same[0]
    containing = [index for index, name in enumerate(folded) if wanted and wanted in name]
    containing.sort(key=lambda index: len(folded[index]))
    near = [folded.index(name) for name in difflib.get_close_matches(wanted, folded, NEAR, ALIKE)]
    suggested = list(dict.fromkeys(containing + near))[:NEAR]
    hint = f"; did you mean {_listing(names[suggested])}?" if suggested else ""
    raise InputError(f"the graph has no {node_type} called {text}{hint}")


def _listing(texts: Sequence[str]) -> str:
    """The texts, separated by commas."""
    return ", ".join(map(str, texts))
