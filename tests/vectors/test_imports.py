"""Vectors of other tools are read from every exported format, and each fault of a file gets one sentence."""

import json
import zipfile

import communities
import numpy as np
import planted
import pytest

import import_embeddings
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import inputs
from repurpose.vectors import embeddings, exports

AWKWARD = [
    "two words",
    "a:b",
    ":a",
    "50%",
    "%20",
    "tab\t",
    "two\nlines",
    "n\u00a0b",
    "=1",
    "'=1",
    '"q", r',
    "-3",
]
TYPES = ["gene/protein", "../etc", "effect: phenotype", "=type"]
READ_BY = {
    "npz": "embeddings.npz",
    "word2vec": "embeddings.txt",
    "projector": "vectors.tsv",
    "csv": "embeddings.csv",
}


def save(folder, **texts):
    """Write files by name, _ for the dot."""
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder / next(iter(texts)).replace("_", ".")


def save_npz(folder, **arrays):
    """Write an npz file, __ for the slash."""
    path = folder / "e.npz"
    np.savez(path, **{name.replace("__", "/"): array for name, array in arrays.items()})
    return path


def read(path):
    return embeddings.read(path, is_result=False)


@pytest.mark.parametrize(("name", "file"), READ_BY.items())
def test_what_was_exported_is_read_again_whatever_the_names(tmp_path, name, file):
    kg = planted.graph(dict.fromkeys(TYPES, len(AWKWARD)), [])
    for node_type in kg.node_types:
        kg.node_ids[node_type][:] = AWKWARD
    generator = np.random.default_rng(0)
    vectors = {t: generator.normal(size=(len(AWKWARD), 4)).astype(np.float32) for t in kg.node_types}
    exports.WRITERS[name](tmp_path, exports.Export(kg, vectors))
    found = read(tmp_path / file)
    assert sorted(found.ids) == sorted(TYPES)
    for node_type in TYPES:
        assert found.ids[node_type].tolist() == AWKWARD
        assert found.vectors[node_type].dtype == np.float32
        np.testing.assert_array_equal(found.vectors[node_type], vectors[node_type])


def test_the_words_of_hetnets_and_the_spaces_of_the_c_program_are_read(tmp_path):
    path = save(tmp_path, e_vec="2 2\nDisease::DOID:9352 0.5 -1e-3 \nCompound::DB00014\t1 2\r\n\n")
    found = read(path)
    assert found.ids["Disease"].tolist() == ["DOID:9352"]
    assert found.vectors["Compound"].tolist() == [[1, 2]]


def test_whole_numbers_as_ids_of_an_npz_file_are_text(tmp_path):
    found = read(save_npz(tmp_path, gene__ids=np.array([3091, 7]), gene__vectors=np.eye(2)))
    assert found.ids["gene"].tolist() == ["3091", "7"]


@pytest.mark.parametrize("name", ["vectors.tsv", "tensor.tsv", "tensors.tsv", "my_vectors.tsv"])
def test_the_vectors_of_a_projector_are_read_with_a_plain_list_of_words(tmp_path, name):
    (tmp_path / name).write_text("1\t2\n3\t4\n")
    metadata = tmp_path / (
        name.replace("vectors", "metadata").replace("tensors", "metadata").replace("tensor", "metadata")
    )
    metadata.write_text("drug:a\ngene::b c\n")
    found = read(tmp_path / name)
    assert found.vectors["gene"].tolist() == [[3, 4]] and found.ids["gene"].tolist() == ["b c"]


