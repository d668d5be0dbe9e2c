import pytest
from edge_rows import BASE, SETTINGS, TARGET, build, nodes_table, refusal, table

from repurpose.config.sections import GraphSettings
from repurpose.core.errors import InputError
from repurpose.ingest import ingest


@pytest.mark.parametrize("key", ["directed_relations", "exclude_relations"])
def test_a_relation_that_the_table_lacks_is_refused_in_the_settings(key):
    sentence = refusal(("binds", "drug", "d1", "gene", "1"), **{key: ["bind"]})
    assert f"graph.{key} lists bind" in sentence
    assert "binds, indication" in sentence


def test_a_listed_type_that_the_table_lacks_is_refused():
    sentence = refusal(node_types=["drug", "disease", "genes"])
    assert "genes" in sentence
    assert "disease, drug" in sentence


def test_a_type_that_is_only_in_the_nodes_table_cannot_be_listed():
    nodes = nodes_table([("plant", "p", "")])
    assert "plant" in refusal(nodes=nodes, node_types=["drug", "disease", "plant"])


@pytest.mark.parametrize("key", ["head_type", "tail_type"])
def test_a_target_type_without_nodes_is_refused(key):
    sentence = refusal(target={key: "compound"})
    assert f"target.{key} is compound" in sentence
    assert "disease, drug" in sentence


def test_a_target_type_that_is_not_listed_is_refused():
    assert "target.tail_type" in refusal(("binds", "drug", "d1", "gene", "1"), node_types=["drug", "gene"])


def test_equal_target_types_are_refused():
    assert "two node types" in refusal(target={"tail_type": "drug"})


@pytest.mark.parametrize("key", ["positive", "negative"])
def test_the_error_about_a_missing_target_relation_lists_the_existing_ones(key):
    rows = [("off_label", "disease", "s1", "drug", "d1"), ("binds", "drug", "d1", "gene", "1")]
    for name in ("indicated", "binds"):
        sentence = refusal(*rows, target={key: [name]})
        assert f"target.{key} lists '{name}'" in sentence
        assert "indication, off_label" in sentence
        assert ("write target: {negative: []} for none" in sentence) == (key == "negative")
    build(rows, target={key: ["off_label"]})


def test_the_error_about_target_types_without_edges_lists_all_relations():
    sentence = refusal(
        ("binds", "drug", "d1", "gene", "1"), target={"tail_type": "gene", "head_type": "disease"}
    )
    assert "no relation between disease and gene" in sentence
    assert "binds (drug, gene)" in sentence


def test_a_target_relation_cannot_be_excluded():
    assert "graph.exclude_relations and in target" in refusal(exclude_relations=["indication"])


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_table_without_any_relation_type_or_id_is_refused(column):
    rows = [tuple("" if i in (column, column + 2 * (column > 0)) else cell for i, cell in enumerate(BASE[0]))]
    with pytest.raises(InputError, match="loses 100 %"):
        ingest.build(table(rows), GraphSettings(**{**SETTINGS, "max_dropped_share": 0.5}), TARGET)
    with pytest.raises(InputError, match="target"):
        ingest.build(table(rows), GraphSettings(**SETTINGS), TARGET)
