"""What a path is worth to the model: the score of its ends without its edges."""

import numpy as np
import pytest
from edge_removals import KG, ORIGIN, SETTINGS, TYPES, looking, some_paths

from repurpose.candidates import influence
from repurpose.candidates.recoding import Recoder
from repurpose.classifier import pair_model
from repurpose.core.errors import InputError
from repurpose.graph import holdout
from repurpose.hgt import trained
from repurpose.vectors import embeddings
from repurpose.vectors.vectors import Vectors


def told(found):
    ways = some_paths(30)
    return list(zip(ways, found.changes(ways), strict=True))


def test_a_change_is_that_of_the_score_with_the_vectors_of_the_smaller_graph():
    found = looking()
    score = pair_model.scorer(found.model, found.vectors, 1)
    moved = 0
    for way, change in told(found):
        head, tail = way.nodes[0] - found.recoder.first[0], way.nodes[-1] - found.recoder.first[1]
        heads, tails = found.vectors.heads.copy(), found.vectors.tails.copy()
        heads[head], tails[tail] = found.recoder.without(way)
        without = pair_model.scorer(found.model, Vectors(heads, tails, product=True), 1)
        pair = np.array([head]), np.array([tail])
        assert change == pytest.approx(float(without(*pair)[0] - score(*pair)[0]), abs=1e-2)
        moved += abs(change) > 0.05
    assert moved > 10


def test_nothing_is_asked_of_no_paths():
    assert looking().changes([]) == []


def test_it_is_read_from_the_files_of_a_run(tmp_path):
    found = looking()
    vectors = {t: found.recoder.stored[KG.span(t)] for t in KG.node_types}
    both = tmp_path / "embeddings.parquet", tmp_path / "encoder.safetensors"
    embeddings.write(both[0], KG, vectors, ORIGIN)
    trained.save(both[1], found.recoder.trained)
    embedded = embeddings.read(both[0])
    rows = embeddings.aligned(embedded, KG, both[0]), embedded.metadata
    again = influence.read(KG, TYPES, *rows, both[1], found.model, 1)
    assert [change for _, change in told(again)] == pytest.approx(
        [change for _, change in told(found)], abs=1e-6
    )
    trained.save(both[1], None)
    with pytest.raises(InputError, match="holds no encoder"):
        influence.read(KG, TYPES, *rows, both[1], found.model, 1)


def test_edges_of_another_seed_are_not_those_of_the_encoder():
    found = looking()
    vectors = {t: found.recoder.stored[KG.span(t)] for t in KG.node_types}
    edges = holdout.split(KG, SETTINGS.valid_share, 4).train
    other = Recoder(KG, TYPES, found.recoder.trained, vectors, edges)
    with pytest.raises(ValueError, match="differs by"):
        for node in range(len(other.stored)):
            other.check(node)
