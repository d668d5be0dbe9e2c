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
    tally: np.ndarray  # (triples, files, 3): numbers of kept, mirrored and duplicate rows
    turned: np.ndarray  # (triples,): whether most rows have the tail of the edge first


class Placed(NamedTuple):
    """The edge of each sound row: position of its relation in `triples`, indices of head and tail."""

    triples: list[tuple[int, int, int]]  # as in Edges
    relation: np.ndarray
    head: np.ndarray
    tail: np.ndarray


def collect(
    rows: Rows,
    nodes: Nodes,
    sound: np.ndarray,
    directed: Sequence[str],
    target: tuple[str, str],
    file_rows: Sequence[int] = (),
) -> Edges:
    """Orient the sound rows, sort them by tail, then head, and keep each edge once.

    sound: bool (rows,), the rows that are edges. file_rows: the number of rows of each file, if there are
    several; an edge that several files have counts as kept for the first. directed: names of the relations
    that keep their orientation. target: its head type and its tail type; an edge between them is turned, if
    necessary, to run from the head type to the tail type, directed or not.

    Each row becomes an integer, ((offset of its relation + tail * heads + head) * 2 + turned) * files + file.
    Sorted, these integers have the order of the edges file. Repeated edges are adjacent, with turned rows
    after the others.
    """
    n_files = max(1, len(file_rows))
    placed, turned = place(rows, nodes, sound, directed, target)
    relation, head, tail = placed.relation, placed.head, placed.tail
    head_type, tail_type = np.array(placed.triples, dtype=np.int64).reshape(-1, 3).T[1:]
    counts = np.diff(nodes.starts)
    offsets = np.concatenate([[0], np.cumsum(counts[head_type] * counts[tail_type])])
    key = (offsets[relation] + tail * counts[head_type][relation] + head) * 2 + turned
    if n_files > 1:
        key = key * n_files + np.repeat(np.arange(n_files), file_rows)[sound]
    key.sort()
    mostly = 2 * np.bincount(relation, turned) > np.bincount(relation)
    mostly &= head_type != tail_type
    return Edges(placed.triples, *_unique_edges(key, offsets, counts[head_type], n_files), mostly)


def place(
    rows: Rows, nodes: Nodes, sound: np.ndarray, directed: Sequence[str], target: tuple[str, str]
) -> tuple[Placed, np.ndarray]:
    """The edge of each sound row, and whether the row has it turned: bool (sound rows,); see `collect`."""
    n_types = np.int64(len(rows.type_values))
    head, tail = (nodes.numbers[end][sound] for end in (0, 1))
    head_type, tail_type = (rows.types[end][sound] for end in (0, 1))
    triple, triples = encode_numbers((rows.relation[sound] * n_types + head_type) * n_types + tail_type)
    turn, turn_by_number = _find_turns(triples, rows, directed, target)
    relation, first, second = triples // n_types**2, triples // n_types % n_types, triples % n_types
    oriented = (relation * n_types + np.where(turn, second, first)) * n_types + np.where(turn, first, second)
    relation_codes, relations = encode_numbers(oriented)
    head_type, tail_type = relations // n_types % n_types, relations % n_types

    turned = turn[triple] | (turn_by_number[triple] & (head > tail))
    head, tail = np.where(turned, tail, head), np.where(turned, head, tail)
    relation = relation_codes[triple]
    head = head - nodes.starts[head_type][relation]
    tail = tail - nodes.starts[tail_type][relation]
    named = zip((relations // n_types**2).tolist(), head_type.tolist(), tail_type.tolist(), strict=True)
    return Placed(list(named), relation, head, tail), turned


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
    key: np.ndarray, offsets: np.ndarray, n_heads: np.ndarray, n_files: int
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    edge = key // (2 * n_files)
    is_kept = np.diff(edge, prepend=-1) != 0
    turned = (key // n_files & 1).astype(bool)
    # Of an edge that stands in both directions, the first row of the second direction.
    is_mirrored = ~is_kept & turned & ~np.roll(turned, 1)
    heads, tails = [], []
    tally = np.zeros((len(n_heads), n_files, 3), dtype=np.int64)
    for index, (start, stop) in enumerate(itertools.pairwise(np.searchsorted(edge, offsets).tolist())):
        span = slice(start, stop)
        tail, head = np.divmod(edge[span][is_kept[span]] - offsets[index], n_heads[index])
        heads.append(head.astype(np.int32))
        tails.append(tail.astype(np.int32))
        if n_files == 1:
            counts = np.array([is_kept[span].sum(), is_mirrored[span].sum(), stop - start])[None]
        else:
            file = key[span] % n_files
            counts = np.stack(
                [
                    np.bincount(file[mask], minlength=n_files)
                    for mask in (is_kept[span], is_mirrored[span], slice(None))
                ],
                axis=1,
            )
        tally[index] = counts
        tally[index, :, 2] -= counts[:, 0] + counts[:, 1]
    return heads, tails, tally
