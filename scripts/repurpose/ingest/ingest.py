"""From a raw edges table to the graph, with a ledger that counts what became of every row."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from repurpose.config.sections import GraphSettings, Target
from repurpose.core.errors import InputError
from repurpose.graph import leaks
from repurpose.graph.graph import Graph, Relation
from repurpose.ingest import edge_sources, edges, identifiers, ledger, numbering, spellings
from repurpose.ingest.identifiers import Identifiers
from repurpose.ingest.numbering import Nodes, Rows


class Built(NamedTuple):
    """A graph, its ledger and the table that says where its edges come from (edge_sources.SCHEMA)."""

    kg: Graph
    ledger: dict[str, Any]
    sources: pa.Table


def build(
    table: pa.Table,
    settings: GraphSettings,
    target: Target,
    nodes_table: pa.Table | None = None,
    *,
    file: str = "the edges table",
    nodes_file: str = "the nodes table",
    files: Sequence[tuple[str, int]] = (),
    faults: Mapping[str, np.ndarray] | None = None,
    stops_at_leaks: bool = True,
    same: Identifiers = identifiers.NONE,
) -> Built:
    """Build the graph and its ledger from an edges table and an optional nodes table.

    The tables have text columns with the names in `settings`. files: name and number of rows of each file, if
    the edges table was several. faults: see ledger.outcomes. stops_at_leaks: whether a relation that repeats
    target pairs under other types is an error. same: ids that are replaced by others. Every node that a row
    gives with type and id is in the graph, even if the row itself is dropped. Relations between the target's
    types run from the head type to the tail type, directed or not, because they become pairs. The order of
    rows does not matter.

    Raises InputError that names `file` if settings or target name something that the table lacks, if a
    relation loses more than `max_dropped_share` of its rows, or if a relation that would stay in the graph
    repeats target pairs under other types.
    """
    columns, node_columns = vars(settings.columns), vars(settings.node_columns)
    rows = numbering.encode(table, columns, nodes_table, node_columns, settings.missing, same)
    _require_replaced(rows, same, file)
    if faults and "repeated_header" in faults:
        _empty(rows, faults["repeated_header"])
    missing_cells = ledger.count_missing(table, columns, settings.missing, file)
    if nodes_table is not None:
        missing_cells += ledger.count_missing(
            nodes_table, node_columns, settings.missing, nodes_file, sides=[""]
        )
    _check_relation_names(rows.relation_values, settings, target, file)
    listed, usable = _type_masks(rows, settings.node_types, file)
    nodes = numbering.number(rows, usable)
    outcome = ledger.outcomes(rows, nodes, listed, faults, settings.columns.has_types)
    ends = (target.head_type, target.tail_type)
    counts = [count for _, count in files]
    sound = outcome == ledger.SOUND
    distinct = edges.collect(rows, nodes, sound, settings.directed_relations, ends, counts)
    sources = edge_sources.none()
    of_sources = edge_sources.named(settings.columns, table.column_names)
    if of_sources:
        placed, _ = edges.place(rows, nodes, sound, settings.directed_relations, ends)
        sources = edge_sources.collect(table, of_sources, sound, placed)
    entries = ledger.entries(rows, outcome, distinct)
    ledger.check_losses(entries, settings.max_dropped_share, file, ledger.missing_note(missing_cells, file))
    kg = _make_graph(rows, nodes, distinct, settings, target)
    _check_target(kg, target, file)
    _check_triples(kg, rows.relation_values, settings, file)
    overlaps = leaks.find_overlaps(kg, target)
    if stops_at_leaks:
        leaks.check(overlaps, settings.keep_relations, settings.exclude_relations, file)
    account = {"file": file, **ledger.totals(entries)}
    account["files"] = ledger.file_entries(files, outcome, distinct)
    account |= {"nodes": {name: kg.count(name) for name in kg.node_types}, "relations": entries}
    account["missing"] = missing_cells
    if same.file:
        account["identifiers"] = ledger.identifiers_entry(rows, same)
    overlap_warnings = leaks.warnings(overlaps, settings.keep_relations)
    account["warnings"] = [
        *ledger.missing_warnings(missing_cells),
        *spellings.warnings(kg, target, file),
        *overlap_warnings,
    ]
    if nodes_table is not None:
        account["warnings"] += spellings.unused_types(rows, nodes, usable, file, nodes_file)
        account["nodes_table"] = {"file": nodes_file, **ledger.nodes_entry(rows, nodes, listed, usable)}
    return Built(kg, account, sources)


def count_triples(
    table: pa.Table, settings: GraphSettings, nodes_table: pa.Table | None = None
) -> dict[tuple[str, str, str], int]:
    """The number of rows of each (relation, head type, tail type), as the rows have them."""
    columns, node_columns = vars(settings.columns), vars(settings.node_columns)
    rows = numbering.encode(table, columns, nodes_table, node_columns, settings.missing)
    n_types = np.int64(len(rows.type_values))
    is_whole = (rows.relation >= 0) & (rows.types[0] >= 0) & (rows.types[1] >= 0)
    codes = (rows.relation * n_types + rows.types[0]) * n_types + rows.types[1]
    found, counts = np.unique(codes[is_whole], return_counts=True)
    return {
        (
            rows.relation_values[code // n_types**2],
            rows.type_values[code // n_types % n_types],
            rows.type_values[code % n_types],
        ): count
        for code, count in zip(found.tolist(), counts.tolist(), strict=True)
    }


def _require_replaced(rows: Rows, same: Identifiers, file: str) -> None:
    """Raise InputError if there is a table of identifiers and no id is replaced."""
    if same.file and not rows.replaced:
        ids = [node_id for of_type in same.same_as.values() for node_id in of_type]
        raise InputError(
            f"{same.file} (graph.identifiers) replaces nothing: {file} has none of its {len(ids):,} ids, "
            f"such as {ids[0]}; its ids look like {rows.id_values[0]}"
        )


def _empty(rows: Rows, is_header: np.ndarray) -> None:
    """Empty the cells of repeated headers, which are no nodes."""
    rows.relation[is_header] = -1
    for end in (0, 1):
        for codes in (rows.types[end], rows.ids[end], rows.names[end]):
            codes[is_header] = -1


def _type_masks(rows: Rows, node_types: Sequence[str], file: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks (types + 1,) over type codes: listed by graph.node_types; listed and also in the edges table.

    The last element of both is False, because the code -1 (no type) points to it.
    """
    in_edges = np.zeros(len(rows.type_values) + 1, dtype=bool)
    in_edges[rows.types[0]] = in_edges[rows.types[1]] = True
    edge_types = [name for name, is_used in zip(rows.type_values, in_edges, strict=False) if is_used]
    for name in node_types:
        if name not in edge_types:
            raise InputError(
                f"graph.node_types lists {name}, a type that {file} does not have: "
                f"choose from {_listing(edge_types)}"
            )
    listed = np.append(np.isin(rows.type_values, list(node_types) or rows.type_values), False)
    return listed, listed & in_edges


