import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import require_pass
import write_outcome
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.report import summary

LEDGER = {"rows": 90, "dropped": {"self-loop": 2, "duplicate": 3}, "nodes": {"drug": 4, "disease": 5}}
EVIDENCE = ("head_id", "tail_id", "paths", "reasons")
NO_EVIDENCE = pa.table({name: pa.array([], pa.string()) for name in EVIDENCE})
RELATIONS = [{"relation": "indication", "edges": 7}, {"relation": "drug_protein", "edges": 30}]


def check(name, passed, reason="", remedy=""):
    row = {"name": name, "value": 0.5, "null": None, "threshold": 0.6}
    return {**row, "passed": passed, "reason": reason, "remedy": remedy}


def verdict(*checks, device="cpu"):
    classic = {"final_loss": 0.5, "mean_cosine": 0.1, "components_at_90": None}
    passed = all(row["passed"] for row in checks)
    return {"device": device, "passed": passed, "checks": list(checks), "classic": classic, "notes": []}


def training(status="completed", reason="", remedy=""):
    record = {"status": status, "reason": reason, "remedy": remedy, "batching": "full", "floor": 1.386}
    return {**record, "steps": 60, "seconds": 12.5, "peak_rss_bytes": 10**9}


def candidates(scores, known=None):
    count = len(scores)
    return pa.table(
        {
            "head_id": [f"D{index}" for index in range(count)],
            "head_name": [f"drug {index}" for index in range(count)],
            "tail_id": ["3091"] * count,
            "tail_name": ["asthma"] * count,
            "score": pa.array(scores, pa.float64()),
            "probability": pa.array(np.full(count, 0.25)),
            "rank_of_drug_for_disease": pa.array(range(1, count + 1), pa.int32()),
            "known": known or [""] * count,
            "caution": [""] * count,
            "rank_low": pa.array(range(1, count + 1), pa.int32()),
            "rank_high": pa.array(range(1, count + 1), pa.int32()),
        }
    )


def ranked(table):
    popular = pa.table({"head_id": ["D0"]})
    return summary.Ranked(
        {"schemes": {}}, table, NO_EVIDENCE, popular, {"members": 1, "lists": []}, {}, {"reason": "few"}
    )


def row(device, passed, reason="", remedy=""):
    return {"device": device, "passed": passed, "reason": reason, "remedy": remedy}


def make_summary(*rows, certificate=None):
    return summary.summary(rows, RELATIONS, LEDGER, certificate or {"positives": 7, "negatives": 9})


def test_a_device_that_passed_has_its_metrics_and_best_pairs_and_no_reason():
    table = candidates([0.1, 0.9, 0.5], ["", "indication", ""])
    outcome = summary.outcome(verdict(check("effective_rank", True)), training(), ranked(table), 128)
    assert (
        outcome["passed"] and not outcome["reason"] and not outcome["remedy"] and not outcome["checks_failed"]
    )
    assert (
        outcome["metrics"] == {"schemes": {}}
        and outcome["candidates"] == 3
        and outcome["embedding_dim"] == 128
    )
    assert outcome["final_link"] == 0.5 and outcome["floor"] == 1.386 and outcome["steps"] == 60
    # The pair with the best score has a known relation, so it is left out.
    assert [pair["head_id"] for pair in outcome["top"]] == ["D2", "D0"]
    assert set(outcome["top"][0]) == {*summary.PAIR_COLUMNS, "treated", "reason", "path", "path_change"}


def test_a_device_that_failed_names_each_failed_check_with_its_reason():
    rows = [check("finite_vectors", True), check("effective_rank", False, "it is 1.2", "lower the rate")]
    rows.append(check("link_auroc_uniform", False, "it is 0.5", "lower the rate"))
    outcome = summary.outcome(verdict(*rows), training(), None, 128)
    assert outcome["reason"] == "effective_rank: it is 1.2; link_auroc_uniform: it is 0.5"
    assert outcome["checks_failed"] == ["effective_rank", "link_auroc_uniform"]
    assert outcome["remedy"] == "lower the rate"
    assert outcome["metrics"] is None and outcome["candidates"] is None and outcome["top"] is None


