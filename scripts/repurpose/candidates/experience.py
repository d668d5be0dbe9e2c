"""Which nodes a classifier has no experience with: little known, or like none that it learned from."""

from collections.abc import Sequence

import numpy as np

from repurpose.graph.graph import Graph

USUAL = 0.8  # share of the nodes learned from that have a relation, from which its absence is worth a word
UNLIKE = 0.05  # share of the nodes learned from that are as unlike all others of these


def cautions(kg: Graph, node_type: str, rows: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """For each node of a type what a reader of its candidates should know, "" for nothing: object (n,).

    rows: (n, d) vectors. learned: numbers of the nodes with a pair that the classifier learned from.
    A node may lack a relation that most of these have; and one that is none of these may be less like any
    of them (cosine) than all but UNLIKE of these are like another.
    """
    if len(learned) < 2:
        return np.full(len(rows), "", object)
    names, has = _relations(kg, node_type)
    usual = [(f"no {name}", ~has[:, at]) for at, name in enumerate(names) if has[learned, at].mean() >= USUAL]
    nearest = _nearest(rows, learned)
    limit = np.quantile(nearest[learned], UNLIKE)
    is_new = ~np.isin(np.arange(len(rows)), learned)
    usual.append((f"like no {node_type} with a known pair", is_new & (nearest < limit)))
    return _joined(usual, len(rows))


def of_both(
    kg: Graph, types: Sequence[str], rows: Sequence[np.ndarray], treated: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    """The cautions of heads and of tails; `treated` are the ends of the pairs learned from."""
    sides = zip(types, rows, treated, strict=True)
    return tuple(cautions(kg, node_type, own, np.unique(nodes)) for node_type, own, nodes in sides)


def _relations(kg: Graph, node_type: str) -> tuple[list[str], np.ndarray]:
    """Message relations of a type, and which nodes have an edge of each: bool (n, relations)."""
    names, columns = [], []
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        if node_type in (relation.head_type, relation.tail_type):
            has = np.zeros(kg.count(node_type), bool)
            for end, nodes in ((relation.head_type, kg.heads[index]), (relation.tail_type, kg.tails[index])):
                if end == node_type:
                    has[nodes] = True
            names.append(relation.relation)
            columns.append(has)
    return names, np.stack(columns, axis=1) if columns else np.zeros((kg.count(node_type), 0), bool)


def _nearest(rows: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """Cosine of each row with the nearest learned one but itself: float32 (n,); -1 where there is none."""
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    directions = (rows / length).astype(np.float32)
    result = np.full(len(rows), -1, np.float32)
    for part in np.array_split(np.arange(len(rows)), len(rows) // 2048 + 1):
        similar = directions[part] @ directions[learned].T
        similar[part[:, None] == learned] = -1
        result[part] = similar.max(axis=1, initial=-1)
    return result


def _joined(words: Sequence[tuple[str, np.ndarray]], count: int) -> np.ndarray:
    """The words that hold for each of `count` nodes, joined; one text for each pattern of them."""
    which = np.stack([holds for _, holds in words], axis=1)
    patterns, pattern = np.unique(which, axis=0, return_inverse=True)
    texts = ["; ".join(words[at][0] for at in np.flatnonzero(row)) for row in patterns]
    return np.array(texts, object)[pattern.ravel()].reshape(count)
