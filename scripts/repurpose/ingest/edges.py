"""From rows of node numbers to distinct edges: oriented and sorted, with counts of repeated rows."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repurpose.ingest.numbering import Nodes, Rows, encode_numbers


class Edges(NamedTuple):
    """The edges of each relation; relations are sorted by name and types."""

    triples: list[tuple[int, int, int]]  # codes of relation, head type and tail type
    heads: list[np.ndarray]  # per triple int32 (edges,), indices within the head type
    tails: list[np.ndarray]
    tally: np.ndarray  # (triples, 3): numbers of kept, mirrored and duplicate rows


def collect(
    rows: Rows, nodes: Nodes, sound: np.ndarray, directed: Sequence[str], target: tuple[str, str]
) -> Edges:
    """Orient the sound rows, sort them by tail, then head, and keep each edge once.

    sound: bool (rows,), the rows that are edges. directed: names of the relations that keep their
    orientation. target: its head type and its tail type; an edge between them is turned, if necessary, to run
    from the head type to the tail type, directed or not.

    Each row becomes one integer, (offset of its relation + tail * heads + head) * 2 + turned. Sorted, these
    integers have the order of the edges file. Repeated edges are adjacent, with turned rows after the others.
    """
    n_types = np.int64(len(rows.type_values))
    head, tail = (nodes.numbers[end][sound] for end in (0, 1))
    head_type, tail_type = (rows.types[end][sound] for end in (0, 1))
    triple, triples = encode_numbers((rows.relation[sound] * n_types + head_type) * n_types + tail_type)
    turn, turn_by_number = _find_turns(triples, rows, directed, target)
    relation, first, second = triples // n_types**2, triples // n_types % n_types, triples % n_types
    oriented = (relation * n_types + np.where(turn, second, first)) * n_types + np.where(turn, first, second)
    relation_codes, relations = encode_numbers(oriented)
    head_type, tail_type = relations // n_types % n_types, relations % n_types
    counts = np.diff(nodes.starts)
    offsets = np.concatenate([[0], np.cumsum(counts[head_type] * counts[tail_type])])

    turned = turn[triple] | (turn_by_number[triple] & (head > tail))
    head, tail = np.where(turned, tail, head), np.where(turned, head, tail)
    relation = relation_codes[triple]
    head = head - nodes.starts[head_type][relation]
    tail = tail - nodes.starts[tail_type][relation]
    key = (offsets[relation] + tail * counts[head_type][relation] + head) * 2 + turned
    key.sort()
    named = zip((relations // n_types**2).tolist(), head_type.tolist(), tail_type.tolist(), strict=True)
    return Edges(list(named), *_unique_edges(key, offsets, counts[head_type]))


def _find_turns(
    triples: np.ndarray, rows: Rows, directed: Sequence[str], target: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Two masks over the triples of the table: turn all edges; turn edges whose head number > tail number."""
    n_types = len(rows.type_values)
    head, tail = triples // n_types % n_types, triples % n_types
    is_head, is_tail = (np.isin(rows.type_values, [name]) for name in target)
    undirected = ~np.isin(rows.relation_values, list(directed))[triples // n_types**2]
    to_target = is_head[head] & is_tail[tail]
    from_target = is_tail[head] & is_head[tail]
    by_name = undirected & (head > tail)
    return from_target | (by_name & ~to_target), undirected & (head == tail)


def _unique_edges(
    key: np.ndarray, offsets: np.ndarray, n_heads: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    edge = key >> 1
    first = np.flatnonzero(np.diff(edge, prepend=-1))
    last = np.append(first[1:], len(edge)) - 1 if len(edge) else first
    mirrored = np.concatenate([[0], np.cumsum((key[first] ^ key[last]) & 1)])
    rows_until = np.searchsorted(edge, offsets)
    edge = edge[first]
    bounds = np.searchsorted(edge, offsets)
    heads, tails = [], []
    for index, (start, stop) in enumerate(itertools.pairwise(bounds)):
        tail, head = np.divmod(edge[start:stop] - offsets[index], n_heads[index])
        heads.append(head.astype(np.int32))
        tails.append(tail.astype(np.int32))
    kept, turned_back = np.diff(bounds), np.diff(mirrored[bounds])
    return heads, tails, np.stack([kept, turned_back, np.diff(rows_until) - kept - turned_back], axis=1)
