"""Small random graphs, and walks and votes counted one by one, for the tests of metapaths."""

import itertools

import numpy as np

from repurpose.graph.graph import Graph, Relation

SIZES = {"disease": 5, "drug": 6, "gene": 4}
RELATIONS = (
    ("drug", "binds", "gene", False),
    ("disease", "associates", "gene", False),
    ("drug", "resembles", "drug", False),
    ("gene", "regulates", "gene", True),
    ("drug", "treats", "disease", False),
)


def random_graph(seed: int, share: float = 0.4) -> Graph:
    """A graph of SIZES with random edges; `treats` is the target."""
    rng = np.random.default_rng(seed)
    relations, heads, tails = [], [], []
    for head_type, name, tail_type, directed in RELATIONS:
        is_edge = rng.random((SIZES[tail_type], SIZES[head_type])) < share
        if head_type == tail_type:
            is_edge &= (
                ~np.eye(len(is_edge), dtype=bool) if directed else np.tri(len(is_edge), k=-1, dtype=bool)
            )
        tail, head = np.nonzero(is_edge)
        role = "target" if name == "treats" else "message"
        relations.append(Relation(head_type, name, tail_type, len(head), role, directed))
        heads.append(head.astype(np.int32))
        tails.append(tail.astype(np.int32))
    ids = {t: np.array([f"{t}:{index}" for index in range(n)], object) for t, n in SIZES.items()}
    return Graph(tuple(sorted(SIZES)), ids, ids, tuple(relations), tuple(heads), tuple(tails))


def edges_of(kg: Graph) -> dict[str, dict[tuple[str, int], list[tuple[str, int]]]]:
    """For each message relation and direction ("binds", "<binds"): node -> its neighbours."""
    result: dict[str, dict[tuple[str, int], list[tuple[str, int]]]] = {}
    for number, relation in enumerate(kg.relations):
        if relation.role != "message":
            continue
        for head, tail in zip(kg.heads[number].tolist(), kg.tails[number].tolist(), strict=True):
            ends = (relation.head_type, head), (relation.tail_type, tail)
            result.setdefault(relation.relation, {}).setdefault(ends[0], []).append(ends[1])
            backward = relation.relation if relation.is_symmetric else f"<{relation.relation}"
            result.setdefault(backward, {}).setdefault(ends[1], []).append(ends[0])
    return result


def walks_between(kg: Graph, names: tuple[str, ...], head: int, tail: int, damping: float) -> float:
    """The weighted number of walks along relations, each walk made and weighed by itself."""
    neighbours = edges_of(kg)
    reverse = {name: name.removeprefix("<") if name.startswith("<") else f"<{name}" for name in names}
    total = 0.0
    walks = [(("drug", head), 1.0)]
    for name in names:
        backward = neighbours.get(reverse[name]) or neighbours[name]
        walks = [
            (end, weight * (len(neighbours[name][start]) * len(backward[end])) ** -damping)
            for start, weight in walks
            for end in neighbours[name].get(start, [])
        ]
    for end, weight in walks:
        total += weight * (end == ("disease", tail))
    return total


def votes_for(
    kg: Graph,
    known: set[tuple[int, int]],
    by_head: str | None,
    by_tail: str | None,
    pair: tuple[int, int],
    damping: float,
) -> float:
    """The votes for a pair, counted voter by voter; by_head, by_tail: relation, None for the node itself."""
    of_heads = {head: sum(pair[0] == head for pair in known) for head, _ in known}
    of_tails = {tail: sum(pair[1] == tail for pair in known) for _, tail in known}
    neighbours = edges_of(kg)

    def alike(node_type: str, name: str | None, first: int, second: int) -> float:
        if name is None:
            return float(first == second)
        if first == second:
            return 0.0
        own, other = (neighbours[name].get((node_type, node), []) for node in (first, second))
        back = neighbours.get(f"<{name}") or neighbours[name]
        if name == "resembles":
            return (len(own) * len(other)) ** -damping if (node_type, second) in own else 0.0
        return sum(
            (len(own) * len(other)) ** -damping * len(back[end]) ** (-2 * damping)
            for end in set(own) & set(other)
        )

    return sum(
        alike("drug", by_head, pair[0], head)
        * (of_heads[head] * of_tails[tail]) ** -damping
        * alike("disease", by_tail, tail, pair[1])
        for head, tail in known
    )


PAIRS = list(itertools.product(range(SIZES["drug"]), range(SIZES["disease"])))
