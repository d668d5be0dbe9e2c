"""One node type in the wrong order is seen, and neither degree nor a sparse graph looks like order."""

import communities
import numpy as np
import pytest
from scipy import sparse

from repurpose.gate import neighbourhoods

KG = communities.build()


def planted(noise=0.3, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(communities.COMMUNITIES, 16))
    return {
        t: centres[np.arange(KG.count(t)) % len(centres)] + noise * generator.normal(size=(KG.count(t), 16))
        for t in KG.node_types
    }


def test_every_type_of_planted_vectors_is_nearer_to_its_own():
    found = neighbourhoods.measure(planted(), neighbourhoods.sets(KG), 0)
    assert set(found) == {t for t in KG.node_types if KG.count(t) >= neighbourhoods.LEAST_NODES}
    assert min(each["nearer"] for each in found.values()) > 0.8


@pytest.mark.parametrize("node_type", KG.node_types)
def test_one_type_in_another_order_is_seen_and_the_others_are_as_before(node_type):
    vectors, joined = planted(), neighbourhoods.sets(KG)
    before = neighbourhoods.measure(vectors, joined, 0)
    generator = np.random.default_rng(3)
    after = neighbourhoods.measure(
        vectors | {node_type: generator.permutation(vectors[node_type])}, joined, 0
    )
    assert after[node_type]["nearer"] < 0.7
    assert {t: after[t] for t in after if t != node_type} == {t: before[t] for t in before if t != node_type}


def test_vectors_that_hold_nothing_but_degree_come_to_half():
    """Hubs lie near hubs and share much with them, as they do with any other hub."""
    generator = np.random.default_rng(0)
    degree = np.repeat([4, 8, 16, 32, 64, 128], 100)
    columns = np.concatenate([generator.choice(300, size=d, replace=False) for d in degree])
    heads = np.repeat(np.arange(len(degree)), degree)
    incidence = sparse.csr_array((np.ones(len(heads), np.int64), (heads, columns)), shape=(600, 300))
    rows = np.stack([np.cos(degree), np.sin(degree)], axis=1) + 1e-3 * generator.normal(size=(600, 2))
    assert neighbourhoods.nearer_share(rows, incidence, generator)["nearer"] == pytest.approx(0.5, abs=0.1)


def test_sharing_is_compared_node_by_node():
    """Two hundred pairs of twins, each nearest to its twin: all share more with it than with another."""
    incidence = sparse.csr_array(np.repeat(np.eye(200, dtype=np.int64), 2, axis=0))
    rows = np.repeat(np.random.default_rng(1).normal(size=(200, 40)), 2, axis=0)
    found = neighbourhoods.nearer_share(rows, incidence, np.random.default_rng(0))
    assert found["nodes"] == 400
    assert found["nearer"] > 0.9


def test_nodes_that_share_with_nobody_are_not_asked():
    alone = sparse.csr_array(np.eye(60, dtype=np.int64))
    rows = np.random.default_rng(1).normal(size=(60, 4))
    assert neighbourhoods.nearer_share(rows, alone, np.random.default_rng(0)) is None


def test_a_node_of_like_degree_is_never_the_anchor():
    degree = np.arange(30)
    first, second = (each.ravel() for each in np.meshgrid(np.arange(30), np.arange(30)))
    generator = np.random.default_rng(0)
    for _ in range(20):
        other = neighbourhoods.of_like_degree(first, second, degree, generator)
        assert (other != first).all()
        assert (np.abs(degree[other] - degree[second]) <= 2 * neighbourhoods.LEAST_REACH).all()


def test_only_nodes_that_share_are_asked():
    """Forty nodes in twos, and sixty with an end each that is nobody else's."""
    twos = sparse.csr_array(np.repeat(np.eye(20, dtype=np.int64), 2, axis=0))
    incidence = sparse.csr_array(sparse.block_diag([twos, np.eye(60, dtype=np.int64)]))
    rows = np.random.default_rng(1).normal(size=(100, 4))
    assert neighbourhoods.nearer_share(rows, incidence, np.random.default_rng(0))["nodes"] == 40


def test_the_sets_hold_each_edge_at_both_of_its_ends_and_relations_apart():
    joined = neighbourhoods.sets(KG)
    assert set(joined) == set(KG.node_types)
    assert all(incidence.shape[0] == KG.count(t) for t, incidence in joined.items())
    assert all(set(np.unique(incidence.data)) == {1} for incidence in joined.values())
    edges = {KG.relations[i].relation: (KG.heads[i], KG.tails[i]) for i in KG.of_role("message")}
    both_ways = {(*pair,) for name in ("regulates",) for pair in zip(*edges[name], strict=True)}
    both_ways |= {(tail, head) for head, tail in both_ways}
    genes = sum(len(edges[name][0]) for name in ("disease_gene", "drug_gene"))
    expected = genes + 2 * len(edges["gene_gene"][0]) + len(both_ways)
    assert joined["gene"].nnz == expected
    assert joined["drug"].nnz == len(edges["drug_gene"][0])
