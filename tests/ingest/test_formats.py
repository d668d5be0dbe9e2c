"""One graph written in every format gives the same nodes, indices and edges as the plain table."""

import gzip
import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import build_graph
from repurpose.config.sections import EdgeColumns, GraphSettings, NodeColumns, Target
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest.formats import node_types

HETIONET = Path(__file__).parents[3] / "shared" / "hetionet"
TARGET = Target(head_type="drug", tail_type="disease", positive=["treats"], negative=[])
DIRECTED = ["regulates"]
NAMES = ("relation", "x_type", "x_id", "y_type", "y_id")


@pytest.fixture(scope="module")
def edges() -> pd.DataFrame:
    """A small random graph, one row per edge; ids of two types overlap."""
    generator = np.random.default_rng(0)
    kinds = [
        ("treats", "drug", "disease", 12),
        ("binds", "drug", "gene", 40),
        ("associates", "disease", "gene", 40),
        ("interacts", "gene", "gene", 30),
        ("regulates", "gene", "gene", 30),
    ]
    rows = [
        (relation, head, str(generator.integers(100, 130)), tail, str(generator.integers(110, 140)))
        for relation, head, tail, count in kinds
        for _ in range(count)
    ]
    frame = pd.DataFrame(rows, columns=list(NAMES)).drop_duplicates()
    return frame[(frame["x_type"] != frame["y_type"]) | (frame["x_id"] != frame["y_id"])]


@pytest.fixture(scope="module")
def nodes(edges) -> pd.DataFrame:
    """All nodes with names; one of them has no edge."""
    ends = [edges[[f"{end}_type", f"{end}_id"]].set_axis(["type", "id"], axis=1) for end in "xy"]
    frame = pd.concat(ends).drop_duplicates().sort_values(["type", "id"])
    frame = pd.concat([frame, pd.DataFrame([("gene", "999")], columns=["type", "id"])])
    return frame.assign(name=frame["type"] + ' "no" ' + frame["id"])


def build(
    edges_tables: Path | str | list, nodes_tables: Path | str | list = "", target: Target = TARGET, **changes
) -> tuple[Graph, dict]:
    """The graph of the tables, with settings that differ from the default."""
    settings = replace(GraphSettings(directed_relations=changes.pop("directed", DIRECTED)), **changes)
    texts = [
        [str(path) for path in tables] if isinstance(tables, list) else str(tables)
        for tables in (edges_tables, nodes_tables)
    ]
    kg, ledger, _ = build_graph.read(*texts, settings, target)
    for entry in (ledger, *ledger["relations"], *ledger["files"]):
        used = entry["kept"] + entry["mirrored"] + entry["excluded"] + sum(entry["dropped"].values())
        assert entry["rows"] == used
    return kg, ledger


def plain(folder: Path, edges: pd.DataFrame, nodes: pd.DataFrame) -> Graph:
    """The graph of the tables as PrimeKG has them."""
    names = nodes.set_index(["type", "id"])["name"]
    table = edges.copy()
    for end in "xy":
        table[f"{end}_name"] = names.loc[
            list(zip(edges[f"{end}_type"], edges[f"{end}_id"], strict=True))
        ].to_numpy()
    table.to_csv(folder / "edges.csv", index=False)
    renamed = nodes.rename(columns={name: f"node_{name}" for name in ("type", "id", "name")})
    renamed.to_csv(folder / "nodes.csv", index=False)
    return build(folder / "edges.csv", folder / "nodes.csv")[0]


def assert_same(kg: Graph, other: Graph, *, has_names: bool = True) -> None:
    """Assert that two graphs have the same nodes, indices and edges."""
    assert kg.node_types == other.node_types
    for node_type in kg.node_types:
        assert kg.node_ids[node_type].tolist() == other.node_ids[node_type].tolist()
        if has_names:
            assert kg.node_names[node_type].tolist() == other.node_names[node_type].tolist()
    assert kg.relations == other.relations
    for first, second in zip((*kg.heads, *kg.tails), (*other.heads, *other.tails), strict=True):
        np.testing.assert_array_equal(first, second)


# ---- writers: each returns the config's edges, nodes and other keys ----


def curie(frame: pd.DataFrame, end: str) -> pd.Series:
    """Ids that are unique over all types."""
    return frame[f"{end}type"] + ":" + frame[f"{end}id"]


