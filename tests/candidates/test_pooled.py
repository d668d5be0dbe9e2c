"""Candidates of several runs are pooled by the mean of their calibrated log-odds, over all pairs."""

import dataclasses

import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidate_lists import annotator, scorer
from scipy.special import expit
from script_runs import ScriptRun

import pool_candidates
from repurpose.candidates import candidates, pooled
from repurpose.candidates.additions import AdditionFiles
from repurpose.candidates.pooled import PooledRun
from repurpose.core import files


def line(slope, level):
    """A calibration curve: log-odds = level + slope * score."""
    return {"margins": [0.0, 1.0], "log_odds": [level, level + slope]}


def run(kg, scores, calibration, **changes):
    """A run whose scores (drugs, diseases) a test chooses; changes: other fields of its annotator."""
    own = dataclasses.replace(annotator(kg), calibration=calibration, **changes)
    return PooledRun(scorer(scores), own)


def rows_of(runs, **options):
    return pa.concat_tables(pooled.rank(runs, **{"per_tail": 0, **options}))


@pytest.fixture(scope="module", name="kg")
def four_drugs_and_two_diseases():
    relations = [
        ("drug", "indication", "disease", "target", [(2, 0)]),
        ("drug", "contraindication", "disease", "target", []),
        ("drug", "binds", "gene", "message", [(0, 0)]),
    ]
    return planted.graph({"disease": 2, "drug": 4, "gene": 1}, relations)


# Log-odds of the first run: score / 2 - 1; of the second: 2 * score - 7. Of disease 0:
#   drug 0: 3, -5; drug 1: 1, 1; drug 2: 2, -1; drug 3: 0, 3. Means -1, 1, 0.5, 1.5.
FIRST = np.array([[8, 0], [4, 0], [6, 0], [2, 4]], np.float32)
SECOND = np.array([[1, 0], [4, 0], [3, 0], [5, 9]], np.float32)


@pytest.fixture(name="two")
def two_runs(kg):
    return [run(kg, FIRST, line(0.5, -1.0)), run(kg, SECOND, line(2.0, -7.0))]


def test_a_case_computed_by_hand(two):
    rows = rows_of(two)
    assert rows.schema == candidates.SCHEMA
    frame = rows.to_pandas()
    frame = frame[frame["tail_id"] == "disease:0"]
    assert frame["head_id"].tolist() == ["drug:3", "drug:1", "drug:2", "drug:0"]
    assert frame["score"].tolist() == [1.5, 1.0, 0.5, -1.0]
    assert frame["rank_of_drug_for_disease"].tolist() == [1, 2, 3, 4]
    # The first run ranks drugs 0, 2, 1, 3; the second 3, 1, 2, 0.
    assert frame["rank_low"].tolist() == [1, 2, 2, 1]
    assert frame["rank_high"].tolist() == [4, 3, 3, 4]
    log_odds = np.array([[0, 3], [1, 1], [2, -1], [3, -5]])
    assert frame["probability"].tolist() == pytest.approx(expit(log_odds).mean(axis=1).tolist())
    assert frame["known"].tolist() == ["", "", "indication", ""]


def test_a_pair_that_one_run_would_not_keep_has_its_exact_mean_and_rank(two):
    best = rows_of(two, per_tail=1).to_pandas()
    first = best[best["tail_id"] == "disease:0"].iloc[0]
    # Of the first run, candidates.parquet with per_tail 1 would hold drug 0 alone.
    assert (first["head_id"], first["score"], first["rank_high"]) == ("drug:3", 1.5, 4)


def test_listed_by_counts_the_runs_with_the_pair_among_their_best(two, monkeypatch):
    monkeypatch.setattr(candidates, "LISTED", 2)
    frame = rows_of(two).to_pandas()
    frame = frame[frame["tail_id"] == "disease:0"]
    assert dict(zip(frame["head_id"], frame["listed_by"], strict=True)) == {
        "drug:3": 1,
        "drug:1": 1,
        "drug:2": 1,
        "drug:0": 1,
    }
    monkeypatch.setattr(candidates, "LISTED", 3)
    frame = rows_of(two).to_pandas()
    frame = frame[frame["tail_id"] == "disease:0"]
    assert frame["listed_by"].tolist() == [1, 2, 2, 1]


def test_the_order_of_the_runs_and_the_chunks_change_nothing(two):
    rows = rows_of(two)
    assert rows_of(two[::-1]).equals(rows) and rows_of(two, chunk=1).equals(rows)


def test_equal_runs_pool_to_their_own_ranking(kg):
    scores = np.random.default_rng(0).normal(size=FIRST.shape).astype(np.float32)
    one = run(kg, scores, line(0.5, -1.0))
    own = pa.concat_tables(candidates.rank(one.score, one.annotator, per_tail=3)).to_pandas()
    rows = rows_of([one, one, one], per_tail=3).to_pandas()
    same = ["head_id", "tail_id", "rank_of_drug_for_disease", "rank_low", "rank_high", "known", "caution"]
    assert rows[same].equals(own[same]) and (rows["listed_by"] == 3).all()
    assert rows["probability"].tolist() == pytest.approx(own["probability"].tolist())