def test_a_training_that_did_not_complete_gives_the_reason_of_its_device():
    record = training("diverged", "the loss was nan at step 3", "lower training.learning_rate")
    judged = verdict(check("training_completed", False, "the training ended as diverged"))
    outcome = summary.outcome(judged, record, None, 128)
    assert outcome["reason"] == "diverged: the loss was nan at step 3"
    assert outcome["remedy"] == "lower training.learning_rate"


def test_an_outcome_is_strict_json_if_values_are_not_finite():
    table = candidates([float("nan"), float("inf"), 0.5, None])
    record = training() | {"seconds": float("nan"), "floor": float("inf")}
    judged = verdict(check("effective_rank", True))
    judged["classic"]["final_loss"] = float("nan")
    outcome = summary.outcome(judged, record, ranked(table), 2)
    json.dumps(outcome, allow_nan=False)
    assert outcome["seconds"] is None and outcome["floor"] is None and outcome["final_link"] is None
    assert [pair["score"] for pair in outcome["top"]] == [0.5, None, None, None]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=120))
def test_the_top_pairs_are_the_first_of_a_full_sort(drawn):
    scores = [float(score) for score, _ in drawn]
    known = ["indication" if is_known else "" for _, is_known in drawn]
    table = candidates(scores, known)
    novel = [pair for pair in table.to_pylist() if pair["known"] == ""]
    expected = sorted(novel, key=lambda pair: (-pair["score"], pair["tail_id"], pair["head_id"]))
    assert summary.top_pairs(table, NO_EVIDENCE) == [
        {**pair, "treated": False, "reason": "", "path": "", "path_change": None}
        for pair in expected[: summary.TOP_PAIRS]
    ]


def test_a_top_pair_has_its_first_reason_and_the_path_whose_removal_lowers_its_score_most():
    table = candidates([0.1, 0.9, 0.5])
    paths = [[{"text": "first", "change": 0.1}, {"text": "best", "change": -0.5}], []]
    reasons = [[{"text": "votes", "voters": ["a for b", "c for d"]}, {"text": "other", "voters": []}]]
    columns = {"head_id": ["D1", "D2"], "tail_id": ["3091"] * 2, "paths": paths, "reasons": [*reasons, []]}
    top = summary.top_pairs(table.replace_schema_metadata({"treated": '["3091"]'}), pa.table(columns))
    assert all(pair["treated"] for pair in top)
    assert [pair["reason"] for pair in top] == ["votes (a for b, c for d)", "", ""]
    assert [pair["path"] for pair in top] == ["best", "", ""]
    assert [pair["path_change"] for pair in top] == [-0.5, None, None]


def test_the_summary_counts_the_graph_and_the_pairs():
    counted = make_summary(row("cpu", True), row("mps", False, "x: y"))
    assert counted["passed"] == ["cpu"]
    assert counted["graph"] == {"nodes": 9, "edges": 37, "relations": 2, "rows": 90, "dropped": 5}
    assert counted["pairs"] == {"positives": 7, "negatives": 9}
    nested = {"pairs": {"positives": 1, "negatives": 2, "conflicts": 3}}
    assert make_summary(row("cpu", True), certificate=nested)["pairs"] == {"positives": 1, "negatives": 2}


def test_the_verdict_is_one_sentence_for_none_some_or_all_passed():
    failed = row("cpu", False, "effective_rank: 1.2 is not above 3")
    refused = row("mps", False, "refused: no memory", "lower hgt.hidden_dim")
    neither = summary.verdict_sentence(make_summary(failed, refused))
    assert neither == (
        "no device passed the gate: cpu: effective_rank: 1.2 is not above 3; "
        "mps: refused: no memory; lower hgt.hidden_dim"
    )
    mixed = summary.verdict_sentence(make_summary(row("cuda", True), refused))
    assert (
        mixed == "1 of 2 devices passed the gate: cuda; failed: mps: refused: no memory; lower hgt.hidden_dim"
    )
    assert summary.verdict_sentence(make_summary(row("cpu", True))) == "1 of 1 device passed the gate: cpu"