def _make_graph(
    rows: Rows, nodes: Nodes, distinct: edges.Edges, settings: GraphSettings, target: Target
) -> Graph:
    spans = {
        name: slice(start, stop)
        for name, start, stop in zip(rows.type_values, nodes.starts[:-1], nodes.starts[1:], strict=True)
        if start < stop
    }
    relations = []
    for (code, head, tail), heads, turned in zip(
        distinct.triples, distinct.heads, distinct.turned.tolist(), strict=True
    ):
        name, head_type, tail_type = (
            rows.relation_values[code],
            rows.type_values[head],
            rows.type_values[tail],
        )
        is_target_type = target.connects(head_type, tail_type)
        if is_target_type:
            role = "target" if name in (*target.positive, *target.negative) else "excluded"
        else:
            is_excluded = leaks.is_listed(name, head_type, tail_type, settings.exclude_relations)
            role = "excluded" if is_excluded else "message"
        directed = name in settings.directed_relations and not is_target_type
        relations.append(Relation(head_type, name, tail_type, len(heads), role, directed, turned))
    return Graph(
        tuple(spans),
        {name: nodes.ids[span] for name, span in spans.items()},
        {name: nodes.names[span] for name, span in spans.items()},
        tuple(relations),
        tuple(distinct.heads),
        tuple(distinct.tails),
    )


def _check_relation_names(names: Sequence[str], settings: GraphSettings, target: Target, file: str) -> None:
    for name in settings.directed_relations:
        if name not in names:
            raise _no_relation("directed_relations", name, names, file)
    ends = target.head_type, target.tail_type
    for name in (*target.positive, *target.negative):
        if leaks.is_listed(name, *ends, settings.exclude_relations):
            raise InputError(
                f"{name} is in graph.exclude_relations and in target: take it out of one of them"
            )


def require_messages(kg: Graph, target: Target, file: str) -> None:
    """Raise InputError if no relation is left to learn from."""
    if kg.of_role("message"):
        return
    between = f"{target.head_type} and {target.tail_type}"
    raise InputError(
        f"no relation of {file} is left to learn from: all of its edges connect {between} or are in "
        "graph.exclude_relations; add relations of other nodes, such as drug targets and disease genes"
    )


def _check_triples(kg: Graph, names: Sequence[str], settings: GraphSettings, file: str) -> None:
    """Raise InputError unless each entry of the two keys is a relation's name, alone or with its types."""
    triples = [(relation.relation, relation.head_type, relation.tail_type) for relation in kg.relations]
    for key in ("exclude_relations", "keep_relations"):
        for entry in getattr(settings, key):
            if entry not in names and not any(leaks.is_listed(*triple, [entry]) for triple in triples):
                similar = [leaks.triple(*triple) for triple in triples if entry.startswith(f"{triple[0]} (")]
                raise _no_relation(key, entry, similar or names, file)


def _no_relation(key: str, name: str, names: Sequence[str], file: str) -> InputError:
    return InputError(
        f"graph.{key} lists {name}, a relation that {file} does not have: choose from {_listing(names)}"
    )


def _check_target(kg: Graph, target: Target, file: str) -> None:
    for key in ("head_type", "tail_type"):
        if getattr(target, key) not in kg.node_types:
            raise InputError(
                f"target.{key} is {getattr(target, key)}, a type of which the graph of {file} has no node: "
                f"choose from {_listing(kg.node_types)}"
            )
    target_relations = [
        relation.relation
        for relation in kg.relations
        if target.connects(relation.head_type, relation.tail_type)
    ]
    between = f"between {target.head_type} and {target.tail_type}"
    for key in ("positive", "negative"):
        for name in getattr(target, key):
            if target_relations and name not in target_relations:
                none = ", or write target: {negative: []} for none" if key == "negative" else ""
                raise InputError(
                    f"target.{key} lists {name!r}, which {file} does not have {between}: "
                    f"choose from {_listing(target_relations)}{none}"
                )
            if not target_relations:
                triples = [
                    f"{relation.relation} ({relation.head_type}, {relation.tail_type})"
                    for relation in kg.relations
                ]
                raise InputError(
                    f"{file} has no relation {between}, not {name} of target.{key} either: "
                    f"choose the target from its relations, {_listing(triples)}"
                )


def _listing(names: Sequence[str]) -> str:
    """All names, or the first thirty and the number of the others."""
    shown = ", ".join(sorted(names)[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