def test_the_columns_of_the_metadata_may_be_in_any_order_among_others(tmp_path):
    save(tmp_path, metadata_tsv="label\tnode_id\tnode_type\nx\ta\tdrug\ny\tb\tgene\n")
    found = read(save(tmp_path, vectors_tsv="1\t2\n3\t4\n"))
    assert found.ids["drug"].tolist() == ["a"] and found.vectors["gene"].tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "e.txt: its first line is not the number of vectors and their length"),
        ("drug:a 1 2\n", "its first line is not the number of vectors and their length, such as '5000 128'"),
        ("2 2\ndrug:a 1 2\n", "e.txt has 1 vectors, and 2 by its first line"),
        ("1 2\ndrug:a 1 2\ndrug:b 1 2\n", "has 2 vectors, and 1 by its first line"),
        ("1 2\ndrug:a 1\n", "line 2, after the word, has 1 numbers where 2 are expected"),
        (
            "2 2\ndrug:a 1 2\ndrug:b x 2 3\n",
            "line 3, after the word, is no list of numbers: .* with %20 in place",
        ),
        ("1 2\nDB00945 1 2\n", "line 2 has the word 'DB00945', which has no type: write a node as type:id"),
        ("2 1\ndrug:a 1\ndrug::a 2\n", "has two vectors of drug a: keep one"),
        ("0 2\n", "e.txt has no vectors"),
    ],
)
def test_a_damaged_word2vec_file_gets_one_sentence(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read(save(tmp_path, e_txt=text))


def test_the_binary_format_of_word2vec_is_named(tmp_path):
    (tmp_path / "e.txt").write_bytes(b"1 2\ndrug:a \x00\x00\x80\xbf\x00\x00\x00\xff\n")
    with pytest.raises(InputError, match="line 2 is not UTF-8 text: save the vectors as text"):
        read(tmp_path / "e.txt")


@pytest.mark.parametrize(
    ("vectors", "metadata", "sentence"),
    [
        ("1\t2\n", "drug:a\ndrug:b\n", "vectors.tsv has 1 vectors, and .*metadata.tsv has 2 nodes"),
        ("x\ty\n1\t2\n", "drug:a\ndrug:b\n", "vectors.tsv: line 1 is no list of numbers: .* and no header"),
        ("1\t2\n1\n", "drug:a\ndrug:b\n", "line 2 has 1 numbers where 2 are expected"),
        ("1\n", "node_id\tname\na\tb\n", "metadata.tsv has no column node_type"),
        ("1\n", "node_type\tnode_id\na\n", "metadata.tsv: line 2 has 1 fields and its header 2"),
        ("1\n", "a\n", "metadata.tsv: line 1 has the word 'a', which has no type"),
    ],
)
def test_damaged_files_of_a_projector_get_one_sentence(tmp_path, vectors, metadata, sentence):
    save(tmp_path, metadata_tsv=metadata)
    with pytest.raises(InputError, match=sentence):
        read(save(tmp_path, vectors_tsv=vectors))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.ones(2)}, "has an array x: an npz file has two arrays for each node type"),
        ({"a__ids": np.array(["1"])}, "has no array a/vectors"),
        ({"a__vectors": np.ones((1, 2))}, "has no array a/ids"),
        ({"a__ids": np.array(["1"]), "a__vectors": np.ones(1)}, "a/vectors is no matrix of numbers"),
        ({"a__ids": np.array([1.5]), "a__vectors": np.ones((1, 2))}, "a/ids is no list of texts"),
        (
            {"a__ids": np.array(["1", "2"]), "a__vectors": np.ones((1, 2))},
            "has 2 a/ids and 1 rows of a/vectors",
        ),
        ({"a__ids": np.array(["1", "1"]), "a__vectors": np.ones((2, 2))}, "has two vectors of a 1: keep one"),
        (
            {"a__ids": np.array(["1"], object), "a__vectors": np.ones((1, 2))},
            r"an array of Python objects, a pickle, which is not read: save ids as text",
        ),
        (
            {
                "a__ids": np.array(["1"]),
                "a__vectors": np.ones((1, 2)),
                "b__ids": np.array(["1"]),
                "b__vectors": np.ones((1, 3)),
            },
            "its vectors have 2 to 3 numbers",
        ),
        ({}, "has no array"),
    ],
)
def test_a_wrong_npz_file_gets_one_sentence(tmp_path, arrays, sentence):
    with pytest.raises(InputError, match=sentence):
        read(save_npz(tmp_path, **arrays))


