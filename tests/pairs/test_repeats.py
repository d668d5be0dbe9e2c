"""Repeats: candidates of the same ingredient as a known treatment, or known for a parent or child disease."""

import logging

import planted
import pyarrow as pa
import pytest

import find_repeats
from repurpose.candidates.additions import AdditionFiles, added
from repurpose.config.sections import Target
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest.identifiers import Identifiers
from repurpose.pairs import repeat_search, repeats
from repurpose.pairs.repeats import BOTH, HIERARCHY, INGREDIENT

# drug:0 and drug:1 are salts of drug:2; disease:1 is a child of disease:0, and disease:3 one of disease:1.
KG = planted.graph(
    {"drug": 5, "gene": 2, "disease": 4},
    [
        ("drug", "indication", "disease", "target", [(0, 0), (1, 0), (3, 3)]),
        ("drug", "contraindication", "disease", "target", [(2, 2)]),
        ("disease", "is_a", "disease", "message", [(1, 0), (3, 1)]),
    ],
)
TARGET = Target(
    head_type="drug",
    tail_type="disease",
    positive=["indication"],
    negative=["contraindication"],
    hierarchy="is_a",
)
TABLE = "id,ingredient\ndrug:0,drug:2\ndrug:1,drug:2\ndrug:4,other\nDB7,drug:2\n"


def ingredients(folder, text=TABLE, **more):
    (folder / "salts.csv").write_text(text)
    return repeat_search.read_ingredients(folder / "salts.csv", KG, "drug", **more)


def rows(table):
    return {(row["head_id"], row["tail_id"]): (row["kinds"], row["repeats"]) for row in table.to_pylist()}


def name(kind, index):
    return KG.node_names[kind][index]


def test_heads_share_an_ingredient_with_others_and_with_the_ingredient_itself(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        shared = ingredients(tmp_path)
    pairs = set(zip(shared["head"], shared["other"], strict=True))
    assert pairs == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}
    assert (
        "4 rows, of nodes that the graph lacks: 1; 3 of 5 nodes of type drug share an ingredient"
        in caplog.text
    )
    same = Identifiers("same.csv", {"": {"DB7": "drug:4"}})
    assert (4, 2) in set(
        zip(*(ingredients(tmp_path, same=same)[side] for side in ("head", "other")), strict=True)
    )
    with pytest.raises(
        InputError, match=r"has no id of a drug: its column id has A, and ids of the graph look"
    ):
        ingredients(tmp_path, "id,ingredient\nA,B\n")


def test_repeats_are_told_with_the_treatment_that_they_repeat_and_known_treatments_are_none(tmp_path):
    found = rows(repeat_search.find(KG, TARGET, ingredients(tmp_path), "is_a"))
    base = f"{name('drug', 0)}, of the same ingredient (drug:2), is a known treatment"
    parent, child = (f"of {name('disease', place)}, a parent or child by is_a" for place in (0, 3))
    assert found == {
        # drug:0 and drug:1 are known for disease:0 themselves.
        ("drug:2", "disease:0"): (INGREDIENT, base),
        ("drug:0", "disease:1"): (HIERARCHY + BOTH, f"known treatment {parent}"),
        ("drug:1", "disease:1"): (HIERARCHY + BOTH, f"known treatment {parent}"),
        ("drug:2", "disease:1"): (BOTH, f"{base} {parent}"),
        ("drug:3", "disease:1"): (HIERARCHY, f"known treatment {child}"),
    }
    only_parents = rows(repeat_search.find(KG, TARGET, None, "is_a"))
    assert set(only_parents) == {pair for pair, (kinds, _) in found.items() if kinds & HIERARCHY}
    assert set(rows(repeat_search.find(KG, TARGET, ingredients(tmp_path), ""))) == {("drug:2", "disease:0")}


@pytest.mark.parametrize(
    ("excluded", "left"),
    [
        ((), [0, 1, 2, 3, 4]),
        (("ingredient",), [1, 2, 3, 4]),
        (("hierarchy",), [0, 2, 4]),
        (("ingredient", "hierarchy"), [4]),
    ],
)
def test_repeats_of_a_kind_can_be_left_out_and_all_others_stay(tmp_path, excluded, left):
    files.write_table(
        tmp_path / "repeats.parquet", repeat_search.find(KG, TARGET, ingredients(tmp_path), "is_a")
    )
    candidates = pa.table(
        {
            "head_id": ["drug:2", "drug:0", "drug:2", "drug:3", "drug:4"],
            "tail_id": ["disease:0", "disease:1", "disease:1", "disease:1", "disease:1"],
            "number": [0, 1, 2, 3, 4],
        }
    )
    more = AdditionFiles(repeats=tmp_path / "repeats.parquet", excluded={"repeats": excluded})
    table = added(candidates, more.load(KG.node_ids, TARGET.types))
    assert table.column_names == ["head_id", "tail_id", "number", "repeats"]
    assert table["number"].to_pylist() == left
    assert table["repeats"].to_pylist()[-1] == "" and all(table["repeats"].to_pylist()[:-1])


def test_the_script_writes_the_repeats_of_hierarchy_and_table(tmp_path):
    graph_files = GraphFiles.in_folder(tmp_path)
    graph.save(KG, graph_files)
    (tmp_path / "salts.csv").write_text(TABLE)
    out = tmp_path / "repeats.parquet"
    find_repeats.main(
        graph_files=graph_files, repeats_out=out, target=TARGET, ingredients_in=tmp_path / "salts.csv"
    )
    assert repeats.load(out, []).table.num_rows == 5
    find_repeats.main(graph_files=graph_files, repeats_out=out, target=TARGET)
    assert repeats.load(out, []).table.num_rows == 3
