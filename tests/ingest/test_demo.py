import dataclasses
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import sparse
from sklearn.metrics import average_precision_score, roc_auc_score

import build_demo
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.ingest import demo

SCALE = 0.02
SEED = 7
COLUMNS = [
    "relation", "display_relation",
    "x_index", "x_id", "x_type", "x_name", "x_source",
    "y_index", "y_id", "y_type", "y_name", "y_source",
]  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    return demo.plant_graph(SCALE, SEED)


@pytest.fixture(scope="module")
def table():
    return demo.plant_table(SCALE, SEED)


def texts(table, column):
    return table[column].cast(pa.string()).to_numpy()


def serialised(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def shares(graph, relation, head_facet, tail_facet, shuffle=None):
    heads, tails = graph.edges[relation]
    tails = tails if shuffle is None else shuffle.permutation(tails)
    pairs = graph.mechanisms[head_facet][heads], graph.mechanisms[tail_facet][tails]
    return demo.shares_mechanism(*pairs).mean()


def adjacency(graph, relation):
    spec = next(spec for spec in demo.RELATIONS if spec.relation == relation)
    heads, tails = graph.edges[relation]
    shape = graph.nodes[spec.head_type], graph.nodes[spec.tail_type]
    return sparse.csr_matrix((np.ones(len(heads)), (heads, tails)), shape)


def test_the_counts_at_scale_one_are_those_of_primekg():
    nodes = demo.node_counts(1.0)
    assert sum(nodes.values()) == 129_375
    assert sum(spec.rows for spec in demo.RELATIONS) == 8_100_498
    edges = [demo.edge_count(spec, nodes, 1.0) for spec in demo.RELATIONS]
    assert edges == [spec.rows // 2 for spec in demo.RELATIONS]


def test_a_small_graph_has_proportional_counts_and_every_node(graph, table):
    assert graph.nodes["drug"] == 159
    assert graph.nodes["disease"] == 342
    assert graph.nodes["gene/protein"] == 553
    rows = {
        row["values"]: row["counts"] for row in table["relation"].cast(pa.string()).value_counts().to_pylist()
    }
    assert rows["indication"] == 2 * 188
    assert rows["disease_protein"] == 2 * 1608
    assert rows["drug_drug"] == 2 * (159 * 158 // 2 // 3)  # capped at a third of all pairs
    assert len(rows) == 30
    for node_type, count in graph.nodes.items():
        of_type = table.filter(pc.equal(table["x_type"].cast(pa.string()), node_type))
        assert sorted(set(of_type["x_id"].to_pylist()), key=int) == [str(i + 1) for i in range(count)]


def test_the_columns_are_those_of_kg_csv(table):
    assert table.column_names == COLUMNS
    assert set(texts(table, "x_source")) == {"demo"}
    assert {"drug 0012", "disease 0003"} <= set(texts(table, "x_name"))
    assert "mechanism" not in " ".join(set(texts(table, "x_name")))


def test_the_table_has_every_edge_once_in_each_direction(table):
    relation = texts(table, "relation")
    x, y = table["x_index"].to_pylist(), table["y_index"].to_pylist()
    forward = set(zip(relation, x, y, strict=True))
    assert len(forward) == table.num_rows
    assert forward == set(zip(relation, y, x, strict=True))
    assert not any(head == tail for head, tail in zip(x, y, strict=True))


def test_ids_repeat_across_types_but_type_and_id_identify_a_node(table):
    nodes = set(zip(texts(table, "x_type"), texts(table, "x_id"), table["x_index"].to_pylist(), strict=True))
    count = sum(demo.node_counts(SCALE).values())
    assert len({index for _, _, index in nodes}) == len(nodes) == count
    assert len({node_type_and_id[:2] for node_type_and_id in nodes}) == count
    assert len({node_id for _, node_id, _ in nodes}) < count / 3
    assert {index for _, _, index in nodes} == set(range(count))


def test_a_node_has_the_same_index_type_id_and_name_as_head_and_as_tail(table):
    ends = [
        set(zip(*(texts(table, f"{end}_{key}") for key in ("index", "type", "id", "name")), strict=True))
        for end in "xy"
    ]
    assert ends[0] == ends[1]
    assert len(ends[0]) == sum(demo.node_counts(SCALE).values())


def test_each_relation_has_only_its_two_types(table):
    triples = set(zip(texts(table, "relation"), texts(table, "x_type"), texts(table, "y_type"), strict=True))
    expected = {
        (spec.relation, *ends)
        for spec in demo.RELATIONS
        for ends in [(spec.head_type, spec.tail_type), (spec.tail_type, spec.head_type)]
    }
    assert triples == expected


def test_no_pair_is_in_two_of_the_drug_disease_relations(graph):
    # Small graphs have many of the possible pairs: without the exclusions several of the twenty would fail.
    for planted in [graph, *(demo.plant_graph(0.002, seed) for seed in range(20))]:
        pairs = [
            set(zip(*planted.edges[relation], strict=True))
            for relation in ("indication", "contraindication", "off-label use")
        ]
        assert all(pairs)
        assert len(set.union(*pairs)) == sum(map(len, pairs))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_graph(table):
    assert serialised(demo.plant_table(SCALE, SEED)) == serialised(table)
    assert not demo.plant_table(SCALE, SEED + 1).equals(table)


def test_degrees_are_more_skewed_in_other_relations_than_in_indications(graph):
    def skew(relation):
        degrees = np.asarray(adjacency(graph, relation).sum(axis=0)).ravel()
        return degrees.max() / max(np.median(degrees), 1.0)

    for relation in ("disease_protein", "drug_protein", "bioprocess_protein", "pathway_protein"):
        assert skew(relation) >= 7, relation
    assert skew("indication") < 7


def test_indications_share_a_mechanism_and_shuffled_ones_do_not(graph):
    facets = "drug target", "disease cause"
    assert shares(graph, "indication", *facets) >= 0.85
    assert shares(graph, "indication", *facets, shuffle=np.random.default_rng(0)) < 0.3
    assert shares(graph, "contraindication", *facets) < 0.3
    assert 0.4 < shares(graph, "off-label use", *facets) < shares(graph, "indication", *facets)


def test_contraindications_disturb_a_symptom_and_indications_never_do(graph):
    facets = "drug side effect", "disease symptom"
    assert shares(graph, "contraindication", *facets) >= 0.85
    assert shares(graph, "contraindication", *facets, shuffle=np.random.default_rng(0)) < 0.3
    assert shares(graph, "indication", *facets) == 0


def test_paths_through_genes_predict_indications_and_degrees_hardly_do(graph):
    drugs, diseases = adjacency(graph, "drug_protein"), adjacency(graph, "disease_protein")
    proteins = adjacency(graph, "protein_protein")
    paths = (drugs @ diseases.T + drugs @ (proteins + proteins.T) @ diseases.T).toarray().ravel()
    indicated = adjacency(graph, "indication").toarray().ravel()
    degrees = np.outer(drugs.sum(axis=1), diseases.sum(axis=1)).ravel()
    assert roc_auc_score(indicated, paths) > 0.75
    by_path, by_degree = (average_precision_score(indicated, score) for score in (paths, degrees))
    assert by_path > 3 * by_degree
    assert by_degree < 2 * indicated.mean()


def test_most_diseases_share_genes_with_some_others_but_not_with_most(graph):
    genes = adjacency(graph, "disease_protein")
    shared = (genes @ genes.T).toarray()
    sizes = np.diag(shared)
    jaccard = shared / (sizes[:, None] + sizes[None, :] - shared)
    np.fill_diagonal(jaccard, 0)
    similar = jaccard > 0.1
    assert similar.any(axis=1).mean() > 0.5
    assert similar.mean() < 0.1


@pytest.mark.parametrize("scale", [1e-6, 0.0003, 0.002])
def test_the_smallest_graphs_have_four_nodes_per_type_and_an_edge_per_relation(scale):
    graph = demo.plant_graph(scale, SEED)
    assert min(graph.nodes.values()) == demo.FEWEST_NODES
    for spec in demo.RELATIONS:
        heads, tails = graph.edges[spec.relation]
        assert len(heads) == demo.edge_count(spec, graph.nodes, scale) >= 1
        assert len(set(zip(heads, tails, strict=True))) == len(heads)
        assert heads.max() < graph.nodes[spec.head_type]
        assert tails.max() < graph.nodes[spec.tail_type]


def test_the_number_of_edges_grows_with_scale():
    rows = [demo.plant_table(scale, SEED).num_rows for scale in (0.001, 0.005, 0.02)]
    assert all(3 * smaller < larger for smaller, larger in pairwise(rows))


def test_a_change_to_one_relation_does_not_change_the_others(graph, monkeypatch):
    specs = [
        dataclasses.replace(spec, signal=0.1) if spec.relation == "protein_protein" else spec
        for spec in demo.RELATIONS
    ]
    monkeypatch.setattr(demo, "RELATIONS", tuple(specs))
    changed = demo.plant_graph(SCALE, SEED)
    same = {
        relation
        for relation, ends in graph.edges.items()
        if all(np.array_equal(*pair) for pair in zip(ends, changed.edges[relation], strict=True))
    }
    assert set(graph.edges) - same == {"protein_protein"}


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf")])
def test_the_error_about_an_impossible_scale_names_its_key(scale):
    with pytest.raises(InputError, match=r"demo\.scale is .*; set it to"):
        demo.plant_table(scale, SEED)


def test_the_error_about_a_negative_seed_names_its_key():
    with pytest.raises(InputError, match=r"demo\.seed is -1; set it to"):
        demo.plant_table(SCALE, -1)


def test_the_script_writes_the_planted_table(tmp_path, table):
    path = tmp_path / "demo" / "edges.parquet"
    build_demo.main(edges_out=path, scale=SCALE, seed=SEED)
    written = files.read_table(path)
    assert written.column_names == table.column_names
    for column in COLUMNS:
        assert np.array_equal(texts(written, column), texts(table, column)), column
    first = path.read_bytes()
    build_demo.main(edges_out=path, scale=SCALE, seed=SEED)
    assert path.read_bytes() == first
