"""An explanation shows paths and similar treatments of a pair, and never uses the pair's own relation."""

import csv
import dataclasses

import candidate_lists
import edge_removals
import numpy as np
import planted
import pyarrow as pa
import pytest

import explain_candidates
from repurpose.candidates import evidence
from repurpose.candidates.finished import DeviceFiles
from repurpose.core import files
from repurpose.graph import graph, paths
from repurpose.graph.sources import EdgeSources
from repurpose.hgt import trained
from repurpose.pairs import pairs
from repurpose.vectors import embeddings

SIZES = {"drug": 4, "gene": 3, "disease": 3}
KG = planted.graph(
    SIZES,
    [
        ("drug", "binds", "gene", "message", [(0, 0), (1, 1)]),
        ("gene", "interacts", "gene", "message", [(0, 2)]),
        ("disease", "has", "gene", "message", [(0, 0), (0, 2)]),
        ("drug", "indication", "disease", "target", [(0, 0), (1, 0), (2, 0), (0, 1)]),
    ],
)
HEADS = np.array([[1, 0], [1, 0.1], [0, 1], [1, 1]], np.float32)
TAILS = np.array([[1, 0], [1, 1], [0, 1]], np.float32)
TREATED = np.array([0, 1, 2, 0]), np.array([0, 0, 0, 1])


def explainer():
    return evidence.Explainer(KG, planted.TARGET, (HEADS, TAILS), TREATED, paths.network(KG))


def test_paths_are_described_with_names_relations_and_directions():
    (found,) = explainer().explain(np.array([0]), np.array([0]), 5, 3)
    assert [path["text"] for path in found["paths"]] == [
        "drug number 0 -[binds]-> gene number 0 <-[has]- disease number 0",
        "drug number 0 -[binds]-> gene number 0 -[interacts]- gene number 2 <-[has]- disease number 0",
    ]
    assert found["paths"][1]["relations"] == ["binds", "interacts", "has"]
    assert found["paths"][0]["nodes"] == ["drug number 0", "gene number 0", "disease number 0"]
    assert found["paths"][0]["ids"] == ["drug:0", "gene:0", "disease:0"]
    assert found["paths"][0]["types"] == ["drug", "gene", "disease"]
    assert found["paths"][1]["arrows"] == [1, 0, -1]


def told(*rows):
    """Origins of edges: rows (relation, head, tail, source, publications), sorted as in the file."""
    numbers = (np.array([row[place] for row in rows]) for place in (0, 2, 1))
    texts = pa.table(
        {name: [row[place] for row in rows] for name, place in (("source", 3), ("publications", 4))}
    )
    return EdgeSources(*numbers, texts)


def test_edges_of_a_path_have_the_sources_and_publications_of_the_table():
    """Of the edge as the graph stores it, whichever way the path runs through it."""
    origins = told(
        (0, 0, 0, "binding table", "PMID:1"),
        (1, 0, 2, "interactions", ""),
        (2, 0, 0, "", "PMID:2|PMID:3"),
        (2, 1, 0, "another edge", ""),
    )
    (found,) = dataclasses.replace(explainer(), sources=origins).explain(np.array([0]), np.array([0]), 5, 3)
    direct, longer = found["paths"]
    assert direct["origins"] == [
        {"sources": ["binding table"], "publications": ["PMID:1"]},
        {"sources": [], "publications": ["PMID:2", "PMID:3"]},
    ]
    assert [origin["sources"] for origin in longer["origins"]] == [["binding table"], ["interactions"], []]
    assert evidence.origins_in_words(longer) == [
        "drug number 0 - binds - gene number 0: binding table; PMID:1",
        "gene number 0 - interacts - gene number 2: interactions",
    ]


def test_paths_have_no_origins_if_the_table_tells_none():
    other = told((0, 3, 2, "of no path", ""))
    for origins in (None, other):
        (found,) = dataclasses.replace(explainer(), sources=origins).explain(
            np.array([0]), np.array([0]), 5, 3
        )
        assert [path["origins"] for path in found["paths"]] == [[], []]
        assert evidence.origins_in_words(found["paths"][0]) == []


def test_the_csv_file_has_a_row_for_each_path(tmp_path):
    """And one for a pair without a path; texts that a spreadsheet would take for formulas are texts."""
    kg = dataclasses.replace(KG, node_names={**KG.node_names, "disease": KG.node_names["disease"].copy()})
    kg.node_names["disease"][0] = "=1+1"
    ranked = candidate_lists.ranked(kg, np.ones((4, 3), np.float32), per_tail=0)
    origins = told((0, 0, 0, "=2+2", "PMID:1"), (2, 0, 0, "b", "PMID:2"), (2, 0, 2, "b", "PMID:2"))
    rows = dataclasses.replace(explainer(), kg=kg, sources=origins).explain_rows(ranked, 2, 1)
    evidence.write(rows, tmp_path / "e.parquet", tmp_path / "e.csv")
    assert (
        files.read_table(tmp_path / "e.parquet").to_pylist()
        == pa.Table.from_pylist(rows, evidence.SCHEMA).to_pylist()
    )
    written = list(csv.DictReader((tmp_path / "e.csv").open()))
    assert len(written) == sum(max(1, len(row["paths"])) for row in rows) > len(rows)
    first = [row for row in written if (row["head_id"], row["tail_id"]) == ("drug:0", "disease:0")]
    assert len(first) == 2 and first[0]["path"].startswith("drug number 0 -[binds]-> gene number 0")
    assert (first[0]["sources"], first[0]["publications"]) == ("'=2+2 / b", "PMID:1 / PMID:2")
    assert (first[1]["sources"], first[1]["publications"]) == ("'=2+2 /  / b", "PMID:1 /  / PMID:2")
    assert first[0]["tail_name"] == "'=1+1"
    without = [row for row in written if row["head_id"] == "drug:3"]
    assert without and {row["path"] for row in without} == {""}


