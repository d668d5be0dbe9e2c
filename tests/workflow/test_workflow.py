"""The real workflow on the demo graph: all results, reruns of stale steps only, and failing devices."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import project_runs
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from repurpose import results
from repurpose.config import settings
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.results import search
from repurpose.vectors import embeddings

PROJECT = Path(__file__).resolve().parents[2]
CANDIDATES = ["explain_candidates[cpu]", "rank_candidates[cpu]"]
AFTER_THE_GATE = ["require_pass", "write_outcome[cpu]", "write_summary"]


@pytest.fixture(name="done", scope="module")
def finished(tmp_path_factory):
    """A folder with the results of one complete run."""
    folder = project_runs.make(tmp_path_factory.mktemp("workflow"))
    run = folder.run(cores=8)
    assert run.code == 0, run.output
    return folder


@pytest.fixture(name="edited")
def edit_and_restore(done):
    """A function that edits a file of the project copy; the file is restored after the test."""
    original_texts = {}

    def edit(name, change):
        path = done.project / name
        text = path.read_text()
        original_texts.setdefault(path, text)
        assert change(text) != text, f"the edit finds nothing to change in {name}"
        path.write_text(change(text))

    yield edit
    for path, text in original_texts.items():
        path.write_text(text)


def test_a_run_makes_every_file_that_the_design_names(done):
    names = """graph/nodes.parquet graph/edges.parquet graph/relations.json graph/ledger.json
        pairs/pairs.parquet pairs/certificate.json embeddings/cpu/embeddings.parquet
        embeddings/cpu/encoder.safetensors
        candidates/cpu/listed.parquet candidates/cpu/evidence.parquet validation/cpu/map.parquet
        embeddings/cpu/history.parquet embeddings/cpu/training.json validation/cpu/verdict.json
        classifier/cpu/model.ubj classifier/cpu/metrics.json candidates/cpu/candidates.parquet
        candidates/cpu/candidates.csv summary.json report.html README.md logs/train_embeddings/cpu.log
        logs/train_embeddings/cpu.jsonl benchmarks/train_embeddings/cpu.tsv"""
    assert [name for name in names.split() if not done.path(name).is_file()] == []


def test_the_log_shows_a_bar_and_all_three_losses(done):
    text = done.path("logs/train_embeddings/cpu.log").read_text()
    assert "100%" in text
    assert all(f"{name} " in text for name in ("link", "contrastive", "total"))


def test_candidates_are_ranked_and_known_pairs_flagged(done):
    table = pq.read_table(done.path("candidates/cpu/candidates.parquet")).to_pandas()
    assert (table.groupby("tail_id")["rank_of_drug_for_disease"].min() == 1).all()
    assert (
        table.sort_values(["tail_id", "rank_of_drug_for_disease"]).groupby("tail_id")["score"].diff().dropna()
        <= 0
    ).all()
    assert table["probability"].between(0, 1).all()
    assert {"", "indication"} <= set(table["known"])


def test_a_second_run_does_nothing_and_says_so(done):
    run = done.run(cores=8)
    assert run.code == 0
    assert "Nothing to be done" in run.output


def test_the_gate_alone_runs_again_when_a_threshold_changes(done):
    changed = {"gate": {"min_distinct_share": 0.9}}
    run = done.run(config=changed)
    assert run.code == 0, run.output
    assert run.rules == sorted(["validate_embeddings[cpu]", *AFTER_THE_GATE])
    assert done.run().code == 0


def test_only_a_new_device_is_trained(done):
    rules = done.dry_run(config={"devices": ["cpu", "cpu-full"]})
    assert "train_embeddings[cpu-full]" in rules
    assert not [rule for rule in rules if rule.endswith("[cpu]")]
    assert not {"build_graph", "split_pairs", "train_baselines"} & set(rules)


def test_the_effect_of_the_popularity_correction_is_measured_and_shown_if_it_is_on(done):
    def measured_and_shown():
        metrics = json.loads(done.path("classifier/cpu/metrics.json").read_text())
        shown = "Effect of the correction on cpu" in done.path("report.html").read_text()
        return sorted(metrics["popularity_correction"]), sorted(metrics["schemes"]), shown

    measured, schemes, is_shown = measured_and_shown()
    assert measured == [] and not is_shown
    run = done.run(config={"candidates": {"correct_popularity": 0.5}})
    assert run.code == 0, run.output
    assert run.made == sorted([*CANDIDATES, "train_classifier[cpu]", *AFTER_THE_GATE])
    assert measured_and_shown() == (schemes, schemes, True)
    rerun = done.dry_run(config={"candidates": {"correct_popularity": 0.75}})
    assert rerun == sorted([*CANDIDATES, *AFTER_THE_GATE])
    assert done.run().code == 0


def test_a_setting_of_the_trees_retrains_the_classifiers_and_the_baselines_and_no_encoder(done):
    rules = done.dry_run(config={"classifier": {"patience": 29}})
    trained = ["train_baselines", "train_classifier[cpu]", "train_contraindications[cpu]"]
    assert rules == sorted([*CANDIDATES, *trained, *AFTER_THE_GATE])


def test_a_search_proposes_values_runs_stale_steps_alone_and_goes_on_after_a_stop(done):
    pytest.importorskip("optuna", reason="needs envs/search.txt")
    (done.directory / "space.yaml").write_text("classifier.patience: {low: 2, high: 40}\n")
    found = done.path("classifier/cpu/metrics.json").read_bytes()
    options = ["--configfile", str(done.directory / "small.yaml"), "--cores", "2"]
    program = [sys.executable, str(done.project / "scripts" / "search_settings.py"), "space.yaml", *options]

    def searched(trials):
        command = [*program, "--folder", ".", "--trials", str(trials), "--seed", "3"]
        ended = subprocess.run(command, cwd=done.directory, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        asked, *rows = map(json.loads, (done.directory / "trials.jsonl").read_text().splitlines())
        return asked["space"], [search.Trial(**row) for row in rows], ended.stdout

    space, (first,), said = searched(1)
    assert "No trial is better than the config's own values." in said
    assert first.objective == search.objective(json.loads(found)["valid_lists"], "both")
    _, (again, second), said = searched(2)
    assert again == first and second.values == search.propose(space, [first], 3)
    log = (done.directory / "trial-1.log").read_text()
    assert "Training the classifier on the embeddings of cpu" in log and "Training the HGT" not in log
    better = max((first, second), key=lambda trial: trial.objective)
    best = settings.read(done.directory / "best.yaml")
    assert best == search.overlay(better.values) and f"trial {better.number}: " in said
    assert done.run().code == 0


def test_batching_of_other_devices_makes_nothing_stale(done):
    assert done.dry_run(config={"training": {"batching": {"mps": "sampled", "cuda": "sampled"}}}) == []


def test_the_same_settings_in_another_order_make_nothing_stale(done):
    same = {"training": {"valid_every": 10, "epochs": 30}, "hgt": {"heads": 2, "attention": "fused"}}
    assert done.dry_run(config=same) == []


def test_settings_of_sampled_steps_do_not_make_a_full_training_stale(done):
    sampled = {"training": {"sampled_epochs": 9, "batch_size": 99, "fanout": [9, 9]}}
    assert done.dry_run(config=sampled) == []
    assert "train_embeddings[cpu]" in done.dry_run(config={"training": {"edge_sample_size": 99}})


def test_a_training_setting_retrains_and_keeps_the_graph(done):
    rules = done.dry_run(config={"training": {"epochs": 31}})
    assert "train_embeddings[cpu]" in rules
    assert not {"build_demo", "build_graph", "split_pairs", "train_baselines"} & set(rules)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("report/page", ["require_pass", "write_summary"]),
        ("candidates/candidates", [*CANDIDATES, *AFTER_THE_GATE]),
        ("classifier/contraindications", [*CANDIDATES, "train_contraindications[cpu]", *AFTER_THE_GATE]),
        (
            "classifier/classifier",
            [
                *CANDIDATES,
                "train_baselines",
                "train_classifier[cpu]",
                "train_contraindications[cpu]",
                *AFTER_THE_GATE,
            ],
        ),
        ("gate/gate", ["validate_embeddings[cpu]", *AFTER_THE_GATE]),
        (
            "training/training",
            [
                *(f"{rule}[cpu]" for rule in ("measure_embeddings", "project_embeddings")),
                *(f"{rule}[cpu]" for rule in ("train_embeddings", "validate_embeddings")),
                *AFTER_THE_GATE,
            ],
        ),
    ],
)
def test_an_edit_of_library_code_runs_the_rules_that_use_it_and_later_rules(done, edited, module, expected):
    """The rules after a gate that must run again depend on its verdict, so a dry run does not list them."""
    edited(f"scripts/repurpose/{module}.py", lambda text: text + "\nADDED = 1\n")
    assert done.dry_run() == sorted(expected)


@pytest.mark.parametrize(
    "name", ["train_embeddings.py", "repurpose/training/training.py", "repurpose/graph/graph.py"]
)
def test_an_edit_of_a_comment_runs_nothing(done, edited, name):
    edited(f"scripts/{name}", lambda text: "# A comment.\n" + text + "\n\n# Another.\n")
    assert done.dry_run() == []


@pytest.mark.parametrize("name", ["templates/report.html.j2", "templates/style.css", "app/page.js"])
def test_an_edit_of_the_reports_template_runs_the_report(done, edited, name):
    edited(f"scripts/repurpose/report/{name}", lambda text: text + " ")
    assert done.dry_run() == ["require_pass", "write_summary"]


def test_a_run_ends_with_what_came_out_and_its_terminal_is_short(done):
    run = done.run("--forcerun", "write_summary")
    assert run.code == 0, run.output
    lines = run.output.splitlines()
    first = next(number for number, line in enumerate(lines) if "passed the gate" in line)
    end = next(number for number, line in enumerate(lines) if line.startswith("All candidates: "))
    assert end - first < 8 and "Open results/report.html" in lines[end - 1]
    assert re.search(r"^(\d+) of \1 steps done$", run.output, re.MULTILINE), run.output
    assert "Finished jobid" not in run.output
    whole = done.run("--dry-run", "--workflow-profile", "none", "--forcerun", "write_summary")
    assert whole.code == 0 and "Reason: " in whole.output, whole.output


def test_lists_of_shuffled_treatments_stand_in_the_page_until_they_are_deleted(done):
    run = done.run("permuted_labels")
    assert run.code == 0, run.output
    assert "permute_labels[cpu]" in run.rules and "train_classifier[cpu]" not in run.rules
    assert "What chance looks like" in done.path("report.html").read_text()
    chance = json.loads(done.path("summary.json").read_text())["chance"]["cpu"]
    assert set(chance["schemes"]) == {"random", "disease", "drug"}
    assert done.dry_run() == [] == done.dry_run("permuted_labels")
    done.path("permuted/cpu.json").unlink()
    run = done.run()
    assert run.code == 0 and "write_summary" in run.rules and "permute_labels[cpu]" not in run.rules
    assert "What chance looks like" not in done.path("report.html").read_text()


def test_a_single_stage_can_be_requested(done):
    rules = done.dry_run("results/embeddings/cpu-full/embeddings.parquet")
    assert rules == ["train_embeddings[cpu-full]"]


def test_snakemakes_own_report_is_written(done):
    run = done.run("--report", str(done.directory / "report.zip"))
    assert run.code == 0, run.output
    with zipfile.ZipFile(done.directory / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
        whole = archive.read("report/report.html").decode()
    assert {"report.html", "candidates.csv", "README.md"} <= names
    assert "ranks in both lists, probability, known relations, cautions" in whole


def test_a_failing_device_is_reported_and_the_other_goes_on(done):
    """The vectors of one device are all equal: the gate stops this device, and the other goes on."""
    path = done.directory / "constant.parquet"
    kg = graph.load(GraphFiles.in_folder(done.path("graph")))
    embeddings.write(path, kg, {t: np.ones((kg.count(t), 4), np.float32) for t in kg.node_types}, {})
    run = done.run(config={"devices": ["cpu", "given"], "given": str(path)})
    assert run.code == 0, run.output
    summary = json.loads(done.path("summary.json").read_text())
    assert summary["passed"] == ["cpu"]
    row = next(row for row in summary["devices"] if row["device"] == "given")
    assert "distinct_vectors" in row["checks_failed"]
    assert not done.path("classifier/given").exists()
    assert "given" in done.path("report.html").read_text()


def test_equal_trainings_agree_and_a_disagreement_is_shown(done, edited):
    devices = {"devices": ["cpu", "cpu-full"]}
    run = done.run(config=devices)
    assert run.code == 0, run.output
    (pair,) = json.loads(done.path("agreement.json").read_text())["pairs"]
    values = {check["name"]: check["value"] for check in pair["checks"]}
    assert values.pop("first_losses") == 0.0
    assert values == pytest.approx({"neighbour_overlap": 1.0, "cka": 1.0, "candidate_overlap": 1.0})
    assert pair["agrees"] and "do not agree" not in run.output + done.path("report.html").read_text()

    # Planted: the rows of one device are compared in reverse order.
    right = "    aligned = embeddings.aligned(embedded, kg, vectors) if embedded.vectors else {}\n"
    wrong = "    aligned = {t: rows[:: -1 if 'full' in str(vectors) else 1] for t, rows in aligned.items()}\n"
    edited("scripts/write_agreement.py", lambda text: text.replace(right, right + wrong))
    run = done.run(config=devices)
    assert run.code == 0 and "train_embeddings[cpu-full]" not in run.rules, run.output
    disagreement = "cpu and cpu-full do not agree: neighbour overlap is "
    assert disagreement in run.output and disagreement in done.path("report.html").read_text()
    edited("scripts/write_agreement.py", lambda text: text.replace(wrong, ""))
    assert done.run().code == 0


def test_a_sampled_device_trains_and_one_whose_sampler_is_wrong_is_refused(done, edited):
    """A fault exchanges the sources of messages: the self-test detects it and the gate stops the device."""
    sampled = {"devices": ["cpu-sampled"], "training": {"sampled_epochs": 2}}
    record, verdict = "embeddings/cpu-sampled/training.json", "validation/cpu-sampled/verdict.json"
    run = done.run(f"results/{record}", f"results/{verdict}", config=sampled)
    assert run.code == 0, run.output
    assert "the sampler passed its self-test" in run.output
    assert json.loads(done.path(record).read_text())["batching"] == "sampled"
    assert json.loads(done.path(verdict).read_text())["status"] == "completed"
    right = "of_active = self.of_node[rows_of.node[active]]"
    wrong = "of_active = np.roll(self.of_node[rows_of.node[active]], 1)"
    edited("scripts/repurpose/hgt/sampling.py", lambda text: text.replace(right, wrong))
    run = done.run(f"results/{record}", f"results/{verdict}", config=sampled)
    assert run.code == 0, run.output
    assert pq.read_metadata(done.path("embeddings/cpu-sampled/embeddings.parquet")).num_rows == 0
    refused = json.loads(done.path(verdict).read_text())
    assert not refused["passed"]
    assert refused["status"] == "refused"
    assert "the sampler failed its self-test, check 'edges'" in refused["checks"][0]["reason"]
    # The edited code belongs to the other device too, so its results had been set aside.
    edited("scripts/repurpose/hgt/sampling.py", lambda text: text.replace(wrong, right))
    run = done.run()
    assert run.code == 0, run.output
    assert run.output.count("taken back from results/previous") >= 5


def test_imported_embeddings_are_judged_and_ranked_like_trained_ones(done):
    imported = done.directory / "elsewhere.parquet"
    vectors = embeddings.read(done.path("embeddings/cpu/embeddings.parquet"))
    kg = graph.load(GraphFiles.in_folder(done.path("graph")))
    embeddings.write(
        imported, kg, {t: 2 * rows for t, rows in embeddings.aligned(vectors, kg, imported).items()}, {}
    )
    run = done.run(config={"devices": ["cpu", "given"], "given": str(imported)})
    assert run.code == 0, run.output
    assert "import_embeddings" in run.rules and "rank_candidates[given]" in run.rules
    assert not [job for job in run.rules if job.startswith("train_embeddings") or "[cpu]" in job]
    assert "write_agreement" not in run.rules
    verdict = json.loads(done.path("validation/given/verdict.json").read_text())
    assert verdict["passed"] and "come from another tool" in verdict["notes"][0]
    # The measures compare directions, or scale the vectors, so vectors of twice the length have equal values.
    trained_verdict = json.loads(done.path("validation/cpu/verdict.json").read_text())
    values = [{c["name"]: c["value"] for c in judged["checks"]} for judged in (trained_verdict, verdict)]
    assert values[0]["neighbour_enrichment"] == pytest.approx(values[1]["neighbour_enrichment"])
    assert pq.read_table(done.path("candidates/given/candidates.parquet")).num_rows > 0


def test_the_answer_for_one_disease_can_be_requested(done):
    disease = pq.read_table(done.path("candidates/cpu/candidates.parquet"))["tail_id"][0].as_py()
    run = done.run(f"results/answers/cpu/{disease}.json")
    assert run.code == 0, run.output
    rows = json.loads(done.path(f"answers/cpu/{disease}.json").read_text())
    assert {row["tail_id"] for row in rows} == {disease} and {row["known"] for row in rows} == {""}
    assert run.rules == ["answer_question[cpu]"]
    missing = done.run("results/answers/cpu/nowhere.json")
    assert missing.code != 0 and "the graph has no disease called nowhere" in missing.output


def test_the_paths_of_the_demo_go_through_the_planted_mechanisms_more_often_than_by_chance(done):
    whole = done.run()
    assert whole.code == 0, whole.output
    program = [sys.executable, str(PROJECT / "benchmarks" / "explanations.py")]
    options = ["--json", "--results", str(done.path(".")), "--most", "60"]
    scored = subprocess.run([*program, *options], capture_output=True, text=True, check=True)
    rows = {row["kind"]: row for row in map(json.loads, scored.stdout.splitlines())}
    assert set(rows) == {"known indications", "new candidates"}
    found = rows["known indications"]["orders"]["weight"]["whole"]
    assert found["pairs"] > 10 and found["hits@1"] > found["by_chance"] > 0


OUTER = """
module repurpose:
    snakefile: "{project}/Snakefile"
    config: config
    {more}


