"""The best paths are those that an exhaustive search finds."""

from itertools import product

import numpy as np
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.graph import paths

SIZES = {"drug": 5, "gene": 6, "disease": 4}


def random_graph(seed):
    rng = np.random.default_rng(seed)

    def edges(count, heads, tails):
        drawn = {(int(rng.integers(heads)), int(rng.integers(tails))) for _ in range(count)}
        return sorted(drawn)

    inner = [(a, b) for a, b in edges(7, 6, 6) if a < b]
    return planted.graph(
        SIZES,
        [
            ("drug", "binds", "gene", "message", edges(8, 5, 6)),
            ("drug", "inhibits", "gene", "message", edges(5, 5, 6)),
            ("gene", "interacts", "gene", "message", inner),
            ("disease", "has", "gene", "message", edges(8, 4, 6)),
            ("disease", "resembles", "disease", "message", [(0, 1), (1, 2)]),
            ("drug", "indication", "disease", "target", [(0, 0), (1, 1), (2, 2)]),
        ],
    )


def triples(kg):
    """(start, relation, end, forward, weight) of every message edge in both directions, by plain loops."""
    edges = []
    for index, offset in zip(kg.of_role("message"), kg.offsets(), strict=True):
        relation = kg.relations[index]
        ends = list(
            zip((kg.heads[index] + offset[0]).tolist(), (kg.tails[index] + offset[1]).tolist(), strict=True)
        )
        symmetric = relation.is_symmetric
        for head, tail in ends:
            degree = [
                sum((a == node) + (b == node) if symmetric else (a, b)[side] == node for a, b in ends)
                for side, node in ((0, head), (1, tail))
            ]
            weight = (degree[0] * degree[1]) ** -paths.DAMPING
            edges += [(head, index, tail, True, weight), (tail, index, head, False, weight)]
    return edges


def every_path(kg, start, end):
    edges_of = {}
    for edge in triples(kg):
        edges_of.setdefault(edge[0], []).append(edge)
    complete = []

    def walk(walked):
        node = walked[-1][2] if walked else start
        if walked and node == end:
            complete.append(walked)
            return
        if len(walked) < paths.LONGEST:
            for edge in edges_of.get(node, []):
                if edge[2] not in {start, *(earlier[2] for earlier in walked)}:
                    walk([*walked, edge])

    walk([])
    result = [
        (
            float(np.prod([edge[4] for edge in walked])),
            (start, *(edge[2] for edge in walked)),
            tuple(edge[1] for edge in walked),
            tuple(edge[3] for edge in walked),
        )
        for walked in complete
    ]
    return sorted(result, key=lambda path: (-path[0], path[1], path[2]))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_best_paths_are_those_of_a_full_search(seed):
    kg = random_graph(seed)
    network = paths.network(kg)
    starts = np.arange(5) + kg.span("drug").start
    for disease in range(4):
        end = kg.span("disease").start + disease
        for start, best in zip(starts, paths.best(network, starts, end, 50), strict=True):
            expected = every_path(kg, int(start), end)
            assert {path[1:] for path in expected} == {tuple(path[1:]) for path in best}
            assert [path.score for path in best] == pytest.approx([path[0] for path in expected], rel=1e-5)


def test_only_the_requested_number_of_best_paths_is_returned():
    kg = random_graph(3)
    network, end = paths.network(kg), kg.span("disease").start
    starts = np.arange(5) + kg.span("drug").start
    many, few = (paths.best(network, starts, end, count) for count in (50, 2))
    assert max(map(len, many)) > 2
    for longer, shorter in zip(many, few, strict=True):
        assert [path.score for path in shorter] == pytest.approx([path.score for path in longer[:2]])


def test_no_path_contains_a_known_pair():
    kg = random_graph(5)
    network = paths.network(kg)
    target = {index for index, relation in enumerate(kg.relations) if relation.role != "message"}
    assert target and not target & set(network.relation.tolist())


def test_a_hub_scores_less_than_a_rare_neighbour():
    """Drug 0 reaches the disease through a gene of its own, drug 1 through a gene that four drugs share."""
    edges = [(0, 0), (1, 1), *((drug, 1) for drug in range(2, 5))]
    kg = planted.graph(
        SIZES,
        [
            ("drug", "binds", "gene", "message", edges),
            ("disease", "has", "gene", "message", [(0, 0), (0, 1)]),
        ],
    )
    start = kg.span("drug").start
    best = paths.best(paths.network(kg), np.array([start, start + 1]), kg.span("disease").start, 3)
    assert [len(of_drug) for of_drug in best] == [1, 1]
    assert best[0][0].score == pytest.approx(2**-paths.DAMPING)
    assert best[1][0].score == pytest.approx((4 * 2) ** -paths.DAMPING)
    assert best[0][0].forward == (True, False)


def test_a_node_without_edges_has_no_path():
    kg = planted.graph(SIZES, [("drug", "binds", "gene", "message", [(0, 0)])])
    network = paths.network(kg)
    for start, end in product((0, 3), (kg.span("disease").start,)):
        assert paths.best(network, np.array([start]), end, 3) == [[]]


def test_the_leading_path_is_the_one_whose_removal_lowers_the_score_most():
    changes = [{"change": -0.1}, {"change": -0.5}, {"change": 2.0}]
    assert paths.leading(changes) is changes[1]
    unknown = [{"change": None}, {"change": None}]
    assert paths.leading(unknown) is unknown[0] and paths.leading([]) is None
    # If no removal lowers the score, the first path leads, which has the best path score.
    gains = [{"change": 0.0}, {"change": 0.2}]
    assert paths.leading(gains) is gains[0]
