"""Devices with the same nearest neighbours agree, also if their vectors differ; others do not agree."""

import dataclasses

import candidate_lists
import numpy as np
import pandas as pd
import planted
import pyarrow as pa
import pytest

import write_agreement
from repurpose.config.sections import AgreementSettings
from repurpose.core import files
from repurpose.gate import agreement
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.report import summary
from repurpose.vectors import embeddings

SETTINGS = AgreementSettings(
    neighbours=5,
    top=3,
    first_steps=3,
    min_neighbour_overlap=0.5,
    min_cka=0.5,
    min_candidate_overlap=0.5,
    max_loss_difference=0.02,
)
CONNECTED = {"drug": np.ones(40, bool), "disease": np.ones(60, bool)}


def vectors(seed, width=6):
    generator = np.random.default_rng(seed)
    return {t: generator.normal(size=(len(rows), width)) for t, rows in CONNECTED.items()}


def rotated(vectors_by_type, seed=9):
    """The same vectors after a rotation, a scaling and a shift."""
    generator = np.random.default_rng(seed)
    rotation = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    return {t: 3.0 * rows @ rotation + 1.5 for t, rows in vectors_by_type.items()}


def device(name, vectors_by_type, losses=(1.4, 1.3, 1.2, 1.0), batching="full", candidates=None):
    return agreement.DeviceRun(name, batching, vectors_by_type, list(losses), candidates)


def compare(*devices, **changes):
    settings = AgreementSettings(**{**vars(SETTINGS), **changes})
    return agreement.compare(devices, CONNECTED, settings, seed=0)


def values(pair):
    return {check["name"]: check["value"] for check in pair["checks"]}


def test_a_rotated_space_agrees_in_full_and_an_unrelated_one_does_not():
    result = compare(
        device("cpu", vectors(0)), device("cuda", rotated(vectors(0))), device("mps", vectors(1))
    )
    same, other, third = result["pairs"]
    assert [pair["devices"] for pair in result["pairs"]] == [["cpu", "cuda"], ["cpu", "mps"], ["cuda", "mps"]]
    assert values(same) == pytest.approx({"neighbour_overlap": 1.0, "cka": 1.0, "first_losses": 0.0})
    assert same["agrees"] and not other["agrees"] and not third["agrees"] and not result["agrees"]
    for row in other["types"].values():
        assert abs(row["neighbour_overlap"] - row["chance"]) < 0.08
        assert abs(row["cka"]) < 0.15


def test_cka_of_independent_vectors_is_0_on_average_but_the_biased_estimate_is_far_above_0():
    generator = np.random.default_rng(0)
    pairs = [(generator.normal(size=(30, 40)), generator.normal(size=(30, 40))) for _ in range(50)]
    assert abs(np.mean([agreement.cka(*two) for two in pairs])) < 0.02

    def biased_cka(first, second):
        first, second = (rows - rows.mean(axis=0) for rows in (first, second))
        cross = np.linalg.norm(first.T @ second) ** 2
        return cross / (np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second))

    assert np.mean([biased_cka(*two) for two in pairs]) > 0.4


def test_cka_of_many_rows_is_close_to_the_biased_estimate():
    generator = np.random.default_rng(1)
    first = generator.normal(size=(1500, 4))
    second = first @ generator.normal(size=(4, 3)) + generator.normal(size=(1500, 3))
    a, b = (rows - rows.mean(axis=0) for rows in (first, second))
    biased = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    assert agreement.cka(first, second) == pytest.approx(biased, abs=0.003)


def test_constant_vectors_have_no_cka_and_do_not_pass():
    constant = {t: np.full(rows.shape, 0.1) for t, rows in vectors(0).items()}
    assert agreement.cka(constant["drug"], vectors(0)["drug"]) is None
    (pair,) = compare(device("cpu", vectors(0)), device("cuda", constant))["pairs"]
    assert values(pair)["cka"] is None and not pair["agrees"]


def test_neighbour_overlap_equals_a_count_by_hand():
    """Four points, almost on a line; the nearest is by direction from their centre."""
    first = np.array([[-2.0, 0.1], [-1.0, 0.1], [1.0, -0.1], [2.0, -0.1]])
    assert agreement.neighbour_overlap(first, first, np.arange(4), 1) == 1.0
    # The second and the third point are swapped: the nearest point changes for all four.
    assert agreement.neighbour_overlap(first, first[[0, 2, 1, 3]], np.arange(4), 1) == 0.0


def test_losses_are_compared_only_between_devices_with_the_same_batching():
    shifted = (1.4, 1.33, 1.2, 9.0)  # only the first three steps are compared
    (same,) = compare(device("cpu", vectors(0)), device("cuda", vectors(0), shifted))["pairs"]
    assert values(same)["first_losses"] == pytest.approx(0.03 / 1.33)
    assert not same["agrees"]
    (other,) = compare(
        device("cpu", vectors(0)), device("cpu-sampled", vectors(0), shifted, batching="sampled")
    )["pairs"]
    assert "first_losses" not in values(other) and other["agrees"]


@pytest.mark.parametrize("losses", [(), (1.4, None, 1.2)])
def test_missing_losses_do_not_pass(losses):
    (pair,) = compare(device("cpu", vectors(0)), device("cuda", vectors(0), losses))["pairs"]
    assert values(pair)["first_losses"] is None and not pair["agrees"]


def test_a_refused_device_is_named_and_agrees_with_no_other():
    (pair,) = compare(device("cpu", vectors(0)), device("mps", {}, ()))["pairs"]
    assert values(pair) == {"neighbour_overlap": None, "cka": None, "first_losses": None}
    assert pair["notes"] == ["cpu has no candidates", "mps has no vectors"] and not pair["agrees"]


