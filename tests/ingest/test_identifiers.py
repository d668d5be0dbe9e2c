"""Other ids of nodes: the graph and all tables that name nodes use one id per node."""

import logging

import numpy as np
import planted
import pyarrow.csv
import pytest
from edge_rows import BASE, COLUMNS, SETTINGS, TARGET, edges, nodes_table, table
from hypothesis import given
from hypothesis import strategies as st

import build_graph
from repurpose.config.sections import AnnotationSettings, GraphSettings
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import annotations, identifiers, ingest
from repurpose.ingest.identifiers import Identifiers
from repurpose.pairs import areas, external, pairs, review_tables

ROWS = [
    ("binds", "drug", "salt", "gene", "1"),
    ("binds", "drug", "base", "gene", "1"),
    ("binds", "drug", "base", "gene", "2"),
    ("resembles", "drug", "salt", "drug", "base"),
    ("indication", "drug", "salt", "disease", "s1"),
    ("binds", "drug", "d1", "gene", "salt"),
]
SAME = Identifiers("same.csv", {"": {"salt": "base"}})


def read(folder, text):
    (folder / "same.csv").write_text(text)
    return identifiers.read(folder / "same.csv")


def built(rows, same=identifiers.NONE, names=None, nodes=None, **changes):
    settings = GraphSettings(**{**SETTINGS, **changes})
    return ingest.build(table(BASE + rows, names), settings, TARGET, nodes, file="kg.csv", same=same)


def test_two_ids_of_one_node_become_one_node_and_every_row_is_accounted_for():
    kg, ledger, _ = built(ROWS, SAME)
    assert kg.node_ids["drug"].tolist() == ["base", "d1"]
    assert kg.node_ids["gene"].tolist() == ["1", "2", "base"]
    assert edges(kg) == edges(
        built(
            [
                ("binds", "drug", "base", "gene", "1"),
                ("binds", "drug", "base", "gene", "2"),
                ("indication", "drug", "base", "disease", "s1"),
                ("binds", "drug", "d1", "gene", "base"),
            ]
        ).kg
    )
    assert (ledger["rows"], ledger["kept"]) == (7, 5)
    assert (ledger["dropped"]["self_loop"], ledger["dropped"]["duplicate"]) == (1, 1)
    expected = {"file": "same.csv", "replaced": 1, "cells": 4, "not_in_the_tables": 0}
    assert ledger["identifiers"] == expected
    assert "identifiers" not in built(ROWS).ledger


def test_with_node_types_only_ids_of_that_type_are_replaced():
    kg, ledger, _ = built(ROWS, Identifiers("same.csv", {"drug": {"salt": "base", "none": "base"}}))
    assert kg.node_ids["drug"].tolist() == ["base", "d1"]
    assert kg.node_ids["gene"].tolist() == ["1", "2", "salt"]
    assert (ledger["identifiers"]["cells"], ledger["identifiers"]["not_in_the_tables"]) == (3, 1)
    with pytest.raises(
        InputError, match="has the node type Drug, which the tables lack; they have disease, drug, gene"
    ):
        built(ROWS, Identifiers("same.csv", {"Drug": {"salt": "base"}}))


def test_a_node_keeps_its_own_name_and_has_the_other_only_if_it_has_none():
    names = {("drug", "salt"): "A salt", ("drug", "base"): "Base"}
    assert built(ROWS, SAME, names).kg.node_names["drug"].tolist() == ["Base", "d1"]
    assert built(ROWS, SAME, {("drug", "salt"): "A salt"}).kg.node_names["drug"].tolist() == ["A salt", "d1"]


def test_a_row_without_an_id_gives_no_node_a_name():
    # Sorted, the empty id of a gene is next to the last id of the type before it.
    rows = [*ROWS, ("binds", "drug", "zinc", "gene", "1"), ("binds", "gene", "", "gene", "2")]
    names = {("drug", "a zinc salt"): "Zinc", ("gene", ""): "nobody"}
    same = Identifiers("same.csv", {"": {"a zinc salt": "zinc", "salt": "base"}})
    kg = built([*rows, ("binds", "drug", "a zinc salt", "gene", "2")], same, names).kg
    assert dict(zip(kg.node_ids["drug"], kg.node_names["drug"], strict=True))["zinc"] == "Zinc"


def test_types_of_the_nodes_table_are_found_by_the_replaced_ids():
    nodes = nodes_table(
        [("drug", "base", "Base"), ("drug", "d1", ""), ("disease", "s1", ""), ("gene", "1", "")]
    )
    columns = {**COLUMNS, "head_type": "", "tail_type": ""}
    rows = [("binds", "drug", "salt", "gene", "1")]
    lost = built(rows, nodes=nodes, columns=columns)
    assert lost.ledger["dropped"]["unknown_node"] == 1
    kg = built(rows, SAME, nodes=nodes, columns=columns).kg
    assert kg.node_ids["drug"].tolist() == ["base", "d1"] and kg.node_names["drug"].tolist() == ["Base", "d1"]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("ghijk"), min_size=1),
    st.lists(st.tuples(st.sampled_from("abcghi"), st.sampled_from("defjk")), min_size=1, max_size=12),
)
def test_the_graph_is_that_of_a_table_with_the_ids_written_anew(same_as, ends):
    rows = [("binds", "gene", one, "gene", other) for one, other in ends]
    written = [
        ("binds", "gene", same_as.get(one, one), "gene", same_as.get(other, other)) for one, other in ends
    ]
    if not set(same_as) & {node_id for pair in ends for node_id in pair}:
        with pytest.raises(InputError, match=r"replaces nothing: kg\.csv has none of its"):
            built(rows, Identifiers("same.csv", {"": same_as}))
        return
    kg, expected = built(rows, Identifiers("same.csv", {"": same_as})).kg, built(written).kg
    assert edges(kg) == edges(expected)
    assert {t: ids.tolist() for t, ids in kg.node_ids.items()} == {
        t: ids.tolist() for t, ids in expected.node_ids.items()
    }


