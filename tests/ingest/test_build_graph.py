import gzip
import json
import logging
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from edge_rows import BASE, SETTINGS, TARGET, edges, is_same, nodes_table, table

import build_graph
from repurpose.config.sections import GraphSettings
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles

OUTPUTS = ("nodes.parquet", "edges.parquet", "relations.json", "ledger.json", "sources.parquet")
ROWS = [*BASE, ("binds", "drug", "d1", "gene", "0012"), ("binds", "gene", "0012", "drug", "d1")]
HETIONET = Path(__file__).parents[3] / "shared" / "hetionet"


def run(folder: Path, edges_file: Path, nodes_file: Path | str = "", **changes) -> graph.Graph:
    """Run the script's main and load what it wrote."""
    paths = GraphFiles.in_folder(folder / "results")
    target = replace(TARGET, **changes.pop("target", {}))
    build_graph.main(
        edges=str(edges_file),
        nodes=str(nodes_file),
        graph_out=paths,
        ledger_out=folder / "results" / "ledger.json",
        sources_out=folder / "results" / "sources.parquet",
        settings=GraphSettings(**{**SETTINGS, **changes}),
        target=target,
    )
    return graph.load(paths)


def write_csv(path: Path, content: pa.Table) -> Path:
    pyarrow.csv.write_csv(content, path)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "results").iterdir())}


def test_the_same_table_as_csv_and_parquet_gives_the_same_graph(tmp_path):
    from_csv = run(tmp_path, write_csv(tmp_path / "t.csv.gz", table(ROWS)))
    pq.write_table(table(ROWS), tmp_path / "t.parquet")
    assert is_same(from_csv, run(tmp_path, tmp_path / "t.parquet"))
    assert edges(from_csv) == {
        ("indication", "drug", "d1", "disease", "s1", False),
        ("binds", "drug", "d1", "gene", "0012", False),
    }


def test_the_ledger_is_written_and_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    edges_file = write_csv(tmp_path / "t.csv", table([*ROWS, ROWS[1]]))
    nodes_file = write_csv(tmp_path / "n.csv", nodes_table([("drug", "d1", "Drug"), ("drug", "d2", "Other")]))
    kg = run(tmp_path, edges_file, nodes_file)
    ledger = json.loads((tmp_path / "results" / "ledger.json").read_text())
    assert (ledger["file"], ledger["rows"], ledger["kept"], ledger["mirrored"]) == (str(edges_file), 4, 2, 1)
    assert ledger["nodes_table"]["file"] == str(nodes_file)
    assert kg.node_names["drug"].tolist() == ["Drug", "Other"]
    for line in ("1 rows dropped of 'binds': duplicate", "1 rows mirrored", "-> binds ->"):
        assert line in caplog.text
    assert "do their types and ids agree" not in caplog.text


def test_a_nodes_table_that_matches_no_node_gives_a_warning(tmp_path, caplog):
    edges_file = write_csv(tmp_path / "t.csv", table(ROWS))
    run(tmp_path, edges_file, write_csv(tmp_path / "n.csv", nodes_table([("drug", "DB1", "Drug")])))
    assert "do their types and ids agree" in caplog.text


def test_the_same_table_gives_the_same_files(tmp_path):
    edges_file = write_csv(tmp_path / "t.csv", table(ROWS))
    run(tmp_path, edges_file)
    before = contents(tmp_path)
    run(tmp_path, edges_file)
    assert contents(tmp_path) == before
    assert set(before) == set(OUTPUTS)


def spoil(path: Path, content: bytes) -> bytes | None:
    """Damage a table in the way that the file name says; returns the new content, None for no file."""
    compressed = gzip.compress(content)
    spoilt = {
        "missing.csv": None,
        "empty.csv": b"",
        "header.csv": content.splitlines(keepends=True)[0],
        "column.csv": content.replace(b"x_id", b"x_ident", 1),
        "fields.csv": content + b"binds,d1\n",
        "bytes.csv": content + b"binds,\xff,,drug,g,,gene\n",
        "cut.csv.gz": compressed[:-9],
        "plain.csv.gz": content,
        "cut.parquet": b"PAR1" + content,
        "loss.csv": content + b"binds,d1,,drug,,,gene\n",
    }
    return spoilt[path.name]


@pytest.mark.parametrize(
    "name",
    [
        "missing.csv",
        "empty.csv",
        "header.csv",
        "column.csv",
        "fields.csv",
        "bytes.csv",
        "cut.csv.gz",
        "plain.csv.gz",
        "cut.parquet",
        "loss.csv",
    ],
)
def test_the_error_names_a_bad_table_and_earlier_results_stay(tmp_path, name):
    good = write_csv(tmp_path / "good.csv", table(ROWS))
    run(tmp_path, good, max_dropped_share=0.1)
    before = contents(tmp_path)
    bad = tmp_path / name
    spoilt = spoil(bad, good.read_bytes())
    if spoilt is not None:
        bad.write_bytes(spoilt)
    with pytest.raises(InputError) as caught:
        run(tmp_path, bad, max_dropped_share=0.1)
    assert str(bad) in str(caught.value)
    assert contents(tmp_path) == before


def test_the_error_names_a_bad_nodes_table(tmp_path):
    edges_file = write_csv(tmp_path / "t.csv", table(ROWS))
    nodes_file = write_csv(tmp_path / "n.csv", table(ROWS))
    with pytest.raises(
        InputError,
        match=r"n\.csv has no columns node_type .graph\.node_columns\.type., .*graph\.node_columns",
    ):
        run(tmp_path, edges_file, nodes_file)


@pytest.mark.skipif(
    not HETIONET.is_dir(), reason=f"{HETIONET} is absent: the table of Hetionet is not part of the project"
)
def test_the_graph_of_hetionet_has_its_published_counts(tmp_path):
    kg = run(
        tmp_path,
        HETIONET / "edges.csv.gz",
        HETIONET / "nodes.csv.gz",
        directed_relations=["gene_regulates_gene"],
        max_dropped_share=0.0,
        target={"head_type": "compound", "positive": ["compound_treats_disease"]},
    )
    by_name = {relation.relation: relation for relation in kg.relations}
    assert len(by_name) == len(kg.relations) == 24
    assert len(kg.node_types) == 11
    assert kg.nodes == 47_031
    assert sum(relation.edges for relation in kg.relations) == 2_119_282
    assert (kg.count("disease"), kg.count("compound")) == (137, 1_552)
    assert [name for name, relation in by_name.items() if relation.directed] == ["gene_regulates_gene"]
    treats, palliates = by_name["compound_treats_disease"], by_name["compound_palliates_disease"]
    assert (treats.edges, treats.role, treats.head_type) == (755, "target", "compound")
    assert (palliates.edges, palliates.role) == (390, "excluded")
    assert len(kg.of_role("message")) == 22
    compound = kg.node_ids["compound"].tolist().index("DB00014")
    assert kg.node_names["compound"][compound] == "Goserelin"
