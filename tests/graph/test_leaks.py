"""Target pairs under other node types are detected by their ids; ids that agree by accident are no leak."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from edge_rows import SETTINGS, build, nodes_table, refusal, triples, turned, warned

import build_demo
from repurpose.config.sections import GraphSettings, Target
from repurpose.core.errors import InputError
from repurpose.graph import leaks
from repurpose.ingest import ingest, tables
from repurpose.pairs import certificate, pairs

TARGET = Target(head_type="drug", tail_type="disease", positive=["indication"], negative=[])
NEGATIVE = {"negative": ["contraindication"]}
BOTH = replace(TARGET, **NEGATIVE)


def drawn(count, *, heads=60, tails=60, seed=0):
    """Random distinct pairs (count, 2), in which some ends are more frequent than others."""
    rng = np.random.default_rng(seed)
    weights = np.outer(1 / np.arange(2, heads + 2) ** 0.7, 1 / np.arange(2, tails + 2) ** 0.7).ravel()
    keys = rng.choice(heads * tails, count, replace=False, p=weights / weights.sum())
    return np.stack(np.divmod(keys, tails), axis=1).tolist()


def rows(name, head_type, tail_type, ends, head="D{}", tail="S{}"):
    return [(name, head_type, head.format(a), tail_type, tail.format(b)) for a, b in ends]


TREATMENTS = drawn(200)
GRAPH = [
    *rows("indication", "drug", "disease", TREATMENTS),
    *rows("binds", "drug", "gene", drawn(300, seed=1), tail="G{}"),
    *rows("associated", "disease", "gene", drawn(300, seed=2), head="S{}", tail="G{}"),
    *rows("interacts", "drug", "drug", drawn(300, seed=3), tail="D{}"),
]


@pytest.mark.parametrize("name", ["indication", "treats"])
@pytest.mark.parametrize(
    ("head_type", "tail_type"),
    [
        ("Drug", "disease"),
        ("drug ", "disease"),
        ("drug", "Disease"),
        ("ChemicalEntity", "PhenotypicFeature"),
        ("biolink:Drug|biolink:ChemicalEntity", "disease"),
        ("entity", "entity"),
    ],
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_treatments_that_also_have_other_node_types_stop_the_run(name, head_type, tail_type, is_turned):
    leaking = rows(name, head_type, tail_type, TREATMENTS)
    sentence = refusal(*GRAPH, *(map(turned, leaking) if is_turned else leaking))
    assert f"the relation {name}" in sentence and "200 of the 201 pairs of target.positive" in sentence
    assert "edges.csv" in sentence and "would stay in the graph as message edges" in sentence


def test_the_config_line_in_the_error_solves_the_problem():
    leaking = [*rows("indication", "Drug", "disease", TREATMENTS), *rows("near", "gene", "gene", [(1, 2)])]
    sentence = refusal(*GRAPH, *leaking, exclude_relations=["near"])
    assert "the relation indication of target.positive also connects Drug and disease (200 edges" in sentence
    assert 'graph: {exclude_relations: ["near", "indication (Drug, disease)"]}' in sentence
    assert 'graph: {keep_relations: ["indication (Drug, disease)"]}' in sentence
    kg, _ = build([*GRAPH, *leaking], exclude_relations=["near", "indication (Drug, disease)"])
    assert triples(kg)["Drug", "indication", "disease"] == "excluded"
    assert triples(kg)["drug", "indication", "disease"] == "target"


@pytest.mark.parametrize("entry", ["indication (Drug, disease)", "indication (disease, Drug)", "indication"])
def test_a_relation_in_keep_relations_stays_in_the_graph(entry):
    kg, _ = build([*GRAPH, *rows("indication", "Drug", "disease", TREATMENTS)], keep_relations=[entry])
    assert triples(kg)["Drug", "indication", "disease"] == "message"


def test_keeping_one_relation_does_not_keep_another():
    leaking = [
        *rows("indication", "Drug", "disease", TREATMENTS),
        *rows("treats", "drug", "Disease", TREATMENTS),
    ]
    sentence = refusal(*GRAPH, *leaking, keep_relations=["indication (Drug, disease)"])
    assert "the relation treats connects Disease and drug" in sentence


def test_the_config_line_lists_all_relations_that_leak():
    leaking = [row for name in ("treats", "indication") for row in rows(name, "Drug", "disease", TREATMENTS)]
    sentence = refusal(*GRAPH, *leaking)
    assert (
        '["indication (Drug, disease)", "treats (Drug, disease)"]' in sentence and "(and 1 more)" in sentence
    )


def test_known_negatives_leak_as_well():
    contraindicated = drawn(150, seed=5)
    table = [*GRAPH, *rows("contraindication", "drug", "disease", contraindicated)]
    sentence = refusal(
        *table, *rows("warns", "Drug", "disease", contraindicated), target={"negative": ["contraindication"]}
    )
    assert "150 of the 150 pairs of target.negative" in sentence
    build(
        [*table, *rows("warns", "Drug", "disease", drawn(150, seed=6))],
        target={"negative": ["contraindication"]},
    )


@pytest.mark.parametrize("share", [0.15, 0.3])
def test_a_share_of_the_treatments_among_many_other_pairs_is_detected(share):
    size = {"heads": 400, "tails": 400}
    treatments, others = drawn(600, **size), drawn(600, seed=9, **size)
    table = rows("indication", "drug", "disease", treatments)
    mixed = treatments[: int(600 * share)] + others
    assert "the relation related connects" in refusal(*table, *rows("related", "Drug", "disease", mixed))
    build([*table, *rows("related", "Drug", "disease", others)])


def test_equal_names_distinguish_a_leak_from_numeric_ids_that_agree_by_accident():
    size, plain = {"heads": 400, "tails": 400}, {"head": "{}", "tail": "{}"}
    treatments = drawn(600, **size)
    mixed = treatments[:180] + drawn(600, seed=9, **size)
    table = [
        *rows("indication", "drug", "disease", treatments, **plain),
        *rows("related", "Drug", "disease", mixed, **plain),
    ]
    (overlap,) = leaks.find_overlaps(build(table)[0], TARGET)
    assert overlap.is_beyond_chance and overlap.same_ends == 0 and not overlap.is_leak
    nodes = [(node_type, str(number)) for node_type in ("drug", "Drug") for number in range(400)]
    same_names = nodes_table([(node_type, id_, f"{node_type} {id_}") for node_type, id_ in nodes])
    assert "the relation related connects" in refusal(*table, nodes=same_names)
    other_names = nodes_table([(node_type, id_, f"{ord(node_type[0])} {id_}") for node_type, id_ in nodes])
    build(table, nodes=other_names)


# ---- what is no leak ----


def test_relations_have_no_overlap_if_each_type_has_its_own_ids():
    kg, ledger = build(GRAPH)
    assert leaks.find_overlaps(kg, TARGET) == [] and warned(ledger) == []


@pytest.mark.parametrize("seed", range(20))
def test_ids_that_agree_across_types_by_accident_are_no_leak(seed):
    """Drugs, diseases and genes are all numbered from 0, so each relation repeats some target pairs by id."""
    plain = {"head": "{}", "tail": "{}"}
    table = [
        *rows("indication", "drug", "disease", drawn(300, seed=seed), **plain),
        *rows("binds", "drug", "gene", drawn(500, seed=seed + 100), **plain),
        *rows("associated", "disease", "gene", drawn(500, seed=seed + 200), **plain),
        *rows("interacts", "drug", "drug", drawn(500, seed=seed + 300), **plain),
        *rows("is_a", "disease", "disease", drawn(100, seed=seed + 400), **plain),
    ]
    kg, _ = build(table)
    overlaps = leaks.find_overlaps(kg, TARGET)
    assert {overlap.relation for overlap in overlaps} == {"binds", "associated", "interacts", "is_a"}
    assert all(overlap.pairs > 0 and not overlap.is_beyond_chance for overlap in overlaps)
    leaking = rows("treats", "Drug", "disease", drawn(300, seed=seed), **plain)
    assert "the relation treats connects" in refusal(*table, *leaking)


@pytest.mark.parametrize("directed", [[], ["interacts"]])
def test_the_expected_overlap_is_that_of_random_edges(directed):
    plain = {"head": "{}", "tail": "{}"}
    treatments = rows("indication", "drug", "disease", drawn(300), **plain)
    expected, observed = [], []
    for seed in range(30):
        table = [
            *treatments,
            *rows("binds", "drug", "gene", drawn(400, seed=seed + 1), **plain),
            *rows("interacts", "drug", "drug", drawn(400, seed=seed + 50), **plain),
        ]
        overlaps = leaks.find_overlaps(build(table, directed_relations=directed)[0], TARGET)
        expected.append([overlap.expected for overlap in overlaps])
        observed.append([overlap.pairs for overlap in overlaps])
    # Two nodes of high degree have at most one edge, so the expectation is a little too high.
    assert np.mean(observed, axis=0) == pytest.approx(np.mean(expected, axis=0), rel=0.15)


def test_ids_that_agree_within_connected_groups_are_no_leak():
    """Drug 7, disease 7 and gene 7 are in one group, and edges stay within groups, as in the demo graph."""
    rng = np.random.default_rng(0)

    def within(count, width):
        ends = rng.integers(0, (60, width), (20 * count, 2))
        return np.unique(ends[ends[:, 0] % 5 == ends[:, 1] % 5], axis=0)[::2][:count].tolist()

    plain = {"head": "{}", "tail": "{}"}
    table = rows("indication", "drug", "disease", within(120, 60), **plain)
    _, ledger = build([*table, *rows("binds", "drug", "gene", within(500, 150), **plain)])
    assert all("binds connects drug and gene" in sentence for sentence in warned(ledger))


def test_the_demo_graph_has_no_leak_until_one_is_added(tmp_path):
    path = tmp_path / "edges.parquet"
    build_demo.main(edges_out=path, scale=0.01, seed=7)
    table = tables.read(path, list(SETTINGS["columns"].values()))

    kg = ingest.build(table, GraphSettings(**SETTINGS), BOTH).kg
    overlaps = leaks.find_overlaps(kg, BOTH)
    assert sum(overlap.pairs for overlap in overlaps) > 50
    assert not any(overlap.is_leak or overlap.is_beyond_chance for overlap in overlaps)
    frame = table.to_pandas().astype(str)
    leaking = frame[frame["relation"] == "indication"].replace("drug", "Drug").replace("indication", "treats")
    with_leak = pa.Table.from_pandas(pd.concat([frame, leaking]), preserve_index=False)
    with pytest.raises(InputError, match="the relation treats connects Drug and disease"):
        ingest.build(with_leak, GraphSettings(**SETTINGS), BOTH)


def test_another_relation_with_the_name_of_a_target_relation_gives_a_warning_and_is_no_leak():
    table = [*GRAPH, *rows("indication", "drug", "gene", drawn(100, seed=8), tail="G{}")]
    _, ledger = build(table)
    (sentence,) = warned(ledger)
    assert (
        "the relation indication of target.positive also connects drug and gene (100 edges; 0 of the"
        in sentence
    )


def test_a_relation_between_the_target_types_leaves_the_graph_and_is_no_leak():
    kg, _ = build([*GRAPH, *rows("treats", "drug", "disease", TREATMENTS)])
    assert triples(kg)["drug", "treats", "disease"] == "excluded"
    assert leaks.find_overlaps(kg, TARGET) == []


# ---- the config keys ----


@pytest.mark.parametrize("key", ["exclude_relations", "keep_relations"])
def test_an_entry_that_matches_no_relation_is_refused_with_similar_ones(key):
    assert f"graph.{key} lists bind" in refusal(*GRAPH, **{key: ["bind"]})
    sentence = refusal(*GRAPH, **{key: ["binds (Drug, gene)"]})
    assert (
        f"graph.{key} lists binds (Drug, gene)" in sentence and "choose from binds (drug, gene)" in sentence
    )


def test_a_target_relation_cannot_be_excluded_with_its_types_either():
    for entry in ("indication (drug, disease)", "indication (disease, drug)"):
        assert "graph.exclude_relations and in target" in refusal(exclude_relations=[entry])


# ---- the certificate ----


def certified(kg, kept=()):
    return certificate.certify(kg, pairs.label(kg, TARGET), TARGET, kept)


def test_the_certificate_fails_if_a_graph_has_target_pairs_under_other_types():
    leaking = [*GRAPH, *rows("treats", "Drug", "disease", TREATMENTS)]
    kg, _ = build(leaking, keep_relations=["treats"])
    with pytest.raises(RuntimeError, match=r"no message relation repeats the pairs by id.* \(1 violations\)"):
        certified(kg)
    (row,) = certified(kg, ["treats (Drug, disease)"])["overlaps"]
    assert (row["pairs"], row["labelled"], row["leak"], row["kept"]) == (200, 201, True, True)
    assert row["expected"] < 60


def test_the_certificate_lists_overlaps_with_their_expectation_by_chance():
    plain = {"head": "{}", "tail": "{}"}
    treatments = rows("indication", "drug", "disease", drawn(300), **plain)
    kg, _ = build([*treatments, *rows("binds", "drug", "gene", drawn(400, seed=1), **plain)])
    content = certified(kg)
    (row,) = content["overlaps"]
    assert row["pairs"] > 10 and row["expected"] == pytest.approx(row["pairs"], rel=0.5) and not row["leak"]
    assert certificate.OVERLAP_CHECK in [check["name"] for check in content["checks"]]


def test_an_error_shows_spaces_at_the_end_of_a_type():
    with pytest.raises(InputError) as caught:
        build([*GRAPH, *rows("treats", "drug ", "disease", TREATMENTS)])
    assert 'connects disease and "drug "' in str(caught.value)