def test_a_path_has_the_direction_of_the_table_even_where_the_graph_stores_the_edge_turned():
    turned = dataclasses.replace(
        KG,
        relations=tuple(
            dataclasses.replace(kind, turned=kind.relation == "binds", relation=f"biolink:{kind.relation}")
            for kind in KG.relations
        ),
    )
    told = evidence.Explainer(turned, planted.TARGET, (HEADS, TAILS), TREATED, paths.network(turned))
    (found,) = told.explain(np.array([0]), np.array([0]), 1, 3)
    assert found["paths"][0]["text"] == ("drug number 0 <-[binds]- gene number 0 <-[has]- disease number 0")


def test_similar_nodes_are_other_drugs_of_the_disease_and_other_diseases_of_the_drug():
    first, second = explainer().explain(np.array([0, 3]), np.array([0, 0]), 1, 2)
    # Drug 0 treats the disease, and is not like itself.
    assert [each["id"] for each in first["heads_of_tail"]] == ["drug:1", "drug:2"]
    assert [each["id"] for each in first["tails_of_head"]] == ["disease:1"]
    assert first["tails_of_head"][0]["similarity"] == pytest.approx(1 / np.sqrt(2))
    assert [each["id"] for each in second["heads_of_tail"]] == ["drug:1", "drug:0"]
    assert second["tails_of_head"] == [] and second["paths"] == []


def test_explanations_do_not_depend_on_other_pairs_of_the_call():
    many = explainer().explain(np.array([0, 1, 2, 3, 0]), np.array([0, 0, 0, 0, 1]), 3, 3)
    for at, head, tail in ((0, 0, 0), (3, 3, 0), (4, 0, 1)):
        assert explainer().explain(np.array([head]), np.array([tail]), 3, 3) == [many[at]]


def explained(folder, kg, vectors, metadata, model, scores, explained, encoder=None):
    """The rows that explain_candidates writes, and the candidates that it reads."""
    device_files = DeviceFiles.in_results(folder, "cpu")
    for path in (device_files.graph.nodes, device_files.embeddings, device_files.model):
        path.parent.mkdir(parents=True)
    graph.save(kg, device_files.graph)
    embeddings.write(device_files.embeddings, kg, vectors, metadata)
    if encoder:
        trained.save(folder / "embeddings" / "cpu" / "encoder.safetensors", encoder)
    edge_removals.save(model, device_files)
    ranked = candidate_lists.ranked(kg, scores, per_tail=0)
    files.write_table(folder / "candidates.parquet", ranked)
    explain_candidates.main(
        device_files=DeviceFiles.in_results(folder, "cpu"),
        candidates=folder / "candidates.parquet",
        evidence_out=folder / "evidence.parquet",
        csv_out=folder / "evidence.csv",
        listed_out=folder / "listed.parquet",
        target=planted.TARGET,
        explained=explained,
        per_tail=3,
        paths_each=2,
        similar=2,
    )
    return files.read_table(folder / "evidence.parquet").to_pylist(), ranked


def test_the_script_explains_the_best_new_pairs(tmp_path):
    kg, rows = planted.repurposing(30, 12)
    labelled = pairs.label(kg, planted.TARGET)
    scores = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
    model = edge_removals.model(rows["drug"], rows["disease"], labelled)
    found, ranked = explained(tmp_path, kg, rows, {}, model, scores, 20)
    new = sorted((row["score"] for row in ranked.to_pylist() if not row["known"]), reverse=True)
    assert [row["score"] for row in found] == new[:20]
    assert max(len(row["paths"]) for row in found) == 2
    heads, tails = pairs.treated(labelled)
    treating = set(zip(kg.node_ids["drug"][heads], kg.node_ids["disease"][tails], strict=True))
    near = [(each["id"], row["tail_id"]) for row in found for each in row["heads_of_tail"]]
    assert near and set(near) <= treating
    # Embeddings of another tool come without their encoder.
    assert {way["change"] for row in found for way in row["paths"]} == {None}
    assert {row[f"{side}_attention"] for row in found for side in ("head", "tail")} == {None}


def test_the_script_writes_the_counterfactual_change_of_each_path(tmp_path):
    scorer = edge_removals.scorer()
    encoder = scorer.encoder
    kg = encoder.kg
    vectors = {t: encoder.stored[kg.span(t)] for t in kg.node_types}
    scores = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    found, _ = explained(
        tmp_path, kg, vectors, edge_removals.ORIGIN, scorer.model, scores, 15, encoder.trained
    )
    network = paths.network(kg)
    place = [{node: at for at, node in enumerate(kg.node_ids[t])} for t in ("drug", "disease")]
    changes = []
    for row in found:
        head, tail = (place[side][row[f"{name}_id"]] for side, name in enumerate(("head", "tail")))
        ends = np.array([head + encoder.first[0]]), tail + encoder.first[1]
        expected = scorer.changes(paths.best(network, *ends, 2)[0])
        assert [way["change"] for way in row["paths"]] == pytest.approx(expected, abs=1e-4)
        changes += expected
        assert [len(row[f"{side}_attention"]) for side in ("head", "tail")] == [2, 2]
        assert all(0 < each["weight"] <= 1 for each in row["head_attention"])
    assert np.abs(changes).max() > 0.1
