"""Reviews of pairs: read from a user's table, shown with candidates, never labels."""

import logging

import planted
import pyarrow as pa
import pytest

import read_reviews
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import pairs, review_tables, reviews

KG = planted.graph(
    {"drug": 4, "gene": 2, "disease": 3},
    [
        ("drug", "indication", "disease", "target", [(0, 0), (1, 1)]),
        ("drug", "contraindication", "disease", "target", [(0, 1)]),
    ],
)
TARGET = planted.TARGET
TABLE = """head_id,tail_id,verdict,why,who,when
drug:1,disease:0,plausible,,AB,2026-11-01
drug:1,disease:0,Implausible,does not enter the brain,CD,2026-11-30
drug:2,disease:0,plausible,,,
drug:3,disease:2,in trial,NCT001,,2026
drug:9,disease:2,plausible,,,
drug:3,disease:1,,forgot,,
"""


def read(folder, text=TABLE, exclude=()):
    (folder / "reviews.csv").write_text(text)
    files.write_table(
        folder / "reviews.parquet", review_tables.read(folder / "reviews.csv", KG, TARGET.types, exclude)
    )
    return reviews.load(folder / "reviews.parquet", exclude)


def listed(*found):
    heads, tails = zip(*found, strict=True)
    return pa.table({"head_id": heads, "tail_id": tails, "score": list(range(len(found)))})


def test_the_last_verdict_on_a_pair_counts_and_what_is_left_out_is_counted(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        found = read(tmp_path).table.to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("drug:1", "disease:0", "Implausible", "does not enter the brain (CD, 2026-11-30)"),
        ("drug:2", "disease:0", "plausible", ""),
        ("drug:3", "disease:2", "in trial", "NCT001 (2026)"),
    ]
    assert "6 rows; 3 pairs reviewed; of nodes that the graph lacks: 1; without a verdict: 1" in caplog.text


def test_candidates_have_the_reviews_behind_their_own_columns(tmp_path):
    rows = read(tmp_path).add(
        listed(("drug:0", "disease:0"), ("drug:3", "disease:2"), ("drug:9", "disease:2"))
    )
    assert rows.column_names == ["head_id", "tail_id", "score", "review", "review_note"]
    assert rows["review"].to_pylist() == ["", "in trial", ""]
    assert rows["review_note"].to_pylist() == ["", "NCT001 (2026)", ""]


def test_pairs_with_an_excluded_verdict_are_left_out_and_all_others_stay(tmp_path):
    found = listed(("drug:1", "disease:0"), ("drug:2", "disease:0"), ("drug:0", "disease:1"))
    rows = read(tmp_path, exclude=("implausible",)).add(found)
    assert rows["score"].to_pylist() == [1, 2]
    assert read(tmp_path).add(found).num_rows == 3


@pytest.mark.parametrize(
    ("text", "exclude", "sentence"),
    [
        ("head_id,tail_id\ndrug:1,disease:0\n", (), "reviews.csv has no column verdict"),
        (
            "head_id,tail_id,verdict\nDB1,MONDO:1,good\n",
            (),
            "has no verdict on a pair of a drug and a disease",
        ),
        (TABLE, ("wrong",), "no review says wrong (reviews.exclude); the verdicts of"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path, text, exclude, sentence):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, exclude)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_review_is_no_label(tmp_path):
    before = pairs.label(KG, TARGET)
    graph_files = GraphFiles.in_folder(tmp_path)
    graph.save(KG, graph_files)
    (tmp_path / "reviews.csv").write_text(TABLE)
    read_reviews.main(
        table=tmp_path / "reviews.csv",
        graph_files=graph_files,
        reviews_out=tmp_path / "reviews.parquet",
        target=TARGET,
        exclude=[],
    )
    assert pairs.label(graph.load(graph_files), TARGET).equals(before)
    assert len(reviews.load(tmp_path / "reviews.parquet", []).table) == 3
