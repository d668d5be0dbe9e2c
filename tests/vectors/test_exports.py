"""Each exported file gives back the same vectors, read by its own library or by a parser of its format."""

import csv
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import communities
import numpy as np
import planted
import pytest

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import records
from repurpose.vectors import embeddings, exports, tokens

PROJECT = Path(__file__).resolve().parents[2]
AWKWARD = [
    "two words",
    "a:b",
    ":a",
    "::a",
    "50%",
    "%20",
    "tab\there",
    "two\nlines",
    "carriage\rreturn",
    "no\u00a0break",
    "line\u2028separator",
    "=1+1",
    "'=1+1",
    "-3",
    "@x",
    "+1",
    'a "quoted", id',
    "\u03b1-tocopherol",
]
TYPES = ["gene/protein", "../../etc", "/root", "effect: phenotype", "=type", "c:\\x", "a//b", "two words"]


@pytest.fixture(name="export")
def awkward():
    """Vectors of a graph whose ids, names and types have every character that a format may stumble over."""
    relations = [(TYPES[0], "is =in\t", TYPES[1], "message", [(0, 1), (2, 0)])]
    kg = planted.graph(dict.fromkeys(TYPES, len(AWKWARD)), relations)
    for node_type in kg.node_types:
        kg.node_ids[node_type][:] = kg.node_names[node_type][:] = AWKWARD
    return exports.Export(kg, random_vectors(kg))


def random_vectors(kg):
    """Vectors with numbers of many sizes, whole numbers and zeros among them."""
    generator = np.random.default_rng(0)
    vectors = {}
    for node_type in kg.node_types:
        rows = generator.normal(size=(kg.count(node_type), 5)) * 10.0 ** generator.integers(-30, 30)
        rows[0] = [0, -1, 3e-39, 1 / 3, 123456789]
        vectors[node_type] = rows.astype(np.float32)
    return vectors


def expected(export):
    """(type, id) -> vector."""
    return {
        (node_type, node_id): row.tolist()
        for node_type, rows in export.vectors.items()
        for node_id, row in zip(export.kg.node_ids[node_type], rows, strict=True)
    }


def strict_word2vec(path):
    """The words and vectors of a file in word2vec's text format, as its reader `fscanf` takes them.

    The first line has two integers. Each further line has a word without white space and that many numbers,
    separated by single spaces, and ends with one line feed; there are as many lines as the first line says.
    """
    first, *lines, last = path.read_bytes().decode("utf-8").split("\n")
    count, dim = re.fullmatch(r"(\d+) (\d+)", first).groups()
    assert last == "" and len(lines) == int(count)
    vectors = {}
    for line in lines:
        word, *numbers = line.split(" ")
        assert word and not re.search(r"\s", word) and len(numbers) == int(dim)
        assert word not in vectors
        vectors[word] = [float(np.float32(number)) for number in numbers]
    return vectors


def test_npz_is_read_by_numpy_without_pickles(export, tmp_path):
    (path,) = exports.write_npz(tmp_path, export)
    with np.load(path, allow_pickle=False) as arrays:
        assert all(arrays[key].dtype.kind == "U" for key in arrays if key.endswith("/ids"))
        found = {
            (tokens.unescape(key.removesuffix("/ids")), node_id): row.tolist()
            for key in arrays
            if key.endswith("/ids")
            for node_id, row in zip(
                arrays[key].tolist(), arrays[f"{key.removesuffix('ids')}vectors"], strict=True
            )
        }
    assert found == expected(export)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert "gene/protein/ids.npy" in names and "two words/vectors.npy" in names
    parts = [part for name in names for part in name.split("/")]
    assert not [part for part in parts if not part.strip(".") or "\\" in part or ":" in part]


def test_word2vec_is_read_by_a_strict_parser(export, tmp_path):
    (path,) = exports.write_word2vec(tmp_path, export)
    found = {tokens.split(word): vector for word, vector in strict_word2vec(path).items()}
    assert found == expected(export)


@pytest.mark.parametrize(
    "fault", ["1 2\na b 1 2\n", "1 2\na 1\n", "2 2\na 1 2\n", "1 2\na  1 2\n", "a 1 2\n"]
)
def test_the_strict_parser_refuses_what_is_no_word2vec(tmp_path, fault):
    (tmp_path / "e.txt").write_text(fault)
    with pytest.raises((AssertionError, AttributeError, ValueError)):
        strict_word2vec(tmp_path / "e.txt")


