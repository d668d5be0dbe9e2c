"""Nodes by id or name, as a person writes them."""

import difflib
from collections.abc import Sequence

import numpy as np

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph

NEAR = 5  # names suggested for one that the graph lacks


def find(kg: Graph, node_type: str, text: str) -> int:
    """The number of the node of this id or this name, upper and lower case alike.

    Raises InputError with the nearest names where there is none, with the ids where there are several.
    """
    ids, names = kg.node_ids[node_type], kg.node_names[node_type]
    wanted = text.strip().casefold()
    of_id = np.flatnonzero(ids == text.strip())
    if len(of_id):
        return int(of_id[0])
    folded = [str(name).casefold() for name in names]
    same = [at for at, name in enumerate(folded) if name == wanted]
    if len(same) > 1:
        raise InputError(
            f"several nodes of type {node_type} are called {text}: ask for one of {listed(ids[same])}"
        )
    if same:
        return same[0]
    holding = [at for at, name in enumerate(folded) if wanted and wanted in name]
    near = [folded.index(name) for name in difflib.get_close_matches(wanted, folded, NEAR)]
    suggested = list(dict.fromkeys(near + sorted(holding, key=lambda at: len(folded[at]))))[:NEAR]
    hint = f"; did you mean {listed(names[suggested])}?" if suggested else ""
    raise InputError(f"the graph has no {node_type} called {text}{hint}")


def listed(texts: Sequence[str]) -> str:
    """Texts side by side."""
    return ", ".join(map(str, texts))