def test_no_pickle_is_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "trapped"), "w"))

    for path in (save_npz(tmp_path, a__ids=np.array([Trap()], object), a__vectors=np.ones((1, 1))),):
        with pytest.raises(InputError, match="a pickle, which is not read"):
            read(path)
        with np.load(path, allow_pickle=True) as arrays:
            assert not (tmp_path / "trapped").exists() and arrays["a/ids"] is not None
    assert (tmp_path / "trapped").exists()  # the trap works, if it is sprung


def test_a_npz_file_that_is_cut_short_damaged_or_of_another_kind_gets_one_sentence(tmp_path):
    path = save_npz(tmp_path, a__ids=np.array(["1"]), a__vectors=np.ones((1, 2)))
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(InputError, match="is no npz file, or is cut short"):
        read(path)
    # A bit of the numbers is turned: the checksum of the archive does not fit.
    place = content.index(np.ones(2).tobytes())
    path.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    with pytest.raises(InputError, match=r"is damaged .*copy or write it again"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/ids", "text")
    with pytest.raises(InputError, match="which is no array"):
        read(path)


def test_a_file_of_an_unknown_kind_or_of_no_kind_gets_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"e\.pkl is of an unknown kind: .*\.parquet, \.csv, \.npz"):
        read(save(tmp_path, e_pkl="x"))
    with pytest.raises(InputError, match=r"none\.npz is no file: correct its path"):
        read(tmp_path / "none.npz")


def test_a_csv_has_lists_of_numbers_only(tmp_path):
    for cell in ("1", "[[1]]", '"x"', "null", "{}"):
        rows = json.dumps(cell)[1:-1].replace('\\"', '""')
        with pytest.raises(InputError, match="row 1 of the column embedding is no list of numbers"):
            read(save(tmp_path, e_csv=f'node_type,node_id,embedding\na,1,"{rows}"\n'))


# ---- the config and the script ----


def config(given):
    return {
        "edges": "demo",
        "nodes": "",
        "graph": {"features": "", "identifiers": ""},
        "external": {"pairs": ""},
        "annotations": {"table": ""},
        "reviews": {"table": ""},
        "repeats": {"ingredients": ""},
        "given": str(given),
        "split": {"areas": "", "dates": ""},
    }


def test_the_metadata_of_a_projector_count_as_a_table_of_the_user(tmp_path):
    path = save(tmp_path, vectors_tsv="1\n", metadata_tsv="drug:a\n")
    inputs.require(config(path))
    assert inputs.tables(config(path))["given (metadata)"] == str(tmp_path / "metadata.tsv")
    assert inputs.tables(config(tmp_path / "e.npz"))["given (metadata)"] == ""
    (tmp_path / "metadata.tsv").unlink()
    with pytest.raises(InputError, match=r"metadata.tsv does not exist: it names the nodes of .*vectors.tsv"):
        inputs.require(config(path))
    with pytest.raises(InputError, match=r"e.tsv does not end in vectors.tsv"):
        inputs.require(config(save(tmp_path, e_tsv="1\n")))


@pytest.mark.parametrize(("name", "file"), READ_BY.items())
def test_the_device_given_takes_every_format(tmp_path, name, file):
    kg = communities.build()
    generator = np.random.default_rng(0)
    vectors = {t: generator.normal(size=(kg.count(t), 4)).astype(np.float32) for t in kg.node_types}
    graph.save(kg, GraphFiles.in_folder(tmp_path))
    exports.WRITERS[name](tmp_path, exports.Export(kg, vectors))
    out = {
        name: tmp_path / "out" / name for name in ("embeddings.parquet", "history.parquet", "training.json")
    }
    import_embeddings.main(
        vectors_in=tmp_path / file,
        graph_files=GraphFiles.in_folder(tmp_path),
        target_types=("drug", "disease"),
        embeddings_out=out["embeddings.parquet"],
        history_out=out["history.parquet"],
        record_out=out["training.json"],
    )
    found = embeddings.read(out["embeddings.parquet"])
    for node_type, rows in vectors.items():
        np.testing.assert_array_equal(found.vectors[node_type], rows)
