"""A disease that the graph lacks, described by its links, has the list that these links deserve."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import edge_removals
import numpy as np
import pytest

from repurpose.candidates import described, questions
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.metapaths import steps

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "query_candidates.py"
KG = edge_removals.KG
GENES, FOLLOWS = 2, 3  # indices of the relations of diseases


@pytest.fixture(name="run", scope="module")
def opened(run_with_encoder):
    return questions.Run.as_ranked(run_with_encoder, "cpu")


def links(tail):
    """All links of a disease: relation index -> neighbours."""
    found = described.links_of(KG, "disease", tail)
    return described.describe(KG, "disease", "like it", {}, found).links


def ask(results, *arguments):
    command = [sys.executable, str(SCRIPT), "--results", str(results), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_node_is_added_as_the_last_of_its_type_with_its_links():
    larger = graph.with_node(
        KG, "disease", "new", "New", {GENES: np.array([7, 3, 7]), FOLLOWS: np.array([5])}
    )
    assert larger.count("disease") == 41 and larger.node_names["disease"][40] == "New"
    for index, added in ((GENES, {(40, 3), (40, 7)}), (FOLLOWS, {(40, 5)})):
        before, after = (
            set(zip(kg.heads[index].tolist(), kg.tails[index].tolist(), strict=True)) for kg in (KG, larger)
        )
        assert after - before == added and not before - after
        order = np.lexsort((larger.heads[index], larger.tails[index]))
        assert np.array_equal(order, np.arange(len(order)))
        assert larger.relations[index].edges == len(order) == KG.relations[index].edges + len(added)
    assert larger.relations[0] == KG.relations[0] and np.array_equal(larger.heads[0], KG.heads[0])


def test_a_link_without_direction_is_stored_as_the_graph_stores_such_edges():
    """The lower index is the head; a node at the tail of a relation is its tail."""
    relations = [*KG.relations]
    relations[FOLLOWS] = dataclasses.replace(relations[FOLLOWS], directed=False)
    undirected = dataclasses.replace(KG, relations=tuple(relations))
    larger = graph.with_node(undirected, "disease", "new", "New", {FOLLOWS: np.array([5])})
    assert (larger.heads[FOLLOWS][-1], larger.tails[FOLLOWS][-1]) == (5, 40)
    larger = graph.with_node(KG, "gene", "new", "New", {GENES: np.array([4])})
    assert (larger.heads[GENES][-1], larger.tails[GENES][-1]) == (4, 40)


def test_the_vector_of_a_node_like_one_of_the_graph_is_like_its_vector():
    encoder = edge_removals.scorer().encoder
    stored = encoder.stored[KG.span("disease")]
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    own, nearest = [], 0
    for tail in range(40):
        if not links(tail):
            continue
        vector = encoder.of_new_node("disease", links(tail))
        cosine = unit @ (vector / np.linalg.norm(vector))
        own.append(cosine[tail] - np.median(cosine))
        nearest += cosine.argmax() == tail
    # By chance one of 40 would be the nearest.
    assert nearest > len(own) / 2 and np.median(own) > 0.4


@pytest.mark.parametrize("shape", edge_removals.SHAPES)
def test_a_node_gets_a_vector_from_every_kind_of_encoder(monkeypatch, shape):
    encoder, _, _ = edge_removals.fitted(monkeypatch, shape)
    vector = encoder.of_new_node("disease", {GENES: np.array([3, 8])})
    assert vector.shape == encoder.stored[0].shape and np.isfinite(vector).all() and vector.any()


def test_features_of_a_larger_graph_are_those_of_its_own_at_the_same_scale(run):
    features = run.device.model.metapaths.features
    larger = graph.with_node(KG, "disease", "new", "New", links(4))
    found = features.on_graph(steps.of_graph(larger), 41)
    old = features.block(np.array([4]))[: len(features.metapaths), 0]
    new = found.block(np.array([40]))[: len(features.metapaths), 0]
    assert np.corrcoef(old.ravel(), new.ravel())[0, 1] > 0.95
    assert np.array_equal(found.scales, features.scales)
    fewer = dataclasses.replace(
        larger, heads=(KG.heads[0][:0], *larger.heads[1:]), tails=(KG.tails[0][:0], *larger.tails[1:])
    )
    with pytest.raises(ValueError, match="other relations"):
        features.on_graph(steps.of_graph(fewer), 41)


def test_a_described_disease_has_the_list_of_one_with_its_links(run):
    """Of an untreated disease, because a described one has no known treatment; other links, another list."""
    treated = set(run.device.treated[1].tolist())
    untreated = [tail for tail in range(40) if tail not in treated and len(links(tail).get(GENES, ())) > 2]
    alike, others = [], []
    for place, tail in enumerate(untreated):
        lists = []
        for asked in (tail, untreated[place - 1]):
            larger = run.with_tail(described.Description("like it", links(asked), ()))
            lists.append(larger.heads_of(40, 10, False)["head_id"].to_pylist())
        expected = set(run.heads_of(tail, 10, False)["head_id"].to_pylist())
        alike.append(len(expected & set(lists[0])))
        others.append(len(expected & set(lists[1])))
    # Of two lists drawn by chance, 2.5 of 10 are the same.
    assert len(untreated) > 3 and np.mean(alike) > 6 and np.mean(others) < 3.5


def test_the_run_itself_does_not_change(run):
    before = run.heads_of(4, 5, True).to_pylist()
    larger = run.with_tail(described.Description("new", links(9), ()))
    assert run.kg.count("disease") == 40 and larger.kg.count("disease") == 41
    assert run.heads_of(4, 5, True).to_pylist() == before


def test_words_stand_for_the_largest_relation_that_knows_the_name():
    found = described.describe(
        KG, "disease", "d", {"genes": ["gene:1", "GENE NUMBER 2", "none"], "similar": ["disease:3"]}, {}
    )
    assert {index: nodes.tolist() for index, nodes in found.links.items()} == {GENES: [1, 2], FOLLOWS: [3]}
    assert found.unknown == ("none",)
    assert found.summary(KG) == (
        "Links of d: 2 disease_gene, 1 follows; left out, because the graph lacks them: none"
    )
    by_name = described.describe(KG, "disease", "d", {}, {"disease_gene": ["gene:1"]})
    assert by_name.links[GENES].tolist() == [1]
    assert described.linked(KG, "disease", 4, "genes") == [f"gene:{gene}" for gene in links(4)[GENES]]


@pytest.mark.parametrize(
    ("by_word", "by_relation", "sentence"),
    [
        ({"symptoms": ["x"]}, {}, "leads to what symptoms stands for: give the relation with --linked"),
        ({}, {"binds": ["x"]}, "leads to what binds stands for.*one of disease_gene, follows$"),
        ({"genes": ["x", "y"]}, {}, "the graph has none of the nodes that describe d: x, y$"),
        ({"genes": list("abcdefg")}, {}, "describe d: a, b, c, d, e and 2 more$"),
    ],
)
def test_what_describes_nothing_is_refused(by_word, by_relation, sentence):
    with pytest.raises(InputError, match=sentence):
        described.describe(KG, "disease", "d", by_word, by_relation)


def test_vectors_of_another_tool_cannot_be_extended(run):
    device = dataclasses.replace(run.device, source=run.device.source._replace(encoder=None))
    with pytest.raises(InputError, match="needs the trained encoder"):
        described.with_tail(device, described.Description("d", {GENES: np.array([1])}, ()))


def test_the_script_answers_for_a_described_disease_in_text_and_in_json(run_with_encoder, run):
    question = ("--genes", "gene:3", "gene:8", "no gene", "--name", "mine", "--top", "4")
    text = ask(run_with_encoder, *question)
    assert text.returncode == 0, text.stderr
    first, _, title, *rows = text.stdout.splitlines()
    assert first == "Links of mine: 2 disease_gene; left out, because the graph lacks them: no gene."
    assert title.startswith("rank") and len(rows) >= 4
    found = json.loads(ask(run_with_encoder, *question, "--json").stdout)
    new = described.describe(run.kg, "disease", "mine", {"genes": ["gene:3", "gene:8"]}, {})
    expected = run.with_tail(new).heads_of(40, 4, False)
    assert [row["head_id"] for row in found] == expected["head_id"].to_pylist()
    assert {row["tail_name"] for row in found} == {"mine"} and any(row["paths"] for row in found)


def test_several_diseases_have_one_list_joined_by_reciprocal_ranks(run_with_encoder, run):
    rows = json.loads(
        ask(run_with_encoder, "--disease", "disease:4", "disease:9", "--top", "40", "--json").stdout
    )
    ranks = [{row["head_id"]: row for row in run.heads_of(tail, 40, True).to_pylist()} for tail in (4, 9)]
    assert len(rows) > 30
    for row in rows:
        of_both = [of_tail[row["head_id"]] for of_tail in ranks]
        assert row["ranks"] == {
            f"disease:{tail}": found["rank_of_drug_for_disease"]
            for tail, found in zip((4, 9), of_both, strict=True)
        }
        assert row["fused"] == pytest.approx(sum(1 / (60 + rank) for rank in row["ranks"].values()))
        assert set(row["known"].values()) == {found["known"] for found in of_both} - {""}
        assert len(row["known"]) < 2
    assert [row["fused"] for row in rows] == sorted((row["fused"] for row in rows), reverse=True)
    text = ask(run_with_encoder, "--disease", "disease:4", "disease:9", "--top", "2").stdout.splitlines()
    assert text[0].split("  ")[0] == "place" and rows[0]["head_name"] in text[1]
    assert str(rows[0]["ranks"]["disease:9"]) in text[1]


@pytest.mark.parametrize(
    "arguments",
    [(), ("--genes", "gene:1", "--disease", "disease:4"), ("--linked", "disease_gene"), ("--genes",)],
)
def test_a_command_asks_one_whole_question(run_with_encoder, arguments):
    done = ask(run_with_encoder, *arguments)
    assert done.returncode == 2 and "error: " in done.stderr and "Traceback" not in done.stderr
