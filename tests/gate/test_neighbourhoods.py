"""A node type in the wrong order is detected; degree alone or a sparse graph give no false signal."""

import communities
import numpy as np
import pytest
from scipy import sparse

from repurpose.gate import neighbourhoods

KG = communities.build()


def planted_vectors(noise=0.3, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(communities.COMMUNITIES, 16))
    return {
        t: centres[np.arange(KG.count(t)) % len(centres)] + noise * generator.normal(size=(KG.count(t), 16))
        for t in KG.node_types
    }


def test_planted_vectors_of_every_type_are_near_nodes_with_shared_neighbours():
    measured = neighbourhoods.measure(planted_vectors(), neighbourhoods.neighbour_sets(KG), 0)
    assert set(measured) == {t for t in KG.node_types if KG.count(t) >= neighbourhoods.MIN_NODES}
    assert min(row["nearer"] for row in measured.values()) > 0.8


@pytest.mark.parametrize("node_type", KG.node_types)
def test_one_type_in_another_order_is_detected_and_the_others_do_not_change(node_type):
    vectors, sets_by_type = planted_vectors(), neighbourhoods.neighbour_sets(KG)
    before = neighbourhoods.measure(vectors, sets_by_type, 0)
    generator = np.random.default_rng(3)
    after = neighbourhoods.measure(
        vectors | {node_type: generator.permutation(vectors[node_type])}, sets_by_type, 0
    )
    assert after[node_type]["nearer"] < 0.7
    assert {t: after[t] for t in after if t != node_type} == {t: before[t] for t in before if t != node_type}


def test_vectors_that_hold_only_degree_give_one_half():
    """Hubs lie near hubs and share many neighbours with them, but as many with any other hub."""
    generator = np.random.default_rng(0)
    degree = np.repeat([4, 8, 16, 32, 64, 128], 100)
    columns = np.concatenate([generator.choice(300, size=d, replace=False) for d in degree])
    heads = np.repeat(np.arange(len(degree)), degree)
    incidence = sparse.csr_array((np.ones(len(heads), np.int64), (heads, columns)), shape=(600, 300))
    rows = np.stack([np.cos(degree), np.sin(degree)], axis=1) + 1e-3 * generator.normal(size=(600, 2))
    assert neighbourhoods.nearer_share(rows, incidence, generator)["nearer"] == pytest.approx(0.5, abs=0.1)


def test_sharing_is_compared_node_by_node():
    """200 pairs of nodes with equal rows and one shared neighbour; no other nodes share one."""
    incidence = sparse.csr_array(np.repeat(np.eye(200, dtype=np.int64), 2, axis=0))
    rows = np.repeat(np.random.default_rng(1).normal(size=(200, 40)), 2, axis=0)
    share = neighbourhoods.nearer_share(rows, incidence, np.random.default_rng(0))
    assert share["nodes"] == 400
    assert share["nearer"] > 0.9


def test_without_shared_neighbours_there_is_no_share():
    incidence = sparse.csr_array(np.eye(60, dtype=np.int64))
    rows = np.random.default_rng(1).normal(size=(60, 4))
    assert neighbourhoods.nearer_share(rows, incidence, np.random.default_rng(0)) is None


def test_a_degree_matched_node_is_never_the_first_node():
    degree = np.arange(30)
    first, second = (grid.ravel() for grid in np.meshgrid(np.arange(30), np.arange(30)))
    generator = np.random.default_rng(0)
    for _ in range(20):
        matched = neighbourhoods.draw_degree_matched(first, second, degree, generator)
        assert (matched != first).all()
        assert (np.abs(degree[matched] - degree[second]) <= 2 * neighbourhoods.MIN_REACH).all()


def test_only_nodes_that_share_a_neighbour_are_counted():
    """40 nodes in pairs that share a neighbour, and 60 nodes whose only neighbour no other node has."""
    pairs = sparse.csr_array(np.repeat(np.eye(20, dtype=np.int64), 2, axis=0))
    incidence = sparse.csr_array(sparse.block_diag([pairs, np.eye(60, dtype=np.int64)]))
    rows = np.random.default_rng(1).normal(size=(100, 4))
    assert neighbourhoods.nearer_share(rows, incidence, np.random.default_rng(0))["nodes"] == 40


def test_the_sets_have_each_edge_at_both_ends_and_columns_for_each_relation():
    sets_by_type = neighbourhoods.neighbour_sets(KG)
    assert set(sets_by_type) == set(KG.node_types)
    assert all(incidence.shape[0] == KG.count(t) for t, incidence in sets_by_type.items())
    assert all(set(np.unique(incidence.data)) == {1} for incidence in sets_by_type.values())
    edges = {KG.relations[i].relation: (KG.heads[i], KG.tails[i]) for i in KG.of_role("message")}
    both_ways = {(*pair,) for name in ("regulates",) for pair in zip(*edges[name], strict=True)}
    both_ways |= {(tail, head) for head, tail in both_ways}
    gene_edges = sum(len(edges[name][0]) for name in ("disease_gene", "drug_gene"))
    expected = gene_edges + 2 * len(edges["gene_gene"][0]) + len(both_ways)
    assert sets_by_type["gene"].nnz == expected
    assert sets_by_type["drug"].nnz == len(edges["drug_gene"][0])