use rule * from repurpose {names}


rule top:
    default_target: True
    input: "{goal}"
    output: "results/mine/top.txt"
    shell: "head -3 {{input}} > {{output}}"


onstart:
    print("the outer workflow begins", file=sys.stderr)
"""


def of_outer(folder, directory, config, *arguments, goal, names="", more=""):
    """Run a workflow that uses the project as a module, with its own rule `top`."""
    snakefile, overlay = directory / "outer.smk", directory / "outer.yaml"
    snakefile.write_text(
        "import sys\n" + OUTER.format(project=folder.project, goal=goal, names=names, more=more)
    )
    overlay.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", str(snakefile)]
    command += ["--directory", str(directory), *arguments, "--configfile", str(overlay)]
    command += ["--workflow-profile", str(folder.project / "profiles" / "default")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return project_runs.Run(ended.returncode, ended.stdout + ended.stderr)


def test_another_workflow_uses_this_one_as_a_module_and_makes_only_what_is_stale(done):
    assert done.run().code == 0
    goal = "results/candidates/cpu/candidates.csv"
    run = of_outer(done, done.directory, project_runs.SMALL, goal=goal)
    assert run.code == 0 and "the outer workflow begins" in run.output, run.output
    assert "1 of 1 steps done" in run.output and "Training" not in run.output
    mine = done.path("mine/top.txt")
    assert mine.read_text().startswith('"head_id"')
    candidates = {**project_runs.SMALL, "candidates": {"per_tail": 7}}
    run = of_outer(done, done.directory, candidates, goal=goal)
    assert run.code == 0 and "Scoring every pair" in run.output and "Training" not in run.output
    table = pq.read_table(done.path("candidates/cpu/candidates.parquet"))
    assert table.num_rows == 7 * len(table["tail_id"].unique())
    assert settings.read(done.path("config.yaml"))["candidates"]["per_tail"] == 7
    # What the other workflow made is its own, also under results/.
    assert mine.exists() and not done.path("previous/mine").exists()
    impossible = {**project_runs.SMALL, "gate": {"min_auroc_margin": 0.9}}
    run = of_outer(done, done.directory, impossible, goal=goal)
    assert run.code != 0 and "The run stopped:" in run.output and "did not pass the gate" in run.output
    assert mine.exists() and not done.path("candidates/cpu/candidates.csv").exists()
    mine.unlink()
    assert done.run().code == 0


def test_a_module_may_rename_the_rules_and_a_refused_name_puts_everything_back(done, tmp_path):
    options = {"goal": "results/graph/checked.json", "names": "as repurpose_*"}
    run = of_outer(done, tmp_path, project_runs.SMALL, **options)
    assert run.code == 0, run.output
    assert (tmp_path / "results" / "records" / "repurpose_build_graph.json").exists()
    before = project_runs.contents(tmp_path / "results")
    wrong = {**project_runs.SMALL, "candidates": {"tails": ["nobody knows"]}}
    run = of_outer(done, tmp_path, wrong, "--forcerun", "top", **options)
    assert run.code != 0 and "the graph has no disease called nobody knows" in run.output
    after = project_runs.contents(tmp_path / "results")
    assert {n: c for n, c in after.items() if not n.startswith(("mine/", ".run/"))} == {
        n: c for n, c in before.items() if not n.startswith(("mine/", ".run/"))
    }
    run = of_outer(done, tmp_path, project_runs.SMALL, "--dry-run", **options, more='prefix: "sub"')
    assert (
        run.code != 0
        and "leave prefix and replace_prefix out" in run.output
        and "Traceback" not in run.output
    )


def test_a_plan_knows_the_memory_and_disk_of_a_run_and_the_fit_to_a_run_predicts_it(done):
    whole = done.run()
    assert whole.code == 0, whole.output
    planned = done.command("plan_run.py", "--configfile", done.directory / "small.yaml", "--json")
    assert planned.code == 0, planned.output
    stages = json.loads(planned.output)["stages"]
    measured = {
        rule: max(float(path.read_text().splitlines()[1].split("\t")[2]) for path in paths) * 2**20
        for rule in stages
        if (paths := list(done.path(f"benchmarks/{rule}").glob("*.tsv")))
    }
    assert set(stages) == set(measured)
    assert 0.5 < max(stage["memory"] for stage in stages.values()) / max(measured.values()) < 2
    text = done.command("plan_run.py", "--configfile", done.directory / "small.yaml").output
    assert "all, one after the other" in text and "expect a factor of two" in text
    # Fitted to one run, the coefficients predict the same run.
    program = [sys.executable, str(PROJECT / "benchmarks" / "costs.py"), "--json"]
    folders = ["--results", str(done.path(".")), str(done.path("."))]
    fitted = subprocess.run([*program, *folders], capture_output=True, text=True, check=True)
    rows = [json.loads(row) for row in fitted.stdout.splitlines()]
    assert len(rows) == 2 * (len(measured) + 1)
    for row in rows:
        assert [row[f"{name}_ratio"] for name in ("seconds", "memory", "disk")] == pytest.approx([1, 1, 1])


def test_finished_runs_are_compared(done):
    whole = done.run()
    assert whole.code == 0, whole.output
    pair = pq.read_table(done.path("candidates/cpu/candidates.parquet")).filter(pc.field("known") == "")
    tail, head = (pair[name][0].as_py() for name in ("tail_id", "head_name"))
    folders = done.path("."), done.path(".")
    compared = done.command("compare_runs.py", *folders, "--disease", tail)
    assert compared.code == 0, compared.output
    assert "no difference" in compared.output and "is 100% on average" in compared.output
    assert head in compared.output
    absent = done.command("compare_runs.py", *folders, "--disease", "nowhere")
    assert absent.code == 1 and "no list of these runs is that of nowhere" in absent.output


def test_a_notebook_reads_the_results_as_tables(done):
    whole = done.run()
    assert whole.code == 0, whole.output
    run = results.open(done.path("."))
    everything = run.candidates()
    tail = everything["tail_id"].iloc[0]
    listed = run.disease(tail)
    assert listed["rank_of_drug_for_disease"].tolist() == list(range(1, len(listed) + 1))
    assert len(listed) == (everything["tail_id"] == tail).sum()
    assert run.disease(listed["tail_name"].iloc[0]).equals(listed)
    new = run.disease(tail, new_only=True)
    assert set(new["known"]) == {""} and 0 < len(new) < len(everything)
    of_drug = run.drug(listed["head_id"].iloc[0])
    assert set(of_drug["head_id"]) == {listed["head_id"].iloc[0]}
    assert of_drug["rank_of_disease_for_drug"].is_monotonic_increasing
    vectors = run.embeddings()
    kg = graph.load(GraphFiles.in_folder(done.path("graph")))
    assert len(vectors) == kg.nodes and vectors.loc[("disease", tail)].notna().all()
    assert "schemes" in run.metrics and len(run.evidence()) > 0
    with pytest.raises(InputError, match="has no disease called nowhere"):
        run.disease("nowhere")
    with pytest.raises(InputError, match="mps has no candidates"):
        results.open(done.path("."), "mps")


def test_the_ranking_can_be_restricted_to_chosen_diseases_and_drugs_with_an_annotation(done):
    table = pq.read_table(done.path("candidates/cpu/candidates.parquet")).to_pandas()
    treatment = table[table["known"] == "indication"].iloc[0]
    tails = [treatment["tail_name"], table["tail_name"][table["tail_name"] != treatment["tail_name"]].iloc[0]]
    others = table["head_id"][table["head_id"] != treatment["head_id"]].unique()
    heads = [*others[:4], treatment["head_id"]]
    rows = [f"{head},{'approved' if head in heads else 'withdrawn'}" for head in table["head_id"].unique()]
    (done.directory / "about.csv").write_text("\n".join(["id,status", *rows, "nobody,approved", ""]))
    about = {"table": "about.csv", "of": "head", "only": ["head_status=approved"]}
    ids = table.drop_duplicates("tail_name").set_index("tail_name")["tail_id"]
    marks = [f"{heads[0]},{ids[tails[0]]},implausible,too toxic", f"{heads[1]},{ids[tails[0]]},plausible,"]
    (done.directory / "reviews.csv").write_text("\n".join(["head_id,tail_id,verdict,why", *marks, ""]))
    reviewed = {"table": "reviews.csv", "exclude": ["implausible"]}
    (done.directory / "salts.csv").write_text(
        "\n".join(["id,ingredient", *(f"{head},x" for head in heads), ""])
    )
    repeated = {"ingredients": "salts.csv"}
    unknown = done.run(config={"candidates": {"tails": ["disease of which nobody knows"]}})
    assert unknown.code != 0
    assert "the graph has no disease called disease of which nobody knows" in unknown.output
    run = done.run(
        config={
            "candidates": {"tails": tails},
            "annotations": about,
            "reviews": reviewed,
            "repeats": repeated,
        }
    )
    assert run.code == 0, run.output
    assert not {"train_classifier[cpu]", "train_embeddings[cpu]"} & set(run.made)
    assert "the graph lacks 1 (nobody)" in run.output
    chosen = pq.read_table(done.path("candidates/cpu/candidates.parquet")).to_pandas()
    assert set(chosen["tail_name"]) == set(tails) and set(chosen["head_id"]) == set(heads)
    assert set(chosen["rank_of_drug_for_disease"]) == {1, 2, 3, 4, 5} and len(chosen) == 9
    of_first = chosen[chosen["tail_name"] == tails[0]].set_index("head_id")
    assert heads[0] not in of_first.index and of_first.loc[heads[1], "review"] == "plausible"
    assert set(chosen["head_status"]) == {"approved"}
    header = done.path("candidates/cpu/candidates.csv").read_text().splitlines()[0]
    assert header.endswith('"head_status","review","review_note","repeats"')
    told = f"{treatment['head_name']}, of the same ingredient (x), is a known treatment"
    assert told in set(of_first["repeats"]) and set(
        of_first["repeats"][of_first["known"] == "indication"]
    ) == {""}
    assert '"withdrawn"' not in done.path("candidates/cpu/candidates.csv").read_text()
    assert done.run().code == 0  # restores all candidates for the other tests


def test_if_no_device_passes_the_report_is_written_and_the_run_fails_with_a_sentence(done):
    impossible = {"gate": {"min_auroc_margin": 0.9}}
    run = done.run(config=impossible)
    assert run.code != 0
    assert "no device passed the gate: cpu: " in run.output
    assert "Traceback" not in run.output
    assert json.loads(done.path("summary.json").read_text())["passed"] == []
    assert "link_auroc_degree_matched" in done.path("report.html").read_text()
    assert done.run().code == 0


def test_the_classifier_of_a_failed_device_cannot_be_requested(done):
    run = done.run(
        "results/classifier/cpu/model.ubj",
        "--forcerun",
        "train_classifier",
        "validate_embeddings",
        config={"gate": {"min_auroc_margin": 0.9}},
    )
    assert run.code != 0
    assert "did not pass the gate" in run.output
    # Candidates of an earlier verdict do not count either.
    assert done.run().code == 0
    for name in ("candidates/cpu/candidates.csv", "classifier/cpu/negatives.json"):
        run = done.run(f"results/{name}", config={"gate": {"min_auroc_margin": 0.9}})
        assert run.code != 0 and "did not pass the gate" in run.output
        assert not done.path(name).exists()
        assert done.run().code == 0


def test_a_run_with_forceall_keeps_its_results(tmp_path):
    folder = project_runs.make(tmp_path)
    run = folder.run("results/graph/ledger.json", "--forceall")
    assert run.code == 0 and run.made == ["build_demo", "build_graph"], run.output
    assert folder.path("graph/ledger.json").is_file() and folder.path("demo/edges.parquet").is_file()


def test_the_slurm_profile_plans_the_whole_workflow(tmp_path):
    folder = project_runs.make(tmp_path)
    profile = str(folder.project / "profiles" / "slurm")
    rules = folder.dry_run("--profile", profile)
    assert {"build_graph", "train_embeddings[cpu]", "validate_embeddings[cpu]"} <= set(rules)
