"""Vectors of names, and the file of them that graph.features reads."""

import numpy as np
import pytest
from edge_rows import build, nodes_table

import embed_names
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.vectors import features, names

DRUGS = ("atorvastatin", "simvastatin", "rosuvastatin", "enalapril", "lisinopril", "ramipril", "omeprazole")
DRUGS += ("pantoprazole", "lansoprazole", "metoprolol", "atenolol", "bisoprolol")


def test_names_with_the_same_ending_have_similar_vectors():
    vectors = names.embed(DRUGS, 6, 0)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = unit @ unit.T
    of_class = np.repeat(np.arange(4), 3)
    same = of_class[:, None] == of_class
    np.fill_diagonal(similar, np.nan)
    assert np.nanmean(similar[same]) > np.nanmean(similar[~same]) + 0.3
    assert vectors.dtype == np.float32 and vectors.shape == (12, 6)
    np.testing.assert_array_equal(vectors, names.embed(DRUGS, 6, 0))


@pytest.mark.parametrize("texts", [["a"], ["aspirin", "aspirin"], ["ab", "cd", "ef"]])
def test_few_or_equal_names_have_short_vectors(texts):
    vectors = names.embed(texts, 8, 0)
    assert len(vectors) == len(texts) and 1 <= vectors.shape[1] <= 8 and np.isfinite(vectors).all()


def test_the_file_has_vectors_that_training_reads(tmp_path, capsys):
    table = nodes_table([("drug", f"d{i}", name) for i, name in enumerate(DRUGS)] + [("disease", "s1", "s1")])
    kg, _ = build([("binds", "drug", f"d{i}", "gene", "1") for i in range(len(DRUGS))], nodes=table)
    (tmp_path / "graph").mkdir()
    graph.save(kg, GraphFiles.in_folder(tmp_path / "graph"))
    options = {"results": tmp_path, "out": tmp_path / "names.parquet", "width": 4, "seed": 0}
    embed_names.main(**options, types=[])
    found = features.read(tmp_path / "names.parquet", kg)
    assert set(found) == {"drug"} and found["drug"].vectors.shape == (12, 4)
    assert "gene: 0 of 1 nodes have a name" in capsys.readouterr().out
    with pytest.raises(InputError, match="choose from disease, drug, gene"):
        embed_names.main(**options, types=["plant"])
    with pytest.raises(InputError, match="no node has a name"):
        embed_names.main(**options, types=["gene"])
