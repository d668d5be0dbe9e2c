"""Paths of explanations are scored against a file of known mechanisms, in DrugMechDB's form."""

import json
import subprocess
import sys
from pathlib import Path

import edge_removals
import numpy as np
import planted
import pytest
import yaml

from repurpose.candidates import mechanisms
from repurpose.core.errors import InputError
from repurpose.graph import paths
from repurpose.ingest.identifiers import Identifiers

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "score_explanations.py"
KG = planted.graph(
    {"drug": 3, "gene": 4, "disease": 2},
    [
        ("drug", "indication", "disease", "target", [(0, 0)]),
        ("drug", "binds", "gene", "message", [(0, 0), (0, 1), (0, 2), (1, 1)]),
        ("disease", "has_gene", "gene", "message", [(0, 0), (0, 1), (0, 2), (1, 1)]),
        ("gene", "near", "gene", "message", [(0, 3), (1, 3), (2, 3)]),
    ],
)
TYPES = ("drug", "disease")
GENE = KG.span("gene").start


def entry(drug, disease, *nodes, **about):
    """An entry as DrugMechDB has it; the drug and the disease are nodes too."""
    named = [{"id": node, "label": "Protein", "name": f"name of {node}"} for node in (drug, *nodes, disease)]
    return {
        "directed": True,
        "graph": {"_id": f"{drug}_{disease}_1", "drugbank": drug, "disease_mesh": disease, **about},
        "links": [{"key": "decreases activity of", "source": drug, "target": nodes[0] if nodes else disease}],
        "nodes": named,
    }


def read(folder, content, name="paths.yaml"):
    dumped = json.dumps(content) if name.endswith("json") else yaml.safe_dump(content)
    text = content if isinstance(content, str) else dumped
    (folder / name).write_text(text)
    return mechanisms.read(folder / name)


def test_entries_are_matched_by_id_by_id_without_prefix_by_name_and_by_a_table_of_ids(tmp_path):
    name = str(KG.node_names["gene"][2]).upper()
    found = read(
        tmp_path,
        [
            entry("drug:0", "disease:0", "gene:1", "nowhere"),
            entry("DB:drug:0", "disease:0", "UniProt:gene:0"),
            entry("drug:1", "MESH:D1", "gene:3"),
            entry("drug:2", "disease:1", "elsewhere"),
            entry("drug:9", "disease:1", "gene:1"),
            {
                "graph": {"drug": KG.node_names["drug"][2], "disease": "disease:0"},
                "nodes": [{"id": "x", "name": name}],
            },
        ],
    )
    same = Identifiers(
        "same.csv", {"": {"MESH:D1": "disease:1", "DB:drug:0": "drug:0", "UniProt:gene:0": "gene:0"}}
    )
    matched = mechanisms.match(found, KG, TYPES, same)
    pairs = dict(
        zip(zip(matched.heads.tolist(), matched.tails.tolist(), strict=True), matched.nodes, strict=True)
    )
    assert pairs == {(0, 0): {GENE, GENE + 1}, (1, 1): {GENE + 3}, (2, 0): {GENE + 2}}
    assert (matched.entries, matched.unknown_pairs, matched.without_nodes) == (6, 1, 1)
    prefixed = mechanisms.match(
        read(tmp_path, [entry("drug:0", "disease:0", "UniProt:g1")]), with_id("g1"), TYPES
    )
    assert prefixed.nodes == (frozenset({GENE}),)
    with pytest.raises(
        InputError, match=r"none of the 1 mechanisms is of a pair of the graph: .* ids like DB1"
    ):
        mechanisms.match(read(tmp_path, [entry("DB1", "D1", "P1")]), KG, TYPES)


def with_id(gene):
    ids = {**KG.node_ids, "gene": np.array([gene, *KG.node_ids["gene"][1:]], object)}
    return type(KG)(KG.node_types, ids, KG.node_names, KG.relations, KG.heads, KG.tails)


def way(*inner):
    return paths.Path(1.0, (0, *inner, 99), (0,) * (len(inner) + 1), (True,) * (len(inner) + 1))


def test_places_and_their_summary_by_hand():
    mechanism = frozenset({1, 2})
    ways = [way(5), way(1, 5), way(2, 1), way(1)]
    assert mechanisms.place(ways, mechanism, whole=True) == 3
    assert mechanisms.place(ways, mechanism, whole=False) == 2
    assert mechanisms.place(ways[:1], mechanism, whole=False) == 0
    found = mechanisms.summary([ways, [way(1)], [way(7)], []], [mechanism] * 4, whole=True)
    assert found == {
        "pairs": 3,
        "without_paths": 1,
        "hits@1": pytest.approx(1 / 3),
        "hits@3": pytest.approx(2 / 3),
        "hits@5": pytest.approx(2 / 3),
        "hits@10": pytest.approx(2 / 3),
        "mrr": pytest.approx((1 / 3 + 1) / 3),
        "by_chance": pytest.approx((2 / 4 + 1 + 0) / 3),
    }


def test_json_and_yaml_say_the_same(tmp_path):
    content = [entry("drug:0", "disease:0", "gene:1")]
    assert read(tmp_path, content) == read(tmp_path, content, "paths.json")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no list of mechanisms; give a list of entries"),
        ("graph: {}", "is no list of mechanisms"),
        ("- [", "cannot be read"),
        ("- 5", "entry 1 of .* has no graph or no nodes"),
        ("- graph: {drug: a}\n  nodes: []", "entry 1 of .* names no drug or no disease"),
        ("- !!python/object/apply:os.system ['touch hacked']", "cannot be read"),
    ],
)
def test_a_file_of_another_form_is_one_sentence_and_makes_no_object(tmp_path, text, sentence, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value) and not (tmp_path / "hacked").exists()


def test_the_script_scores_both_orders_of_a_finished_run(tmp_path, run_with_encoder):
    kg = edge_removals.KG
    network = paths.network(kg)
    first = {}
    for head, tail in ((0, 1), (2, 3), (5, 4)):
        start, end = kg.span("drug").start + head, kg.span("disease").start + tail
        (ways,) = paths.best(network, np.array([start]), end, 10)
        first[head, tail] = {node for path in ways[:1] for node in path.nodes[1:-1]}
    ids = np.concatenate([kg.node_ids[t] for t in kg.node_types])
    content = [
        entry(f"drug:{h}", f"disease:{t}", *ids[list(nodes)].tolist()) for (h, t), nodes in first.items()
    ]
    (tmp_path / "paths.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, str(SCRIPT), str(tmp_path / "paths.yaml"), "--results", str(run_with_encoder)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["entries"], found["pairs"], found["unknown_pairs"]) == (3, 3, 0)
    assert found["orders"]["weight"]["whole"]["hits@1"] == 1.0
    assert set(found["orders"]) == {"weight", "change"}
    assert found["orders"]["change"]["whole"]["hits@10"] == 1.0
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.startswith("3 mechanisms; of pairs that the graph lacks: 0;") and "by score change" in text
    wrong = subprocess.run(
        [*command[:2], str(tmp_path / "none.yaml"), *command[3:]], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1 and wrong.stderr.startswith("Error: ") and "Traceback" not in wrong.stderr
