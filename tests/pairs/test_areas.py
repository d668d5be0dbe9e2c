"""Areas of diseases come from a hierarchy or from a table, and whole areas are held out."""

from dataclasses import replace

import planted
import pytest
from pair_models import SETTINGS

from repurpose.classifier import classifier, examples
from repurpose.core.errors import InputError
from repurpose.pairs import areas, certificate, pairs

TREE = [(0, 1), (0, 2), (0, 3), (3, 4), (5, 6), (5, 7), (5, 8), (4, 9)]


def graph(edges, diseases=12):
    return planted.graph({"disease": diseases, "drug": 3}, [("disease", "is_a", "disease", "message", edges)])


def test_a_disease_belongs_to_the_nearest_of_the_broadest_terms(monkeypatch):
    monkeypatch.setattr(areas, "AREAS", 2)
    area_of_disease = areas.from_hierarchy(graph(TREE), "is_a", "disease")
    assert area_of_disease[[0, 1, 2, 3, 4, 9]].tolist() == [area_of_disease[0]] * 6
    assert area_of_disease[[5, 6, 7, 8]].tolist() == [area_of_disease[5]] * 4
    # Diseases 10 and 11 are not connected to a broad term: each is its own area.
    assert len({*area_of_disease.tolist()}) == 4 and area_of_disease[10] != area_of_disease[11]


def test_of_two_equally_near_terms_the_one_with_more_edges_is_taken(monkeypatch):
    monkeypatch.setattr(areas, "AREAS", 2)
    edges = [(0, 1), (0, 2), (0, 3), (0, 9), (5, 6), (5, 7), (5, 9)]
    area_of_disease = areas.from_hierarchy(graph(edges), "is_a", "disease")
    assert area_of_disease[9] == area_of_disease[0] != area_of_disease[5]


def test_the_error_for_a_missing_relation_names_it_and_the_relations_of_the_graph():
    with pytest.raises(InputError, match=r"hierarchy names the relation part_of.* it has: is_a$"):
        areas.from_hierarchy(graph(TREE), "part_of", "disease")


def test_a_table_gives_areas_by_id(tmp_path):
    path = tmp_path / "areas.csv"
    path.write_text("node_id,area\ndisease:0,heart\ndisease:3,lung\ndisease:4,heart\nother,lung\n")
    area_of_disease = areas.from_table(path, graph(TREE), "disease")
    assert area_of_disease[[0, 3, 4]].tolist() == [0, 1, 0] and len({*area_of_disease.tolist()}) == 2 + 9


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("node_id,area\nD1,heart\n", "names no node of type disease"),
        ("node_id,area\ndisease:0,heart\ndisease:0,lung\n", "gives disease:0 two areas"),
        ("id,area\ndisease:0,heart\n", "node_id"),
    ],
)
def test_an_unusable_table_gets_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "areas.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        areas.from_table(path, graph(TREE), "disease")


@pytest.fixture(name="labelled", scope="module")
def split_by_area():
    kg, _ = planted.repurposing(90, 70)
    frame = pairs.label(kg, planted.TARGET)
    frame["area_index"] = frame["tail_index"].to_numpy() % 14
    return kg, pairs.split(frame, ("random", "area"), 0.15, 0.25, seed=0)


def test_no_area_is_in_two_splits_and_no_negative_is_of_a_held_out_disease(labelled, tmp_path):
    kg, frame = labelled
    assert (frame.groupby("area_index")["area"].nunique() == 1).all()
    assert set(frame["area"]) == {"train", "valid", "test"}
    certified = certificate.certify(kg, frame, planted.TARGET)
    assert "area: all pairs of one area are in one split" in {check["name"] for check in certified["checks"]}
    known = pairs.known(kg, "drug", "disease")
    settings = replace(SETTINGS, draws=2, depth=4)
    train, valid = examples.split_examples(frame, "area", known, 90, 70, settings, 0)
    held_out = set(frame.loc[frame["area"] != "train", "tail_index"])
    assert held_out and not held_out & set(train.tails.tolist())
    assert set(valid.tails.tolist()) <= set(frame.loc[frame["area"] == "valid", "tail_index"])
    pairs.save(frame, tmp_path / "pairs.parquet")
    assert pairs.load(tmp_path / "pairs.parquet")[list(frame)].equals(frame)


def test_a_model_is_tested_on_diseases_of_areas_without_training_pairs(labelled):
    kg, frame = labelled
    _, rows = planted.repurposing(90, 70)
    settings = replace(SETTINGS, draws=1, trees=30, depth=3)
    vectors = classifier.Vectors(rows["drug"], rows["disease"], product=True)
    task = classifier.Task(vectors, frame, pairs.known(kg, "drug", "disease"), settings, 0, 1)
    metrics = classifier.evaluate_all(task)["area"].metrics
    test = frame[(frame["area"] == "test") & (frame["label"] == 1)]
    assert metrics["positives"] == len(test) and metrics["tails"] == test["tail_index"].nunique()
    assert metrics["auprc"]["value"] > 2 * metrics["prevalence"]
    with pytest.raises(RuntimeError, match="area: all pairs of one area are in one split"):
        moved = frame.copy()
        moved.loc[moved.index[moved["area"] == "test"][0], "area"] = "train"
        certificate.certify(kg, moved, planted.TARGET)
