"""Inspecting a table says what it holds and writes an overlay with which the graph is built."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import build_graph
import inspect_edges
from repurpose.config import settings
from repurpose.config.sections import GraphSettings, Target
from repurpose.core.errors import InputError
from repurpose.ingest import inspection

PROJECT = Path(__file__).resolve().parents[2]
ROWS = [
    ("treats", "D1", "Compound", "S1", "Disease"),
    ("treats", "D2", "Compound", "S2", "Disease"),
    ("contraindicated_in", "D3", "Compound", "S2", "Disease"),
    ("palliates", "D3", "Compound", "S1", "Disease"),
    ("binds", "D1", "Compound", "G1", "Gene"),
    ("binds", "D2", "Compound", "G2", "Gene"),
    ("associates", "G1", "Gene", "S1", "Disease"),
    ("associates", "G2", "Gene", "S2", "Disease"),
    ("subclass_of", "S1", "Disease", "S2", "Disease"),
    ("interacts", "G1", "Gene", "G2", "Gene"),
    ("interacts", "G2", "Gene", "G1", "Gene"),
    ("interacts", "G3", "Gene", "G3", "Gene"),
]


def write(path: Path, header: str, rows=ROWS) -> Path:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    lines = [header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


HEADERS = (
    "predicate,subject_id,subject_type,object_id,object_type",
    "metaedge,source,source_type,target,target_type",
    "Relationship,Head,Head_Type,Tail,Tail_Type",
    "rel,from_id,from_category,to_id,to_category",
)


@pytest.mark.parametrize("header", HEADERS)
def test_the_overlay_of_a_table_with_other_column_names_builds_its_graph(tmp_path, header, capsys):
    path = write(tmp_path / "kg.tsv", header)
    inspect_edges.main(edges=str(path), nodes="", overlay=tmp_path / "my.yaml", is_replaced=False)
    config = settings.load([PROJECT / "config" / "config.yaml", tmp_path / "my.yaml"])
    kg, ledger, _ = build_graph.read(
        config["edges"],
        config["nodes"],
        GraphSettings(**config["graph"]),
        Target(**{key: value for key, value in config["target"].items() if key != "hierarchy"}),
    )
    assert ledger["kept"] == 10
    assert {kind.relation for kind in kg.relations if kind.role == "target"} == {
        "treats",
        "contraindicated_in",
    }
    assert config["target"]["hierarchy"] == "subclass_of"
    assert config["graph"]["directed_relations"] == ["subclass_of"]
    assert config["training"]["contrastive"]["relations"] == ["associates"]
    screen = capsys.readouterr().out
    for words in ("12 rows, 10 edges", "self loop", "1 mirrored", "left out of the graph: palliates"):
        assert words in screen


def test_a_large_graph_gets_the_settings_with_which_large_graphs_were_measured(tmp_path, monkeypatch):
    path = str(write(tmp_path / "kg.csv", HEADERS[0]))
    base = PROJECT / "config" / "config.yaml"
    small = inspection.inspect([path], []).overlay
    assert "hgt" not in small and "learning_rate" not in small["training"]
    monkeypatch.setattr(inspection, "LARGE", 6)
    large = inspection.inspect([path], []).overlay
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(large))
    found = settings.load([base, tmp_path / "my.yaml"])
    measured = settings.load([base, tmp_path / "my.yaml", PROJECT / "benchmarks" / "recipe.yaml"])
    assert found == measured and large["training"]["contrastive"] == small["training"]["contrastive"]


def test_types_come_from_the_nodes_table_if_the_edges_have_none(tmp_path):
    path = write(tmp_path / "e.csv", "head,relation,tail", [(row[1], row[0], row[3]) for row in ROWS])
    kinds = {row[1]: row[2] for row in ROWS} | {row[3]: row[4] for row in ROWS}
    nodes = write(tmp_path / "n.csv", "id,kind", list(kinds.items()))
    found = inspection.inspect([str(path)], [str(nodes)])
    assert found.overlay["graph"]["columns"]["head_type"] == ""
    assert found.overlay["target"]["positive"] == ["treats"]
    with pytest.raises(InputError, match="give the nodes table too"):
        inspection.inspect([str(path)], [])


def test_a_relation_that_repeats_treatments_under_other_types_is_left_out(tmp_path):
    treats = [("treats", f"D{i}", "drug", f"S{i}", "disease") for i in range(60)]
    again = [("treats", f"D{i}", "Drug", f"S{i}", "disease") for i in range(60)]
    rows = [*treats, *again, *(("binds", f"D{i}", "drug", f"G{i}", "gene") for i in range(60))]
    path = write(tmp_path / "kg.csv", "relation,x_id,x_type,y_id,y_type", rows)
    found = inspection.inspect([str(path)], [])
    assert found.overlay["graph"]["exclude_relations"] == ["treats (Drug, disease)"]
    assert any("repeat treatments" in note for note in found.notes)


def test_unknown_columns_and_types_are_refused_with_their_names(tmp_path):
    with pytest.raises(InputError, match=r"not recognised \(a, b, c, d, e\)"):
        inspection.inspect([str(write(tmp_path / "a.csv", "a,b,c,d,e"))], [])
    nodes = write(tmp_path / "nodes.csv", "id,category,name", [("D1", "Drug", "a")])
    with pytest.raises(InputError, match=r"looks like a table of nodes .*: give the edges table first"):
        inspection.inspect([str(nodes)], [])
    rows = [("r", "1", "plant", "2", "animal")]
    path = write(tmp_path / "b.csv", "relation,x_id,x_type,y_id,y_type", rows)
    with pytest.raises(InputError, match="plant - r - animal"):
        inspection.inspect([str(path)], [])


def test_what_is_given_is_taken_and_not_guessed(tmp_path):
    rows = [("r1", "1", "plant", "2", "animal"), ("r2", "1", "plant", "2", "animal")]
    rows += [("r3", "2", "animal", "3", "animal"), ("is_a", "3", "animal", "4", "animal")]
    path = write(tmp_path / "kg.csv", "a,b,c,d,e", rows)
    columns = dict(zip(("relation", "head_id", "head_type", "tail_id", "tail_type"), "abcde", strict=True))
    given = {
        "graph": {"columns": {**columns, "head_name": "", "tail_name": ""}, "directed_relations": ["r3"]},
        "target": {"head_type": "plant", "tail_type": "animal", "positive": ["r2"], "negative": []},
    }
    (tmp_path / "given.yaml").write_text(yaml.safe_dump(given))
    options = {"edges": str(path), "nodes": "", "overlay": tmp_path / "my.yaml", "is_replaced": False}
    inspect_edges.main(**options, given=tmp_path / "given.yaml")
    written = yaml.safe_load((tmp_path / "my.yaml").read_text())
    assert written["target"] == given["target"] | {"hierarchy": "is_a"}
    assert written["graph"] == given["graph"]
    (tmp_path / "given.yaml").write_text("target: {head: plant}")
    with pytest.raises(InputError, match=r"target\.head"):
        inspect_edges.main(**options | {"is_replaced": True}, given=tmp_path / "given.yaml")


def test_an_overlay_that_exists_is_kept_unless_it_may_be_replaced(tmp_path, capsys):
    path = write(tmp_path / "kg.csv", HEADERS[0])
    (tmp_path / "my.yaml").write_text("mine")
    options = {"edges": str(path), "nodes": "", "overlay": tmp_path / "my.yaml"}
    with pytest.raises(
        InputError, match=r"not written, because .*my\.yaml exists.* --overlay, or give --repl"
    ):
        inspect_edges.main(**options, is_replaced=False)
    assert "12 rows, 10 edges" in capsys.readouterr().out
    assert (tmp_path / "my.yaml").read_text() == "mine"
    inspect_edges.main(**options, is_replaced=True)
    assert f"--configfile {tmp_path / 'my.yaml'}" in capsys.readouterr().out.splitlines()[-1]
    assert yaml.safe_load((tmp_path / "my.yaml").read_text())["target"]["head_type"] == "Compound"


def test_the_command_prints_one_sentence_about_a_file_that_is_not_there(tmp_path):
    command = [sys.executable, PROJECT / "scripts" / "inspect_edges.py", tmp_path / "none.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "none.csv does not exist" in done.stderr and "Traceback" not in done.stderr