def test_a_chain_of_replacements_ends_at_its_last_id(tmp_path):
    same = read(tmp_path, "id,same_as\na,b\nb,c\nd,d\n x , c \n,y\nz,\n")
    assert same.same_as == {"": {"a": "c", "b": "c", "x": "c"}}
    assert same.replaced("drug", ["a", "x", "other"]).tolist() == ["c", "c", "other"]
    typed = read(tmp_path, "id,same_as,type\na,b,drug\na,c,gene\n")
    assert typed.replaced("drug", ["a"]).tolist() == ["b"] and typed.replaced("gene", ["a"]).tolist() == ["c"]
    assert typed.replaced("disease", ["a"]).tolist() == ["a"]
    assert identifiers.read("").replaced("drug", ["a"]).tolist() == ["a"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,same_as\na,b\na,c\n", r"replaces a by b and by c; leave one of them"),
        ("id,same_as\na,b\nb,c\nc,a\n", r"replaces a by itself, over"),
        ("id,same_as\na,a\n", r"replaces no id: each row needs an id and another id in same_as"),
        ("id,same_as,type\na,b,\n", r"has no type for a; give each row one, or no column type"),
        ("id,other\na,b\n", r"has no column same_as"),
    ],
)
def test_a_table_that_contradicts_itself_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, text)


def test_all_tables_that_name_nodes_use_the_same_ids(tmp_path, caplog):
    kg = planted.graph(
        {"drug": 3, "gene": 1, "disease": 3},
        [
            ("drug", "indication", "disease", "target", [(0, 0)]),
            ("drug", "binds", "gene", "message", [(0, 0)]),
        ],
    )
    same = Identifiers("same.csv", {"": {"DB1": "drug:1", "MONDO:2": "disease:2"}})

    def stored(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    path = stored("about.csv", "id,status\nDB1,approved\nMONDO:2,\ngene:0,\nDB9,\n")
    settings = AnnotationSettings("x", "id", "both", [], "|", [])
    with caplog.at_level(logging.INFO):
        found = annotations.read(path, kg, planted.TARGET, settings, same).to_pylist()
    assert [(row["side"], row["node_index"]) for row in found] == [("head", 1), ("tail", 2)]
    assert "1 ids are of other node types, and the graph lacks 1 (DB9)" in caplog.text

    path = stored("reviews.csv", "head_id,tail_id,verdict\nDB1,MONDO:2,bad\ndrug:1,disease:2,good\n")
    (row,) = review_tables.read(path, kg, planted.TARGET.types, [], same).to_pylist()
    assert (row["head_id"], row["tail_id"], row["review"]) == ("drug:1", "disease:2", "good")

    path = stored("pairs.csv", "head_id,tail_id,label\nDB1,MONDO:2,positive\n")
    columns = {"head": "head_id", "tail": "tail_id", "label": "label"}
    known = pairs.known(kg, *planted.TARGET.types)
    frame = external.read(path, kg, planted.TARGET.types, known, columns, ["positive"], [], same)
    assert frame[["head_index", "tail_index"]].to_numpy().tolist() == [[1, 2]]

    path = stored("areas.csv", "node_id,area\nMONDO:2,heart\ndisease:0,heart\n")
    assert len(np.unique(areas.from_table(path, kg, "disease", same))) == 2
    with pytest.raises(InputError, match="no verdict on a pair"):
        review_tables.read(
            stored("r.csv", "head_id,tail_id,verdict\nDB1,MONDO:2,x\n"), kg, planted.TARGET.types, []
        )


def test_the_script_reports_what_was_replaced(tmp_path, caplog):
    pyarrow.csv.write_csv(table(BASE + ROWS), tmp_path / "kg.csv")
    (tmp_path / "same.csv").write_text("id,same_as\nsalt,base\nnone,base\n")
    out = GraphFiles.in_folder(tmp_path)
    with caplog.at_level(logging.INFO):
        build_graph.main(
            edges=str(tmp_path / "kg.csv"),
            nodes="",
            graph_out=out,
            ledger_out=tmp_path / "ledger.json",
            sources_out=tmp_path / "sources.parquet",
            settings=GraphSettings(**SETTINGS, format="table"),
            target=TARGET,
            identifiers_in=tmp_path / "same.csv",
        )
    assert "same.csv: 1 ids replaced, in 4 cells; 1 of its ids do not occur" in caplog.text
    ids = files.read_table(out.nodes).to_pandas()["node_id"]
    assert "salt" not in ids.tolist()