def test_types_with_few_connected_nodes_are_left_out():
    few = {**CONNECTED, "drug": np.arange(40) < agreement.MIN_NODES - 1}
    (pair,) = agreement.compare(
        [device("cpu", vectors(0)), device("cuda", vectors(0))], few, SETTINGS, seed=0
    )["pairs"]
    assert list(pair["types"]) == ["disease"]


def test_runs_with_different_seeds_are_compared_without_a_judgement():
    first, second = device("cpu-seed1", vectors(0)), device("cpu-seed2", vectors(1), (9.0, 1.0, 1.0))
    (judged,) = compare(first, second)["pairs"]
    result = compare(dataclasses.replace(first, seed=1), dataclasses.replace(second, seed=2))
    (pair,) = result["pairs"]
    assert values(pair) == values(judged) and pair["types"] == judged["types"] and not judged["agrees"]
    assert pair["agrees"] is None and result["agrees"] is None
    assert {check["passed"] for check in pair["checks"]} == {None}
    assert {check["threshold"] for check in pair["checks"]} == {None}
    assert pair["notes"][-1] == "their seeds differ, so the tolerances do not apply"
    assert summary.disagreements(result) == []


@pytest.mark.parametrize("agrees", [True, False])
def test_runs_with_the_same_seed_are_judged_whatever_other_seeds_there_are(agrees):
    runs = [
        dataclasses.replace(device(name, vectors(number)), seed=seed)
        for name, number, seed in (
            ("cpu-seed1", 0, 1),
            ("cuda-seed1", 0 if agrees else 5, 1),
            ("cpu-seed2", 1, 2),
        )
    ]
    result = compare(*runs)
    assert result["agrees"] is agrees
    assert [pair["agrees"] for pair in result["pairs"]] == [agrees, None, None]


def table(best, known=()):
    """Rows of candidates.parquet: tail -> heads, best first."""
    rows = [
        {"tail_id": tail, "head_id": head, "known": "indication" if (head, tail) in known else ""}
        for tail, heads in best.items()
        for head in heads
    ]
    return pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)


def test_a_shortlist_has_the_best_unknown_heads_whatever_the_batches():
    rows = table({"x": "abcde", "y": "edcba"}, known={("b", "x")})
    whole = agreement.shortlist(rows.to_batches(), 3)
    assert whole == {"x": {"a", "c", "d"}, "y": {"e", "d", "c"}}
    assert agreement.shortlist(rows.to_batches(max_chunksize=2), 3) == whole
    assert agreement.shortlist([], 3) == {}


def test_candidate_overlap_equals_a_count_by_hand():
    first, second = {"x": {"a", "b"}, "y": {"a", "b"}}, {"x": {"b", "c"}, "z": {"a", "b"}}
    assert agreement.candidate_overlap(first, second) == 0.25  # one of two for x, none for y
    assert agreement.candidate_overlap({}, second) is None
    (pair,) = compare(
        device("cpu", vectors(0), candidates=first), device("cuda", vectors(0), candidates=second)
    )["pairs"]
    assert values(pair)["candidate_overlap"] == 0.25 and not pair["agrees"] and not pair["notes"]


def test_a_difference_out_of_tolerance_is_written_as_a_sentence():
    result = compare(device("cpu", vectors(0)), device("cuda", rotated(vectors(0)), (1.4, 1.5, 1.2)))
    assert summary.disagreements(result) == [
        "cpu and cuda do not agree: first losses is 0.133, at most 0.02 was expected"
    ]
    assert summary.disagreements(compare(device("cpu", vectors(0)), device("cuda", vectors(0)))) == []


def test_the_script_reads_vectors_in_the_order_of_the_graph(tmp_path, caplog):
    kg = planted.repurposing(30, 24)[0]
    graph_files = GraphFiles.in_folder(tmp_path)
    graph.save(kg, graph_files)
    generator = np.random.default_rng(0)
    rows = {t: generator.normal(size=(kg.count(t), 4)).astype(np.float32) for t in kg.node_types}
    scores = generator.normal(size=(kg.count("drug"), kg.count("disease"))).astype(np.float32)
    best = [candidate_lists.ranked(kg, scores, per_tail=5)]
    files.write_table(tmp_path / "candidates.parquet", pa.concat_tables(best))
    files.write_table(tmp_path / "history.parquet", pa.table({"link": [1.3, 1.2, 1.1]}))
    embeddings.write(tmp_path / "cpu.parquet", kg, rows, {})
    files.write_table(  # the same file, its rows in another order
        tmp_path / "mps.parquet", files.read_table(tmp_path / "cpu.parquet")[::-1]
    )

    def compare_named(*names):
        write_agreement.main(
            graph_files=graph_files,
            names=names,
            batchings=["full", "sampled"],
            vectors=[tmp_path / "cpu.parquet", tmp_path / "mps.parquet"],
            histories=[tmp_path / "history.parquet"] * 2,
            candidates=[tmp_path / "candidates.parquet", None],
            agreement_out=tmp_path / "agreement.json",
            settings=SETTINGS,
            seed=0,
        )
        return files.read_json(tmp_path / "agreement.json")

    assert compare_named("cpu-seed1", "mps-seed2")["agrees"] is None
    assert compare_named("cpu-seed1", "mps-seed1")["agrees"] is True
    compare_named("cpu", "mps")
    (pair,) = files.read_json(tmp_path / "agreement.json")["pairs"]
    assert values(pair) == pytest.approx({"neighbour_overlap": 1.0, "cka": 1.0})
    assert pair["notes"] == ["mps has no candidates"]
    assert not caplog.records