def test_lists_of_treated_tails_have_the_curve_of_treated_tails(kg):
    calibration = {**line(0.5, -1.0), "treated": line(2.0, -7.0)}
    plain, own_curve, other = (
        rows_of([run(kg, FIRST, curve, treated=np.array(treated))] * 2).to_pandas()
        for curve, treated in (
            (line(0.5, -1.0), [True, False]),
            (calibration, [True, False]),
            (line(2.0, -7.0), [False, False]),
        )
    )
    is_treated = plain["tail_id"] == "disease:0"
    assert own_curve["score"][~is_treated].tolist() == plain["score"][~is_treated].tolist()
    assert own_curve["score"][is_treated].tolist() == other["score"][is_treated].tolist()
    assert own_curve["score"][is_treated].tolist() != plain["score"][is_treated].tolist()


def test_chosen_heads_and_tails_are_ranked_among_themselves(two):
    frame = rows_of(two, heads=np.array([0, 2]), tails=np.array([0])).to_pandas()
    assert frame["head_id"].tolist() == ["drug:2", "drug:0"] and set(frame["tail_id"]) == {"disease:0"}
    assert frame["rank_high"].tolist() == [2, 2] and frame["score"].tolist() == [0.5, -1.0]


def test_the_popularity_correction_of_each_run_counts(kg):
    penalties = np.array([0, 0, 0, 6], np.float32)
    runs = [run(kg, FIRST, line(0.5, -1.0)), run(kg, SECOND, line(2.0, -7.0), penalties=penalties)]
    frame = rows_of(runs).to_pandas()
    scores = dict(zip(frame["head_id"] + frame["tail_id"], frame["score"], strict=True))
    assert scores["drug:3disease:0"] == (0 + 2 * (5 - 6) - 7) / 2


def test_cautions_of_all_runs_are_joined_and_their_known_negatives_averaged(kg):
    def cautions(text):
        return np.array([text, "", "", ""], object), np.array(["", ""], object)

    changes = [
        {"cautions": cautions("no binds"), "negative": lambda h, t: np.full(len(h), 0.2, np.float32)},
        {"cautions": cautions("no binds; like no drug"), "negative": None},
        {"cautions": cautions(""), "negative": lambda h, t: np.full(len(h), 0.4, np.float32)},
    ]
    frame = rows_of([run(kg, FIRST, line(0.5, 0.0), **each) for each in changes]).to_pandas()
    assert frame["negative_probability"].tolist() == pytest.approx([0.3] * 8)
    said = frame.set_index(["head_id", "tail_id"])["caution"]
    assert said["drug:0", "disease:0"] == "no binds; like no drug" and said["drug:1", "disease:0"] == ""


@pytest.fixture(scope="module", name="finished")
def finished_run(tmp_path_factory):
    """A finished run of the scripts, on a planted graph."""
    kg, rows = planted.repurposing(40, 30)
    scripts = ScriptRun(tmp_path_factory.mktemp("pooled") / "results")
    scripts.begin(kg, rows)
    scripts.train_baselines()
    scripts.train_classifier()
    scripts.train_contraindications()
    return scripts


def pool(scripts, folder, runs):
    pool_candidates.main(
        names=[f"cpu-seed{seed}" for seed in range(runs)],
        files_of_runs=[scripts.device_files] * runs,
        seeds=range(runs),
        chosen=None,
        additions_in=AdditionFiles(),
        parquet_out=folder / "candidates.parquet",
        csv_out=folder / "candidates.csv",
        target=planted.TARGET,
        per_tail=5,
        correct_popularity=0.0,
    )
    return files.read_table(folder / "candidates.parquet")


def test_the_script_scores_with_the_models_of_finished_runs(finished, tmp_path):
    rows = pool(finished, tmp_path, 2)
    device = pool_candidates.finished.load(finished.device_files, planted.TARGET)
    own = pa.concat_tables(candidates.rank(device.score, device.annotator(0.0, 0), per_tail=5))
    for name in (
        "head_id",
        "tail_id",
        "rank_of_drug_for_disease",
        "caution",
        "known",
        "negative_probability",
    ):
        assert rows[name].equals(own[name]), name
    assert rows["probability"].to_pylist() == pytest.approx(own["probability"].to_pylist())
    assert pq.read_schema(tmp_path / "candidates.parquet").metadata[b"runs"] == b'["cpu-seed0", "cpu-seed1"]'
    assert len((tmp_path / "candidates.csv").read_text().splitlines()) == len(rows) + 1


@pytest.mark.parametrize("passed", [0, 1])
def test_fewer_than_two_runs_are_not_pooled(finished, tmp_path, passed):
    rows = pool(finished, tmp_path, passed)
    assert rows.num_rows == 0 and rows.schema.equals(candidates.SCHEMA)
    assert rows.schema.metadata[b"runs"] == b"[]"
    assert (tmp_path / "candidates.csv").read_text().startswith('"head_id","head_name"')
