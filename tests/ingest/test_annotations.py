"""Annotations of drugs and diseases: read from a user's table, shown with candidates, and filtered by."""

import json
import logging

import numpy as np
import planted
import pyarrow as pa
import pytest

import find_chosen
import read_annotations
from repurpose.config.sections import AnnotationSettings
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import annotations, graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import annotations as reader

KG = planted.graph(
    {"drug": 5, "gene": 2, "disease": 3},
    [
        ("drug", "binds", "gene", "message", [(0, 0)]),
        ("drug", "indication", "disease", "target", [(0, 0), (1, 1)]),
    ],
)
TARGET = planted.TARGET
TABLE = """id,name,status,route,price
drug:0,Zero,approved,oral|intravenous,3
drug:1,One,Approved,oral,20
drug:2,Two,withdrawn,intravenous,
drug:3,Three,investigational,,7
disease:1,Illness,,,
gene:0,A gene,,,1
drug:77,Nobody,approved,oral,1
"""


def settings(**changes):
    given = {"table": "x", "id": "id", "of": "both", "columns": [], "separator": "|", "only": []}
    return AnnotationSettings(**{**given, **changes})


def read(folder, text=TABLE, **changes):
    """The annotations of a table, by way of the file that the workflow keeps."""
    path, kept = folder / "about.csv", folder / "annotations.parquet"
    path.write_text(text)
    files.write_table(kept, reader.read(path, KG, TARGET, settings(**changes)))
    return annotations.load(kept, KG.node_ids, TARGET.types)


def test_columns_are_those_with_a_text_and_the_log_counts_what_belongs_to_no_drug_or_disease(
    tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        about = read(tmp_path)
    assert about.columns == ["head_status", "head_route", "head_price"]
    assert about.texts["head"]["status"].tolist() == [
        "approved",
        "Approved",
        "withdrawn",
        "investigational",
        "",
    ]
    assert (
        "7 rows; annotated: 4 of type drug, 1 of type disease; 1 ids are of other node types" in caplog.text
    )
    assert "the graph lacks 1 (drug:77)" in caplog.text


def test_candidates_have_the_texts_of_their_ends_behind_their_own_columns(tmp_path):
    text = "node,kind\ndrug:1,small\ndisease:2,rare\n"
    about = read(tmp_path, text, id="node")
    pairs = pa.table({"head_id": ["drug:1", "drug:4"], "tail_id": ["disease:2", "disease:0"]})
    rows = about.add(pairs)
    assert rows.column_names == ["head_id", "tail_id", "head_kind", "tail_kind"]
    assert rows["head_kind"].to_pylist() == ["small", ""] and rows["tail_kind"].to_pylist() == ["rare", ""]
    assert [field.name for field in about.fields] == about.columns


def test_several_rows_of_a_node_are_joined_and_equal_values_are_not_repeated(tmp_path):
    text = "id,route,status\ndrug:0,oral,approved\ndrug:0,nasal,approved\ndrug:0,,approved\ndrug:2,oral,\n"
    about = read(tmp_path, text)
    assert about.texts["head"]["route"].tolist() == ["oral|nasal", "", "oral", "", ""]
    assert about.texts["head"]["status"].tolist() == ["approved", "", "", "", ""]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["head_status=approved"], [0, 1]),
        (["head_route=ORAL"], [0, 1]),
        (["head_route=intravenous"], [0, 2]),
        (["head_status=approved", "head_route=intravenous"], [0]),
        (["head_status=withdrawn", "head_status=investigational"], [2, 3]),
        (["head_status = withdrawn "], [2]),
    ],
)
def test_conditions_on_one_column_are_alternatives_and_on_several_must_all_hold(tmp_path, only, expected):
    chosen = read(tmp_path).chosen(only, TARGET.types)
    assert {side: nodes.tolist() for side, nodes in chosen.items()} == {"head": expected}


def test_without_a_separator_a_cell_has_one_value(tmp_path):
    about = read(tmp_path, separator="")
    assert about.chosen(["head_route=oral|intravenous"], TARGET.types)["head"].tolist() == [0]


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        (
            ["head_status=aproved"],
            "no drug has aproved as head_status (annotations.only); the values are app",
        ),
        (
            ["head_state=approved"],
            "names head_state, but the columns are head_status, head_route, head_price",
        ),
        (["tail_status=approved"], "annotations.only names tail_status, but the columns are"),
        (
            ["head_status=withdrawn", "head_route=oral"],
            "leaves no drug: none of 5 has head_status withdrawn and head_route oral; leave out a condition",
        ),
    ],
)
def test_a_condition_that_nothing_fulfils_is_one_sentence(tmp_path, only, sentence):
    with pytest.raises(InputError) as caught:
        read(tmp_path).chosen(only, TARGET.types)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "changes", "sentence"),
    [
        (TABLE, {"id": "identifier"}, "about.csv has no column identifier"),
        (TABLE, {"columns": ["colour"]}, "about.csv has no column colour"),
        (TABLE, {"columns": ["name"]}, "annotations.columns names name, which candidates have already"),
        ("id\ndrug:0\n", {}, "has no column but id; add one to show"),
        ("id,status\nDB1,x\nDB2,y\n", {}, "has no id of a drug or a disease: its column id has DB1, DB2"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path, text, changes, sentence):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, **changes)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_the_scripts_restrict_the_ranking_to_named_nodes_that_fulfil_the_conditions(tmp_path):
    graph_files = GraphFiles.in_folder(tmp_path)
    graph.save(KG, graph_files)
    (tmp_path / "about.csv").write_text(TABLE)
    kept, chosen = tmp_path / "annotations.parquet", tmp_path / "chosen.json"
    read_annotations.main(
        table=tmp_path / "about.csv",
        graph_files=graph_files,
        annotations_out=kept,
        target=TARGET,
        settings=settings(),
    )

    def found(heads, only):
        options = {"graph_files": graph_files, "annotations_in": kept, "chosen_out": chosen}
        find_chosen.main(**options, target=TARGET, heads=heads, tails=[], only=only)
        return json.loads(chosen.read_text())

    assert found([], ["head_status=approved"]) == {"heads": [0, 1], "tails": None}
    assert found(["drug:1", "drug:2"], ["head_status=approved"]) == {"heads": [1], "tails": None}
    assert found(["drug:1", "drug:2"], []) == {"heads": [1, 2], "tails": None}
    with pytest.raises(InputError, match=r"none of the nodes in candidates\.heads has what annotations"):
        found(["drug:2"], ["head_status=approved"])


def test_an_id_of_two_types_needs_a_word_on_whose_it_is(tmp_path):
    shared = planted.graph({"drug": 2, "disease": 2}, [("drug", "indication", "disease", "target", [(0, 0)])])
    shared.node_ids["disease"][1] = shared.node_ids["drug"][1]
    (tmp_path / "t.csv").write_text("id,status\ndrug:1,approved\n")
    with pytest.raises(InputError, match=r"has the id drug:1, which a drug and a disease have: say with"):
        reader.read(tmp_path / "t.csv", shared, TARGET, settings())
    for side in ("head", "tail"):
        table = reader.read(tmp_path / "t.csv", shared, TARGET, settings(of=side))
        assert table["side"].to_pylist() == [side]


def test_a_node_without_a_row_has_no_value(tmp_path):
    about = read(tmp_path)
    assert about.texts["head"]["status"][4] == ""
    everything = np.unique(about.texts["head"]["status"].astype(str)).tolist()
    of_all = [f"head_status={value}" for value in everything if value]
    assert 4 not in about.chosen(of_all, TARGET.types)["head"]
