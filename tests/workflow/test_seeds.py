"""Several seeds: each device trains once for each, and the candidates of all runs are pooled."""

import json

import endings
import project_runs
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

PER_RUN = (
    "train_embeddings",
    "measure_embeddings",
    "project_embeddings",
    "validate_embeddings",
    "write_outcome",
)
FOR_ALL = ["pool_candidates", "require_pass", "write_agreement", "write_summary"]
# All pairs are kept, so that the pooled candidates can be computed again from those of the runs.
SMALL = {**endings.SMALL, "candidates": {"per_tail": 0}}


def seeds(*numbers):
    return {**SMALL, "seeds": list(numbers)}


@pytest.fixture(name="done", scope="module")
def two_seeds(tmp_path_factory):
    """A folder with the results of a run with two seeds."""
    folder = project_runs.make(tmp_path_factory.mktemp("seeds"))
    run = folder.run(config=seeds(1, 2), small=False)
    assert run.code == 0, run.output
    return folder


def dry_run(done, config):
    run = done.run("--dry-run", config=config, small=False)
    assert run.code == 0, run.output
    return run


def read(done, run, name="candidates/{}/candidates.parquet"):
    return pq.read_table(done.path(name.format(run)))


def test_each_seed_has_an_embedding_file_of_its_own(done):
    files = [done.path(f"embeddings/cpu-seed{seed}/embeddings.parquet") for seed in (1, 2)]
    assert [pq.read_schema(path).metadata[b"seed"] for path in files] == [b"1", b"2"]
    assert files[0].read_bytes() != files[1].read_bytes()
    assert not done.path("embeddings/cpu").exists()


def test_all_runs_are_judged_on_one_split_with_the_same_baselines(done):
    metrics = [
        json.loads(done.path(f"classifier/cpu-seed{seed}/metrics.json").read_text()) for seed in (1, 2)
    ]
    one, other = (each["schemes"]["random"] for each in metrics)
    assert one["svd"] == other["svd"] and one["hgt"] != other["hgt"]
    assert one["hgt"]["positives"] == other["hgt"]["positives"]


def test_the_candidates_of_all_runs_are_pooled(done):
    runs = [
        read(done, f"cpu-seed{seed}").to_pandas().set_index(["tail_id", "head_id"]).sort_index()
        for seed in (1, 2)
    ]
    pooled = read(done, "pooled").to_pandas().set_index(["tail_id", "head_id"]).sort_index()
    probabilities = [run["probability"] for run in runs]
    assert pooled["score"].tolist() == pytest.approx(
        (sum(map(logit, probabilities)) / 2).tolist(), rel=1e-5, abs=1e-6
    )
    assert pooled["probability"].tolist() == pytest.approx((sum(probabilities) / 2).tolist())
    # Pairs with equal scores share the best of their ranks here, and are ranked by index in the runs' lists.
    own = [run.groupby("tail_id")["score"].rank(method="min", ascending=False) for run in runs]
    assert pooled["rank_low"].tolist() == own[0].combine(own[1], min).tolist()
    assert pooled["rank_high"].tolist() == own[0].combine(own[1], max).tolist()
    assert (pooled["rank_high"] > pooled["rank_low"]).any()


def test_summary_agreement_and_report_have_both_runs(done):
    summary = json.loads(done.path("summary.json").read_text())
    names = ["cpu-seed1", "cpu-seed2"]
    assert [row["device"] for row in summary["devices"]] == summary["pooled"]["runs"] == names
    (pair,) = summary["agreement"]["pairs"]
    assert pair["devices"] == names and pair["agrees"] is None and "seeds differ" in pair["notes"][-1]
    assert "Pooled candidates" in done.path("report.html").read_text()


def test_a_run_can_be_queried_by_its_name(done):
    rows = read(done, "cpu-seed2").to_pandas()
    disease = rows["tail_id"][0]
    options = ("--results", done.path(""), "--json", "--disease", disease, "--top", "3", "--device")
    answer = done.command("query_candidates.py", *options, "cpu-seed2")
    assert answer.code == 0, answer.output
    listed = rows[(rows["tail_id"] == disease) & (rows["known"] == "")][:3]
    shown = json.loads(answer.output)
    assert [row["head_id"] for row in shown] == listed["head_id"].tolist()
    assert [row["score"] for row in shown] == pytest.approx(listed["score"].tolist(), rel=1e-5)
    missing = done.command("query_candidates.py", *options, "cpu")
    assert missing.code != 0
    assert "cpu has no candidates; devices that passed their gate: cpu-seed1, cpu-seed2" in missing.output


def test_a_dry_run_afterwards_has_nothing_to_do(done):
    assert "Nothing to be done" in dry_run(done, seeds(1, 2)).output


def test_another_seed_trains_only_that_seed(done):
    rules = dry_run(done, seeds(1, 3)).rules
    assert rules == sorted([*(f"{rule}[cpu-seed3]" for rule in PER_RUN), *FOR_ALL])


def test_a_seed_less_trains_nothing_and_pools_nothing(done):
    assert dry_run(done, seeds(2)).rules == ["require_pass", "write_summary"]


def test_without_seeds_the_run_has_the_plain_name_and_the_single_seed(done):
    rules = dry_run(done, {**SMALL, "seed": 7}).rules
    assert rules == sorted([*(f"{rule}[cpu]" for rule in PER_RUN), "require_pass", "write_summary"])


def test_a_run_that_fails_its_gate_is_not_pooled(done):
    path = done.project / "scripts" / "validate_embeddings.py"
    text = path.read_text()
    right = "    files.write_json(verdict_out, verdict)\n"
    wrong = '    verdict["passed"] = verdict["passed"] and device != "cpu-seed2"\n'
    assert right in text
    try:
        path.write_text(text.replace(right, wrong + right))
        run = done.run(config=seeds(1, 2), small=False)
        assert run.code == 0, run.output
        assert "pool_candidates" in run.made and read(done, "pooled").num_rows == 0
        assert json.loads(done.path("summary.json").read_text())["pooled"]["runs"] == []
    finally:
        path.write_text(text)
    run = done.run(config=seeds(1, 2), small=False)
    assert run.code == 0 and not [job for job in run.rules if job.startswith("train_emb")], run.output
    assert read(done, "pooled").num_rows > 0