def vectors(path, column_type):
    table = pa.table({"node_id": ["a"], "embedding": pa.array([[1.0, 2.0, 3.0]], column_type)})
    files.write_table(path, table)
    return path


def test_the_dimension_is_read_from_the_schema(tmp_path):
    path = vectors(tmp_path / "embeddings.parquet", pa.list_(pa.float32(), 3))
    assert summary.embedding_dim(path) == 3


def test_an_unreadable_embedding_file_is_named(tmp_path):
    path = tmp_path / "embeddings.parquet"
    path.write_bytes(b"PAR1 half a file")
    with pytest.raises(
        InputError, match=r"embeddings\.parquet is not a readable embedding file; make it again"
    ):
        summary.embedding_dim(path)
    with pytest.raises(InputError, match="lists of one fixed size"):
        summary.embedding_dim(vectors(path, pa.list_(pa.float32())))


def test_the_outcome_is_written_with_and_without_a_classifier(tmp_path):
    embeddings = vectors(tmp_path / "embeddings.parquet", pa.list_(pa.float32(), 3))
    for name, content in (("training", training()), ("metrics", {"schemes": {}})):
        files.write_json(tmp_path / f"{name}.json", content)
    files.write_json(tmp_path / "verdict.json", verdict(check("effective_rank", True)))
    files.write_table(tmp_path / "candidates.parquet", candidates([0.5]))
    inputs = {
        "verdict_in": tmp_path / "verdict.json",
        "training": tmp_path / "training.json",
        "embeddings": embeddings,
    }
    evidence = {"head_id": ["D0"], "tail_id": ["3091"], "paths": [[{"text": "by a gene", "change": None}]]}
    evidence["reasons"] = [[{"text": "votes", "voters": []}]]
    files.write_table(tmp_path / "evidence.parquet", pa.table(evidence))
    listed = pa.table({"head_id": [f"D{at}" for at in range(20)], "listed": list(range(20, 0, -1))})
    files.write_table(tmp_path / "popularity.parquet", listed)
    stable = {"members": 2, "lists": [{"n": 100, "commonality": 0.9, "spearman": 0.8}]}
    files.write_json(tmp_path / "stability.json", stable)
    files.write_json(tmp_path / "lists.json", {"untreated": {"lists": 59}})
    files.write_json(tmp_path / "negatives.json", {"reason": "", "model": "trees", "digest": "0"})
    names = "metrics.json", "candidates.parquet", "evidence.parquet", "popularity.parquet", "stability.json"
    names += ("lists.json", "negatives.json")
    for name in ("by_head", "listed"):
        files.write_table(tmp_path / f"{name}.parquet", pa.table({"head_id": [name]}))
        names += (f"{name}.parquet",)
    extra = {name.partition(".")[0]: tmp_path / name for name in names}
    write_outcome.main(**inputs, ranked_files=extra, outcome_out=tmp_path / "full.json")
    write_outcome.main(**inputs, ranked_files={}, outcome_out=tmp_path / "bare.json")
    full, bare = files.read_json(tmp_path / "full.json"), files.read_json(tmp_path / "bare.json")
    assert full["top"][0]["path"] == "by a gene" and full["top"][0]["reason"] == "votes"
    # The report reads these files, so their content must show in the outcome.
    assert sorted(full["digests"]) == ["by_head", "candidates", "evidence", "listed"] and not bare["digests"]
    assert full["digests"]["listed"] == files.digest(tmp_path / "listed.parquet")
    assert full["popular"] == listed.to_pylist()[:10] and bare["popular"] is None
    assert full["stability"] == stable and bare["stability"] is None
    assert full["lists"] == {"untreated": {"lists": 59}} and bare["lists"] is None
    assert full["negatives"] == {"reason": ""}
    assert full["embedding_dim"] == 3 and len(full["top"]) == 1 and full["metrics"] == {"schemes": {}}
    assert bare["top"] is None and bare["metrics"] is None and bare.keys() == full.keys()