def test_word2vec_is_read_by_gensim(export, tmp_path):
    """gensim is one of the benchmarks' packages (envs/benchmarks.txt), so it is not always there."""
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    (path,) = exports.write_word2vec(tmp_path, export)
    read = keyed_vectors.load_word2vec_format(str(path))
    assert {tokens.split(word): read[word].tolist() for word in read.index_to_key} == expected(export)


def test_the_projectors_files_have_one_row_per_node_and_one_header(export, tmp_path):
    vectors, metadata = exports.write_projector(tmp_path, export)
    numbers = [line.split("\t") for line in vectors.read_bytes().decode().split("\n")]
    header, *rows = [line.split("\t") for line in metadata.read_bytes().decode().split("\n")]
    assert numbers.pop() == [""] and rows.pop() == [""]
    assert header == ["node_type", "node_id", "node_name"]
    assert {len(row) for row in rows} == {3} and {len(row) for row in numbers} == {export.dim}
    assert len(rows) == len(numbers) == export.count
    np.testing.assert_array_equal(
        np.loadtxt(vectors, np.float32, delimiter="\t"), np.concatenate(list(export.vectors.values()))
    )
    assert [row[1] for row in rows[: len(AWKWARD)]] == [row[2] for row in rows[: len(AWKWARD)]]
    assert not [row for row in rows if row[0][0] in "=+-@" or row[1][0] in "=+-@"]


def test_csv_is_read_as_json_lists_and_has_no_formula(export, tmp_path):
    (path,) = exports.write_csv(tmp_path, export)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["node_type", "node_id", "embedding"]
    assert [np.array(json.loads(row["embedding"]), np.float32).tolist() for row in rows] == list(
        expected(export).values()
    )
    assert {"'=1+1", "''=1+1", "'-3", "'@x", "two\nlines", "50%"} <= {row["node_id"] for row in rows}
    assert not [row for row in rows if row["node_type"][0] in "=+-@" or row["node_id"][0] in "=+-@"]


def test_pyg_builds_hetero_data_with_the_lines_of_the_documentation(export, tmp_path, monkeypatch):
    text = (PROJECT / "docs" / "exports.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.+?)```", text, re.DOTALL)[1]
    partial = exports.Export(export.kg, {t: export.vectors[t] for t in export.kg.node_types[:2]})
    monkeypatch.chdir(tmp_path)
    for exported in (export, partial):
        exports.write_pyg(tmp_path, exported)
        built = {}
        exec(code, built)
        data = built["data"]
        assert data.validate() and tuple(data.node_types) == export.kg.node_types
        assert set(data.collect("x")) == set(exported.vectors)
        for node_type, rows in exported.vectors.items():
            np.testing.assert_array_equal(data[node_type].x.numpy(), rows)
            assert data[node_type].node_id == AWKWARD
        (edge_type,) = data.edge_types
        assert edge_type == (TYPES[0], "is =in\t", TYPES[1])
        np.testing.assert_array_equal(data[edge_type].edge_index.numpy(), export.kg.message_edges()[0])


def test_no_relation_between_drugs_and_diseases_is_exported(tmp_path):
    kg = communities.build()
    exports.write_pyg(tmp_path, exports.Export(kg, random_vectors(kg)))
    header = (tmp_path / "graph.safetensors").read_bytes()
    assert b"drug_gene" in header and b"indication" not in header


@pytest.mark.parametrize("name", exports.WRITERS)
def test_a_repeated_export_has_the_same_bytes_and_leaves_no_other_file(export, tmp_path, name):
    first = {path: path.read_bytes() for path in exports.WRITERS[name](tmp_path, export)}
    again = {path: path.read_bytes() for path in exports.WRITERS[name](tmp_path, export)}
    assert first == again and sorted(first) == sorted(tmp_path.iterdir())