def kgx_frames(edges: pd.DataFrame, nodes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of nodes and edges in KGX; the plain graph must have CURIEs as ids."""
    table = pd.DataFrame({"id": curie(nodes, ""), "category": nodes["type"], "name": nodes["name"]})
    links = pd.DataFrame(
        {
            "id": [f"e{i}" for i in range(len(edges))],
            "subject": curie(edges, "x_"),
            "predicate": edges["relation"],
            "object": curie(edges, "y_"),
            "primary_knowledge_source": "infores:x",
        }
    )
    return table, links


def tsv(frame: pd.DataFrame, header: bool = True) -> bytes:
    """A tab-separated table without quotes, as most programs of the field write it."""
    lines = ["\t".join(frame.columns)] * header
    lines += ["\t".join(row) for row in frame.astype(str).to_numpy()]
    return ("\n".join(lines) + "\n").encode()


def kgx_two_files(folder, edges, nodes):
    table, links = kgx_frames(edges, nodes)
    (folder / "kg_nodes.tsv").write_bytes(tsv(table))
    (folder / "kg_edges.tsv").write_bytes(tsv(links))
    return folder / "kg_edges.tsv", folder / "kg_nodes.tsv", {}


def kgx_folder(folder, edges, nodes):
    kgx_two_files(folder, edges, nodes)
    (folder / "README.md").write_text("not a table")
    (folder / "._kg_edges.tsv").write_text("what a Mac leaves")
    return folder, "", {}


def kgx_tar(folder, edges, nodes):
    table, links = kgx_frames(edges, nodes)
    with tarfile.open(folder / "kg.tar.gz", "w:gz") as archive:
        for name, frame in (("kg/merged-kg_nodes.tsv", table), ("kg/merged-kg_edges.tsv", links)):
            entry = tarfile.TarInfo(name)
            entry.size = len(tsv(frame))
            archive.addfile(entry, io.BytesIO(tsv(frame)))
    return folder / "kg.tar.gz", "", {}


def kgx_zip(folder, edges, nodes):
    table, links = kgx_frames(edges, nodes)
    with zipfile.ZipFile(folder / "kg.zip", "w") as archive:
        archive.writestr("nodes.tsv", tsv(table))
        archive.writestr("edges.tsv", tsv(links))
        archive.writestr("__MACOSX/._edges.tsv", b"x")
    return folder / "kg.zip", "", {}


def kgx_json_lines(folder, edges, nodes):
    table, links = kgx_frames(edges, nodes)
    table = table.assign(category=[[name, "biolink:NamedThing"] for name in table["category"]])
    links = links.assign(publications=[["PMID:1", "PMID:2"]] * len(links), negated=False)
    (folder / "nodes.jsonl").write_text(table.to_json(orient="records", lines=True))
    with gzip.open(folder / "edges.jsonl.gz", "wt") as file:
        file.write(links.to_json(orient="records", lines=True))
    return folder / "edges.jsonl.gz", folder / "nodes.jsonl", {}


def drkg(folder, edges, nodes):
    relation = "SOURCE::" + edges["relation"] + "::" + edges["x_type"] + ":" + edges["y_type"]
    frame = pd.DataFrame({"h": prefixed(edges, "x_"), "r": relation, "t": prefixed(edges, "y_")})
    (folder / "drkg.tsv").write_bytes(tsv(frame, header=False))
    directed = relation[edges["relation"].isin(DIRECTED)].unique().tolist()
    positive = relation[edges["relation"] == "treats"].unique().tolist()
    return folder / "drkg.tsv", "", {"directed": directed, "target": replace(TARGET, positive=positive)}


def prefixed(frame: pd.DataFrame, end: str) -> pd.Series:
    """Ids with their type in front."""
    return frame[f"{end}type"] + "::" + frame[f"{end}id"]


def sif(folder, edges, nodes):
    frame = pd.DataFrame(
        {"source": prefixed(edges, "x_"), "metaedge": edges["relation"], "target": prefixed(edges, "y_")}
    )
    with gzip.open(folder / "edges.sif.gz", "wb") as file:
        file.write(tsv(frame))
    table = pd.DataFrame({"id": prefixed(nodes, ""), "name": nodes["name"], "kind": nodes["type"]})
    (folder / "nodes.tsv").write_bytes(tsv(table))
    return folder / "edges.sif.gz", folder / "nodes.tsv", {}


def without_header(folder, edges, nodes):
    frame = edges[["x_type", "x_id", "relation", "y_id", "y_type"]]
    (folder / "edges.tsv").write_bytes(tsv(frame, header=False))
    (folder / "nodes.tsv").write_bytes(tsv(nodes[["id", "type", "name"]], header=False))
    columns = EdgeColumns(
        relation=3, head_id=2, head_type=1, head_name="", tail_id=4, tail_type=5, tail_name=""
    )
    node_columns = NodeColumns(type=2, id=1, name=3)
    return folder / "edges.tsv", folder / "nodes.tsv", {"columns": columns, "node_columns": node_columns}


def several_files(folder, edges, nodes):
    paths = []
    for number, part in enumerate(np.array_split(np.arange(len(edges)), 3)):
        rows = edges.iloc[part]
        path = folder / f"{number}.{('csv', 'tsv', 'parquet')[number]}"
        if path.suffix == ".parquet":
            rows.to_parquet(path)
        else:
            rows.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
        paths.append(path)
    (folder / "nodes.tsv").write_bytes(tsv(nodes))
    columns = EdgeColumns(head_name="", tail_name="")
    node_columns = NodeColumns(type="type", id="id", name="name")
    return paths, folder / "nodes.tsv", {"columns": columns, "node_columns": node_columns}


def openke(folder, edges, nodes):
    ids = {name: number for number, name in enumerate(prefixed(nodes, "").sample(frac=1, random_state=0))}
    relations = {name: number for number, name in enumerate(edges["relation"].unique())}
    (folder / "entity2id.txt").write_text(f"{len(ids)}\n" + "".join(f"{n}\t{i}\n" for n, i in ids.items()))
    (folder / "relation2id.txt").write_text(
        f"{len(relations)}\n" + "".join(f"{n}\t{i}\n" for n, i in relations.items())
    )
    rows = [
        f"{ids[head]} {ids[tail]} {relations[relation]}\n"
        for head, tail, relation in zip(
            prefixed(edges, "x_"), prefixed(edges, "y_"), edges["relation"], strict=True
        )
    ]
    for name, part in (
        ("train2id.txt", rows[:50]),
        ("valid2id.txt", rows[50:60]),
        ("test2id.txt", rows[60:]),
    ):
        (folder / name).write_text(f"{len(part)}\n" + "".join(part))
    return folder, "", {}


def ogb(folder, edges, nodes):
    numbers = {}
    for node_type, rows in nodes.groupby("type"):
        ids = rows["id"].sample(frac=1, random_state=1).tolist()
        numbers |= {(node_type, node_id): number for number, node_id in enumerate(ids)}
        path = folder / "mapping" / f"{node_type}_entidx2name.csv.gz"
        path.parent.mkdir(exist_ok=True)
        with gzip.open(path, "wt") as file:
            file.write("ent idx,ent name\n" + "".join(f"{i},{node_id}\n" for i, node_id in enumerate(ids)))
    for (relation, head, tail), rows in edges.groupby(["relation", "x_type", "y_type"]):
        path = folder / "raw" / "relations" / f"{head}___{relation}___{tail}" / "edge.csv.gz"
        path.parent.mkdir(parents=True)
        lines = [
            f"{numbers[head, x]},{numbers[tail, y]}\n"
            for x, y in zip(rows["x_id"], rows["y_id"], strict=True)
        ]
        with gzip.open(path, "wt") as file:
            file.write("".join(lines))
    return folder, "", {}


WRITERS = (
    kgx_two_files,
    kgx_folder,
    kgx_tar,
    kgx_zip,
    kgx_json_lines,
    drkg,
    sif,
    without_header,
    several_files,
)
WRITERS += (openke, ogb)
WITH_CURIES = (kgx_two_files, kgx_folder, kgx_tar, kgx_zip, kgx_json_lines)
WITHOUT_NODES = (drkg, openke, ogb)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_the_same_graph_in_every_format_has_the_same_nodes_indices_and_edges(tmp_path, edges, nodes, writer):
    for name in ("plain", "other"):
        (tmp_path / name).mkdir()
    if writer in WITH_CURIES:
        plain_edges = edges.assign(x_id=curie(edges, "x_"), y_id=curie(edges, "y_"))
        plain_nodes = nodes.assign(id=curie(nodes, ""))
    else:
        plain_edges, plain_nodes = edges, nodes
    if writer in WITHOUT_NODES:
        plain_nodes = plain_nodes[plain_nodes["id"] != "999"]
    kg = plain(tmp_path / "plain", plain_edges, plain_nodes)
    tables, nodes_tables, changes = writer(tmp_path / "other", edges, nodes)
    other, ledger = build(tables, nodes_tables, **changes)
    if writer is drkg:
        relations = [replace(kind, relation=kind.relation.split("::")[1]) for kind in other.relations]
        other = replace(other, relations=tuple(relations))
    assert_same(kg, other, has_names=writer not in WITHOUT_NODES)
    assert ledger["kept"] == len(edges)
    if writer is several_files:
        assert [entry["rows"] for entry in ledger["files"]] == [
            len(part) for part in np.array_split(edges, 3)
        ]


def test_a_graph_that_lacks_an_edge_is_not_the_same(tmp_path, edges, nodes):
    kg = plain(tmp_path, edges, nodes)
    with pytest.raises(AssertionError):
        assert_same(kg, plain(tmp_path, edges.iloc[1:], nodes))


# ---- what the formats leave out, and say ----


def kgx_tables(folder: Path, links: list[dict], table: list[dict]) -> tuple[Path, Path]:
    """A KGX graph as tsv, with empty cells where a row lacks a key."""
    paths = folder / "edges.tsv", folder / "nodes.tsv"
    for path, rows in zip(paths, (links, table), strict=True):
        path.write_bytes(tsv(pd.DataFrame(rows).fillna("")))
    return paths


NODES = [
    {"id": "D1", "category": "biolink:Drug|biolink:ChemicalEntity|biolink:NamedThing"},
    {"id": "D2", "category": "biolink:NamedThing|biolink:ChemicalEntity|biolink:Drug"},
    {"id": "C3", "category": "biolink:ChemicalEntity|biolink:NamedThing"},
    {"id": "S1", "category": "biolink:NamedThing\x1fbiolink:Disease"},
    {"id": "S2", "category": "biolink:Disease"},
]
LINKS = [
    {"subject": "D1", "predicate": "biolink:treats", "object": "S1", "primary_knowledge_source": "infores:a"},
    {"subject": "D1", "predicate": "biolink:treats", "object": "S1", "primary_knowledge_source": "infores:b"},
    {"subject": "D2", "predicate": "biolink:treats", "object": "S2", "negated": "True"},
    {
        "subject": "D2",
        "predicate": "biolink:treats",
        "object": "S1",
        "negated": "0",
        "publications": "PMID:7",
    },
    {"subject": "C3", "predicate": "biolink:affects", "object": "D9"},
    {
        "subject": "C3",
        "predicate": "biolink:affects",
        "object": "D2",
        "object_direction_qualifier": "down",
    },
]
BIOLINK = Target(
    head_type="biolink:Drug", tail_type="biolink:Disease", positive=["biolink:treats"], negative=[]
)


def test_kgx_leaves_out_negated_edges_and_unknown_nodes_and_keeps_where_edges_come_from(tmp_path):
    paths = map(str, kgx_tables(tmp_path, LINKS, NODES))
    kg, ledger, sources = build_graph.read(*paths, GraphSettings(max_dropped_share=0.5), BIOLINK)
    assert ledger["format"] == "kgx"
    counts = {name: count for name, count in ledger["dropped"].items() if count}
    assert counts == {"negated": 1, "unknown_node": 1, "duplicate": 1}
    assert (ledger["rows"], ledger["kept"]) == (6, 3)
    names = [kind.relation for kind in kg.relations]
    said = [
        (names[row["relation_index"]], row["source"], row["publications"], row["qualifiers"])
        for row in sources.to_pylist()
    ]
    assert said == [
        ("biolink:affects", "", "", "object_direction_qualifier=down"),
        ("biolink:treats", "infores:a", "", ""),
        ("biolink:treats", "infores:b", "", ""),
        ("biolink:treats", "", "PMID:7", ""),
    ]


def test_a_table_says_where_edges_come_from_if_the_config_names_the_columns(tmp_path):
    """A cell of such a column may be empty, and rows that are the same edge keep both statements."""
    edges = pd.DataFrame(
        [
            ("treats", "D2", "drug", "S1", "disease", "a", "1|2"),
            ("treats", "D1", "drug", "S1", "disease", "", ""),
            ("treats", "D1", "drug", "S2", "disease", "b", ""),
            ("treats", "D1", "drug", "S2", "disease", "c", "3"),
            ("treats", "D1", "drug", "S2", "disease", "c", "3"),
        ],
        columns=["relation", "source", "x_type", "y_id", "y_type", "origin", "papers"],
    )
    edges.to_csv(tmp_path / "edges.csv", index=False)
    target = Target(head_type="drug", tail_type="disease", positive=["treats"], negative=[])
    names = {"head_id": "source", "head_name": "", "tail_name": ""}
    said = {}
    for key, columns in (("told", {"source": "origin", "publications": "papers"}), ("untold", {})):
        settings = GraphSettings(columns=EdgeColumns(**names, **columns), max_dropped_share=1.0)
        kg, ledger, sources = build_graph.read(str(tmp_path / "edges.csv"), "", settings, target)
        assert (ledger["rows"], ledger["kept"]) == (5, 3)
        ids = [kg.node_ids[node_type] for node_type in ("drug", "disease")]
        said[key] = [
            (ids[0][row["head_index"]], ids[1][row["tail_index"]], row["source"], row["publications"])
            for row in sources.to_pylist()
        ]
    assert said == {
        "told": [("D2", "S1", "a", "1|2"), ("D1", "S2", "b", ""), ("D1", "S2", "c", "3")],
        "untold": [],
    }


def test_blanks_are_no_part_of_an_id_whatever_the_name_of_its_column(tmp_path):
    rows = [("treats", " D1 ", "drug", "S1", "disease"), ("treats", "D1", "drug", "S2", "disease")]
    names = ["relation", "source", "x_type", "y_id", "y_type"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "edges.csv", index=False)
    target = Target(head_type="drug", tail_type="disease", positive=["treats"], negative=[])
    columns = EdgeColumns(head_id="source", head_name="", tail_name="")
    kg, _, _ = build_graph.read(str(tmp_path / "edges.csv"), "", GraphSettings(columns=columns), target)
    assert kg.node_ids["drug"].tolist() == ["D1"]


def test_a_node_with_several_types_has_the_rarest_or_the_preferred_one_whatever_their_order(tmp_path):
    paths = kgx_tables(tmp_path, LINKS, NODES)
    kg, _ = build(*paths, target=BIOLINK, directed=[], max_dropped_share=0.5)
    assert {t: kg.node_ids[t].tolist() for t in kg.node_types} == {
        "biolink:ChemicalEntity": ["C3"],
        "biolink:Disease": ["S1", "S2"],
        "biolink:Drug": ["D1", "D2"],
    }
    target = replace(BIOLINK, head_type="biolink:ChemicalEntity")
    kg, _ = build(
        *paths, target=target, directed=[], max_dropped_share=0.5, categories=["biolink:ChemicalEntity"]
    )
    assert kg.node_ids["biolink:ChemicalEntity"].tolist() == ["C3", "D1", "D2"]


def test_the_types_of_a_table_may_come_from_the_nodes_table(tmp_path):
    links = pd.DataFrame({"from": ["D1", "D2"], "what": "treats", "to": ["S1", "S1"]})
    links.to_csv(tmp_path / "edges.csv", index=False)
    table = pd.DataFrame({"id": ["D1", "D2", "S1"], "kind": ["drug", "drug", "disease"]})
    table.to_csv(tmp_path / "nodes.csv", index=False)
    columns = EdgeColumns(
        relation="what", head_id="from", head_type="", head_name="", tail_id="to", tail_type="", tail_name=""
    )
    changes = {"columns": columns, "node_columns": NodeColumns(type="kind", id="id", name="")}
    kg, _ = build(tmp_path / "edges.csv", tmp_path / "nodes.csv", directed=[], **changes)
    assert kg.node_ids["drug"].tolist() == ["D1", "D2"]
    with pytest.raises(InputError, match=r"graph\.columns\.head_type is empty.*key nodes"):
        build(tmp_path / "edges.csv", directed=[], **changes)


def test_blanks_and_invisible_characters_around_cells_are_taken_off_and_counted(tmp_path):
    rows = ["relation,x_id,x_type,x_name,y_id,y_type,y_name", "treats, D1,drug ,a,S1,disease,s"]
    rows += ["treats\u00a0,D1\u200b,drug,a,S1\ufeff,disease,s", "treats,D2,drug,b,S1,disease,s"]
    (tmp_path / "edges.csv").write_text("\n".join(rows), encoding="utf-8")
    kg, ledger = build(tmp_path / "edges.csv", directed=[])
    assert {t: kg.node_ids[t].tolist() for t in kg.node_types} == {"disease": ["S1"], "drug": ["D1", "D2"]}
    assert ledger["dropped"]["duplicate"] == 1
    counts = {entry["column"]: entry["rows"] for entry in ledger["stripped"]}
    assert counts == {"relation": 1, "x_id": 2, "x_type": 1, "y_id": 1}
    assert sum("blanks or invisible characters" in warning for warning in ledger["warnings"]) == 4


def test_a_repeated_header_is_no_edge_and_gives_no_nodes(tmp_path):
    header = "relation,x_id,x_type,x_name,y_id,y_type,y_name\n"
    (tmp_path / "edges.csv").write_text(
        f"{header}treats,D1,drug,a,S1,disease,s\n{header}treats,D2,drug,b,S1,disease,s\n"
    )
    kg, ledger = build(tmp_path / "edges.csv", directed=[])
    assert kg.node_types == ("disease", "drug")
    assert (ledger["rows"], ledger["kept"], ledger["dropped"]["repeated_header"]) == (3, 2, 1)


def test_comments_in_front_of_a_table_are_no_rows_and_a_commented_header_is_one(tmp_path):
    rows = "treats,D1,drug,a,S1,disease,s\n"
    for header in (
        "# made by x\n# on Monday\nrelation,x_id,x_type,x_name,y_id,y_type,y_name\n",
        "## made by x\n#relation,x_id,x_type,x_name,y_id,y_type,y_name\n",
    ):
        (tmp_path / "edges.csv").write_text(header + rows)
        _, ledger = build(tmp_path / "edges.csv", directed=[])
        assert (ledger["rows"], ledger["kept"]) == (1, 1)


# ---- what is refused ----


def refusal(*tables: Path | str | list, **changes) -> str:
    """The sentence of the InputError about the tables."""
    with pytest.raises(InputError) as caught:
        build(*tables, directed=[], **changes)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_kgx_without_nodes_and_a_broken_line_are_refused(tmp_path):
    edges_path, _ = kgx_tables(tmp_path, LINKS, NODES)
    assert "key nodes" in refusal(edges_path, target=BIOLINK)
    lines = [json.dumps(link) for link in LINKS]
    (tmp_path / "edges.jsonl").write_text("\n".join([*lines, '{"subject": "D1", ']))
    (tmp_path / "nodes.jsonl").write_text("\n".join(map(json.dumps, NODES)))
    assert "edges.jsonl cannot be read as JSON lines" in refusal(
        tmp_path / "edges.jsonl", tmp_path / "nodes.jsonl"
    )
    (tmp_path / "edges.jsonl").write_text("[1, 2]\n")
    assert "line 1 is no JSON object" in refusal(tmp_path / "edges.jsonl", tmp_path / "nodes.jsonl")


def test_tables_of_several_formats_are_refused(tmp_path, edges, nodes):
    other = drkg(tmp_path, edges, nodes)[0]
    edges.to_csv(tmp_path / "edges.csv", index=False)
    assert "in several formats (table, triples)" in refusal([tmp_path / "edges.csv", other])


def test_a_damaged_archive_and_one_without_tables_are_refused(tmp_path, edges, nodes):
    path = kgx_tar(tmp_path, edges, nodes)[0]
    path.write_bytes(path.read_bytes()[:-400])
    assert "kg.tar.gz" in refusal(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.md", "x")
    assert "a.zip holds no table" in refusal(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_text("<html>")
    assert "b.zip" in refusal(tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train2id.txt", "51\n0 1 0\n", "has 1 rows where its first line says 51"),
        ("train2id.txt", "1\n0 9999 0\n", "line 2: there is no tail with number 9999"),
        ("entity2id.txt", "2\ngene::1\t0\ngene::2\t7\n", "its numbers are not 0 to 1"),
        ("entity2id.txt", "<html>\n", "is no id file of OpenKE"),
    ],
)
def test_damaged_openke_files_are_refused(tmp_path, edges, nodes, name, content, words):
    openke(tmp_path, edges, nodes)
    (tmp_path / name).write_text(content)
    assert words in refusal(tmp_path)


def test_an_ogb_edge_of_an_unknown_node_is_refused(tmp_path, edges, nodes):
    ogb(tmp_path, edges, nodes)
    path = next((tmp_path / "raw").rglob("edge.csv.gz"))
    path.write_bytes(gzip.compress(b"0,9999\n"))
    assert "there is no node with the number 9999" in refusal(tmp_path)


def test_triples_without_types_need_a_nodes_table(tmp_path):
    (tmp_path / "t.tsv").write_text("D1\ttreats\tS1\nD2\ttreats\tS1\n")
    assert "has no node types" in refusal(tmp_path / "t.tsv", format="triples")
    (tmp_path / "nodes.csv").write_text("id,type\nD1,drug\nD2,drug\nS1,disease\n")
    kg, _ = build(tmp_path / "t.tsv", tmp_path / "nodes.csv", directed=[], format="triples")
    assert kg.node_ids["drug"].tolist() == ["D1", "D2"]


def test_numbers_and_names_of_columns_cannot_be_mixed():
    with pytest.raises(InputError, match="names and numbers"):
        EdgeColumns(relation=1)
    with pytest.raises(InputError, match="only one of"):
        EdgeColumns(head_type="")


@pytest.mark.parametrize("text", ["A|B", "B|A", " B | A ", "A\x1fB"])
def test_the_types_of_a_cell_do_not_depend_on_their_order(text):
    assert node_types.split_several(text) == ["A", "B"]


BIG = (kgx_two_files, drkg, sif, without_header, several_files)


@pytest.mark.slow
@pytest.mark.skipif(not HETIONET.exists(), reason="the table of Hetionet is not there")
@pytest.mark.parametrize("writer", BIG, ids=lambda writer: writer.__name__)
def test_hetionet_in_every_format_is_the_same_graph(tmp_path, writer):
    table, names = (
        pd.read_csv(HETIONET / name, dtype=str, keep_default_na=False).rename(
            columns=lambda column: column.removeprefix("node_")
        )
        for name in ("edges.csv.gz", "nodes.csv.gz")
    )
    table, names = table[list(NAMES)], names[["type", "id", "name"]]
    directed = ["gene_regulates_gene"]
    target = Target(
        head_type="compound", tail_type="disease", positive=["compound_treats_disease"], negative=[]
    )
    for name in ("plain", "other"):
        (tmp_path / name).mkdir()
    own, own_nodes = table, names
    if writer in WITH_CURIES:
        own = table.assign(x_id=curie(table, "x_"), y_id=curie(table, "y_"))
        own_nodes = names.assign(id=curie(names, ""))
    if writer in WITHOUT_NODES:
        ends = [own[[f"{end}_type", f"{end}_id"]].set_axis(["type", "id"], axis=1) for end in "xy"]
        own_nodes = own_nodes.merge(pd.concat(ends).drop_duplicates())
    paths = tmp_path / "plain" / "edges.csv", tmp_path / "plain" / "nodes.csv"
    own.to_csv(paths[0], index=False)
    own_nodes.rename(columns=lambda name: f"node_{name}").to_csv(paths[1], index=False)
    columns = EdgeColumns(head_name="", tail_name="")
    kg, _ = build(*paths, target, directed=directed, columns=columns)
    tables, nodes_tables, changes = writer(tmp_path / "other", table, names)
    changes = {key: value for key, value in changes.items() if key not in ("target", "directed")}
    if writer is drkg:
        target = replace(target, positive=["SOURCE::compound_treats_disease::compound:disease"])
        directed = ["SOURCE::gene_regulates_gene::gene:gene"]
    other, _ = build(tables, nodes_tables, target, directed=directed, **changes)
    if writer is drkg:
        relations = [replace(kind, relation=kind.relation.split("::")[1]) for kind in other.relations]
        other = replace(other, relations=tuple(relations))
    assert_same(kg, other, has_names=writer not in WITHOUT_NODES)


def test_the_table_that_has_the_name_of_its_archive_is_read_and_others_are_not(tmp_path, edges, nodes):
    path, _, changes = drkg(tmp_path, edges, nodes)
    with tarfile.open(tmp_path / "drkg.tar.gz", "w:gz") as archive:
        archive.add(path, "./drkg.tsv")
        for name in ("entity2src.tsv", "embed/relations.tsv"):
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"a\tb\n"))
    _, ledger = build(tmp_path / "drkg.tar.gz", **changes)
    assert ledger["rows"] == len(edges)
