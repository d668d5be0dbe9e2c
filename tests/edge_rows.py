"""Small edges tables as lists of rows, for the tests of the graph stage."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from repurpose.config.sections import GraphSettings, Target
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import ingest

COLUMNS = {
    "relation": "relation",
    "head_id": "x_id",
    "head_type": "x_type",
    "head_name": "x_name",
    "tail_id": "y_id",
    "tail_type": "y_type",
    "tail_name": "y_name",
}
NODE_COLUMNS = {"type": "node_type", "id": "node_id", "name": "node_name"}
SETTINGS = {
    "columns": COLUMNS,
    "node_columns": NODE_COLUMNS,
    "directed_relations": [],
    "exclude_relations": [],
    "keep_relations": [],
    "node_types": [],
    "missing": ["nan", "NaN", "None", "null", "NULL", "<NA>"],
    "max_dropped_share": 1.0,
}
TARGET = Target(head_type="drug", tail_type="disease", positive=["indication"], negative=[])
# A graph needs at least one edge of the target.
BASE = [("indication", "drug", "d1", "disease", "s1")]

TYPES = ["disease", "drug", "gene", ""]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["indication", "binds", "regulates", ""]),
        st.sampled_from(TYPES),
        st.sampled_from(["1", "2", "s1", ""]),
        st.sampled_from(TYPES),
        st.sampled_from(["1", "2", "s1", ""]),
    ),
    max_size=25,
)

Row = tuple[str, str, str, str, str]  # relation, head type, head id, tail type, tail id


def table(rows: list[Row], names: dict[tuple[str, str], str] | None = None) -> pa.Table:
    """The rows as an edges table; a node that is not in `names` has an empty name."""
    names = names or {}
    cells = [
        (
            relation,
            head,
            names.get((head_type, head), ""),
            head_type,
            tail,
            names.get((tail_type, tail), ""),
            tail_type,
        )
        for relation, head_type, head, tail_type, tail in rows
    ]
    order = ("relation", "head_id", "head_name", "head_type", "tail_id", "tail_name", "tail_type")
    columns = zip(*cells, strict=True) if cells else [()] * len(order)
    return pa.table(
        {COLUMNS[key]: pa.array(column, pa.string()) for key, column in zip(order, columns, strict=True)}
    )


def nodes_table(rows: list[tuple[str, str, str]]) -> pa.Table:
    """Rows of (type, id, name) as a nodes table."""
    return pa.table(
        {NODE_COLUMNS[key]: column for key, column in zip(NODE_COLUMNS, zip(*rows, strict=True), strict=True)}
    )


def build(
    rows: list[Row], *, nodes: pa.Table | None = None, target: dict[str, Any] | None = None, **settings: Any
) -> tuple[Graph, dict[str, Any]]:
    """Build the graph and the ledger of BASE and the rows."""
    built = ingest.build(
        table([*BASE, *rows]),
        GraphSettings(**{**SETTINGS, **settings}),
        replace(TARGET, **(target or {})),
        nodes,
        file="edges.csv",
        nodes_file="nodes.csv",
    )
    return built.kg, built.ledger


def edges(kg: Graph) -> set[tuple[str, str, str, str, str, bool]]:
    """The edges of a graph: (relation, head type, head id, tail type, tail id, is directed)."""
    return {
        (
            relation.relation,
            relation.head_type,
            kg.node_ids[relation.head_type][head],
            relation.tail_type,
            kg.node_ids[relation.tail_type][tail],
            relation.directed,
        )
        for relation, heads, tails in zip(kg.relations, kg.heads, kg.tails, strict=True)
        for head, tail in zip(heads, tails, strict=True)
    }


def is_same(first: Graph, second: Graph) -> bool:
    """True if two graphs are equal in every array, name and count; `turned` tells only how they are shown."""
    relations = [[replace(kind, turned=False) for kind in graph.relations] for graph in (first, second)]
    return (
        first.node_types == second.node_types
        and relations[0] == relations[1]
        and all(list(first.node_ids[t]) == list(second.node_ids[t]) for t in first.node_types)
        and all(list(first.node_names[t]) == list(second.node_names[t]) for t in first.node_types)
        and all((a == b).all() for a, b in zip(first.heads, second.heads, strict=True))
        and all((a == b).all() for a, b in zip(first.tails, second.tails, strict=True))
    )


def turned(row: Row) -> Row:
    """The row with head and tail exchanged."""
    relation, head_type, head, tail_type, tail = row
    return relation, tail_type, tail, head_type, head


def triples(kg: Graph) -> dict[tuple[str, str, str], str]:
    """The role of each (head type, relation, tail type)."""
    return {
        (relation.head_type, relation.relation, relation.tail_type): relation.role
        for relation in kg.relations
    }


def entry(ledger: dict[str, Any], relation: str) -> dict:
    """The ledger's entry for a relation name."""
    return next(entry for entry in ledger["relations"] if entry["relation"] == relation)


def refusal(*rows: Row, **changes: Any) -> str:
    """The sentence of the InputError that BASE and the rows raise."""
    with pytest.raises(InputError) as caught:
        build(list(rows), **changes)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def warned(ledger: dict[str, Any]) -> list[str]:
    """The warnings of a ledger without those on names that look like slips, which small graphs have."""
    slips = ("fewer than 3 nodes", "differ from another one", "in spelling only")
    return [sentence for sentence in ledger["warnings"] if not any(words in sentence for words in slips)]