def test_a_run_without_a_passing_device_fails_with_the_verdict(tmp_path):
    path, out = tmp_path / "summary.json", tmp_path / "passed.json"
    files.write_json(path, make_summary(row("cpu", False, "effective_rank: it is 1.2")))
    with pytest.raises(InputError, match=r"^no device passed the gate: cpu: effective_rank: it is 1\.2$"):
        require_pass.main(summary_in=path, passed_out=out)
    assert not out.exists()
    files.write_json(path, make_summary(row("cpu", False, "x: y"), row("mps", True)))
    require_pass.main(summary_in=path, passed_out=out)
    assert files.read_json(out) == {"passed": ["mps"]}


def hgt_metrics(auprc, mrr):
    def estimate(value):
        return None if value is None else {"value": value, "low": value - 1, "high": value + 1}

    methods = dict.fromkeys(summary.SPREAD_METRICS, 0.9) | {"auprc": auprc, "mrr_of_first": mrr}
    hgt = {name: estimate(value) for name, value in methods.items()}
    return {"schemes": {"random": {"hgt": hgt, "svd": {name: estimate(0.1) for name in methods}}}}


def pooled_candidates(runs, count=3):
    """Candidates whose order by score is not that by probability."""
    table = candidates(np.arange(count, dtype=float))
    table = table.set_column(
        table.schema.get_field_index("probability"), "probability", pa.array(np.linspace(0.5, 0.1, count))
    )
    table = table.append_column("listed_by", pa.array([len(runs)] * count, pa.int32()))
    return table.replace_schema_metadata({"runs": json.dumps(runs)})


def test_the_pooled_section_has_the_spread_over_the_pooled_runs_and_the_best_by_mean_log_odds():
    rows = [
        {"device": "cpu-seed1", "metrics": hgt_metrics(0.25, 0.5)},
        {"device": "cpu-seed2", "metrics": hgt_metrics(0.75, None)},
        {"device": "cpu-seed3", "metrics": None},
        {"device": "given", "metrics": hgt_metrics(1.0, 1.0)},
    ]
    section = summary.pooled(rows, pooled_candidates(["cpu-seed1", "cpu-seed2"]))
    assert section["runs"] == ["cpu-seed1", "cpu-seed2"] and section["candidates"] == 3
    spread = section["metrics"]["random"]
    assert spread["auprc"] == {"value": 0.5, "low": 0.25, "high": 0.75}
    assert spread["mrr_of_first"] is None and spread["auroc"]["low"] == spread["auroc"]["high"] == 0.9
    assert [row["head_id"] for row in section["top"]] == ["D2", "D1", "D0"]
    assert section["top"][0]["listed_by"] == 2
    json.dumps(section, allow_nan=False)


def test_a_pool_of_nothing_has_no_metrics_and_no_candidates():
    rows = [{"device": "cpu-seed1", "metrics": hgt_metrics(0.25, 0.5)}]
    empty = {"runs": [], "candidates": 0, "metrics": {}, "top": []}
    assert summary.pooled(rows, pooled_candidates([], 0)) == empty


def test_only_a_config_with_seeds_has_a_pooled_section_and_counts_runs():
    certificate = {"positives": 10, "negatives": 4}
    plain, seeded = (
        [
            summary.outcome(verdict(check("a", passed), device=name), training(), None, 8)
            for name, passed in ((names[0], True), (names[1], False))
        ]
        for names in (("cpu", "mps"), ("cpu-seed1", "cpu-seed2"))
    )
    content = summary.summary(plain, RELATIONS, LEDGER, certificate)
    assert "pooled" not in content
    assert summary.verdict_sentence(content).startswith("1 of 2 devices passed the gate: cpu; failed: mps: ")
    content = summary.summary(seeded, RELATIONS, LEDGER, certificate, None, {"runs": []})
    assert content["pooled"] == {"runs": []}
    assert summary.verdict_sentence(content).startswith("1 of 2 runs passed the gate: cpu-seed1; ")