@pytest.mark.parametrize("name", exports.WRITERS)
def test_an_export_that_fails_leaves_the_old_files(export, tmp_path, monkeypatch, name):
    before = {path: path.read_bytes() for path in exports.WRITERS[name](tmp_path, export)}

    def out_of_power(*arguments, **options):
        raise RuntimeError("out of power")

    for module, function in (
        (exports.np, "savez"),
        (exports, "_joined"),
        (exports.safetensors.numpy, "save"),
    ):
        monkeypatch.setattr(module, function, out_of_power)
    with pytest.raises(RuntimeError, match="out of power"):
        exports.WRITERS[name](tmp_path, export)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_vectors_that_are_not_finite_or_not_there_are_refused(export):
    broken = {t: rows.copy() for t, rows in export.vectors.items()}
    broken[TYPES[0]][3, 1] = np.nan
    with pytest.raises(InputError, match="the vector of gene/protein ::a is not finite"):
        exports.Export(export.kg, broken)
    with pytest.raises(InputError, match="there are no vectors to export"):
        exports.Export(export.kg, {})


@pytest.mark.parametrize("text", [*AWKWARD, *TYPES])
def test_a_word_has_no_white_space_and_gives_back_type_and_id(text):
    word = tokens.word(text, text)
    assert not re.search(r"\s", word) and tokens.split(word) == (text, text)


def test_a_word_with_two_colons_is_read_and_others_are_not():
    assert tokens.split("Disease::DOID:9352") == ("Disease", "DOID:9352")
    assert tokens.split("drug:DB00001") == ("drug", "DB00001")
    assert [tokens.split(word) for word in ("DB00001", ":DB00001", "drug:", "drug::")] == [None] * 4


# ---- the command ----


@pytest.fixture(name="results")
def finished_run(tmp_path):
    """The files that the command reads, with a record of them."""
    results, kg = tmp_path / "results", communities.build()
    for name in ("cpu", "mps"):
        (results / "embeddings" / name).mkdir(parents=True)
        path = results / "embeddings" / name / "embeddings.parquet"
        embeddings.write(path, kg, random_vectors(kg), {})
    (results / "graph").mkdir()
    graph.save(kg, GraphFiles.in_folder(results / "graph"))
    files.write_json(results / "summary.json", {"passed": ["cpu"]})
    digests = {str(p.relative_to(tmp_path)): files.digest(p) for p in results.rglob("*") if p.is_file()}
    records.Record("all", {}, {}, "", {}, {}, digests).write(results / "records" / "all.json")
    return results


def call(folder, *arguments):
    command = [sys.executable, PROJECT / "scripts" / "export_embeddings.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_command_writes_several_formats_to_a_folder_of_the_device(results, tmp_path):
    done = call(tmp_path, "results/", "--as", *exports.WRITERS)
    assert done.returncode == 0, done.stderr
    written = [tmp_path / line for line in done.stdout.splitlines()]
    assert sorted(written) == sorted((tmp_path / "exports" / "cpu").iterdir()) and len(written) == 6
    path = results / "embeddings" / "cpu" / "embeddings.parquet"
    rows = embeddings.read(path)
    vectors = strict_word2vec(tmp_path / "exports" / "cpu" / "embeddings.txt")
    for node_type, ids in rows.ids.items():
        for node_id, row in zip(ids, rows.vectors[node_type], strict=True):
            assert vectors[f"{node_type}:{node_id}"] == row.tolist()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("results", "--as", "npz", "--device", "mps"), "Error: mps has no candidates; devices that passed"),
        (("nowhere", "--as", "npz"), "Error: nowhere has no summary.json: run the workflow first"),
    ],
)
def test_what_cannot_be_exported_gets_one_sentence(results, tmp_path, arguments, sentence):
    done = call(tmp_path, *arguments)
    assert done.returncode == 1 and done.stderr.startswith(sentence) and done.stderr.count("\n") == 1
    assert not (tmp_path / "exports").exists()


def test_an_unknown_format_is_refused_with_the_known_ones(results, tmp_path):
    done = call(tmp_path, "results", "--as", "pickle")
    assert done.returncode == 2 and "word2vec" in done.stderr


def test_a_changed_file_is_not_exported(results, tmp_path):
    kg = communities.build()
    embeddings.write(
        results / "embeddings" / "cpu" / "embeddings.parquet", kg, random_vectors(kg), {"x": "y"}
    )
    done = call(tmp_path, "results", "--as", "npz")
    assert done.returncode == 1 and "is not as it was made" in done.stderr


def test_a_device_whose_name_leads_to_another_folder_is_refused(results, tmp_path):
    files.write_json(results / "summary.json", {"passed": ["../../elsewhere"]})
    done = call(tmp_path, "results", "--as", "npz")
    assert done.returncode == 1 and "which is no name of a folder" in done.stderr
