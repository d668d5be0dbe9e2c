"""The quality benchmark: its ranks are right, its folds leak nothing, and a rerun continues."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import demo_oracle
import numpy as np
import pyarrow.parquet as pq
import pytest
import quality
import quality_protocol as protocol
import quality_rows
import quality_walks
import row_files
import yaml
from sklearn.metrics import average_precision_score, roc_auc_score

from repurpose.config import settings
from repurpose.config.sections import ClassifierSettings
from repurpose.ingest import demo
from repurpose.pairs import pairs
from repurpose.vectors.vectors import Vectors

SETTINGS = ClassifierSettings(
    draws=1,
    negatives_per_positive=5,
    trees=10,
    depth=3,
    learning_rate=0.3,
    patience=5,
    svd_dim=4,
    parts=["trees", "kernel"],
    question="each",
    metapath_steps=3,
    metapaths_kept=24,
    evaluation_pairs=1000,
)


DEEPER = dataclasses.replace(SETTINGS, trees=100, depth=6)


@pytest.fixture(name="job")
def small_task():
    return task_of(120)


def task_of(count, sizes=(40, 30)):
    """Random positives of a small matrix."""
    generator = np.random.default_rng(0)
    cells = generator.permutation(sizes[0] * sizes[1])[:count]
    heads, tails = np.divmod(np.sort(cells), sizes[1])
    known = pairs.Known(heads.astype(np.int32), tails.astype(np.int32), np.full(count, "treats", object))
    return protocol.Task(heads, tails, known, sizes)


def ranked(job, asked, scores):
    """Rank some positives among all pairs that are no other positive; with labels and ranked pairs."""
    is_candidate = np.ones(job.counts, bool)
    other_positives = np.setdiff1d(np.arange(len(job.heads)), asked)
    is_candidate[job.heads[other_positives], job.tails[other_positives]] = False
    labels = np.zeros(job.counts, int)
    labels[job.heads[asked], job.tails[asked]] = 1
    ranks = protocol._ranked(scores, is_candidate, job.heads[asked], job.tails[asked])
    return ranks, labels, is_candidate


def test_metrics_from_ranks_equal_those_of_scikit_learn(job):
    asked = np.arange(0, 120, 4)
    scores = np.random.default_rng(1).normal(size=job.counts).astype(np.float32)
    scores[job.heads, job.tails] += 1
    ranks, labels, is_candidate = ranked(job, asked, scores)
    above = np.array(ranks["above"])
    flat = labels[is_candidate], scores[is_candidate]
    assert protocol.auroc(above, ranks["negatives"])[0] == pytest.approx(roc_auc_score(*flat))
    assert protocol.auprc(above)[0] == pytest.approx(average_precision_score(*flat))


def test_tied_scores_count_half_for_the_auroc(job):
    asked = np.arange(0, 120, 4)
    scores = np.random.default_rng(1).integers(0, 4, job.counts).astype(np.float32)
    ranks, labels, is_candidate = ranked(job, asked, scores)
    expected = roc_auc_score(labels[is_candidate], scores[is_candidate])
    assert protocol.auroc(np.array(ranks["above"]), ranks["negatives"])[0] == pytest.approx(expected)
    constant, *_ = ranked(job, asked, np.zeros(job.counts, np.float32))
    assert protocol.auroc(np.array(constant["above"]), constant["negatives"])[0] == 0.5


def test_recall_gives_every_tail_the_same_weight():
    # `place` is twice the number of pairs ahead; one of two positives of tail 7, and that of tail 9, are in
    # the top 3.
    place, tails = np.array([4, 6, 0]), np.array([7, 7, 9])
    assert protocol.recall(place, tails, top=3)[0] == pytest.approx((0.5 + 1) / 2)
    weights = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0]])
    assert protocol.recall(place, tails, weights, top=3).tolist() == [1.0, 0.5, 0.0]


def test_metrics_of_lists_equal_those_of_scikit_learn_tail_by_tail(job):
    asked = np.arange(0, 120, 2)
    scores = np.random.default_rng(1).normal(size=job.counts).astype(np.float32)
    scores[job.heads, job.tails] += 1
    ranks, labels, is_candidate = ranked(job, asked, scores)
    tails = np.unique(job.tails[asked])
    lists = [(labels[is_candidate[:, t], t], scores[is_candidate[:, t], t]) for t in tails]
    expected = {
        "ap": [average_precision_score(*of_tail) for of_tail in lists],
        "mrr_of_first": [1 / (1 + np.argmax(label[np.argsort(-score)])) for label, score in lists],
        "recall_at_50": [1.0] * len(lists),  # a list has at most 40 heads
    }
    place = np.array(ranks["place"])
    found = protocol.list_metrics(place, job.tails[asked])
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {name: np.mean(values) for name, values in expected.items()}
    )
    # Rows of weights repeat tails and leave tails out.
    of_tail = np.random.default_rng(2).integers(0, 3, (4, len(tails)))
    weights = of_tail[:, np.searchsorted(tails, job.tails[asked])]
    found = protocol.list_metrics(place, job.tails[asked], weights)
    for name, values in expected.items():
        assert found[name] == pytest.approx([np.average(values, weights=row) for row in of_tail])


def test_tied_positives_share_their_places_and_a_list_is_fifty_long():
    # `place` is twice the number of pairs ahead: two positives of tail 7 tie for the first place; of tail 9,
    # one has 49 pairs ahead and one 50.
    place, tails = np.array([98, 1, 100, 1]), np.array([9, 7, 9, 7])
    found = protocol.list_metrics(place, tails, np.array([[0, 1, 0, 1], [1, 0, 1, 0]]))
    assert found["ap"] == pytest.approx([1, (1 / 50 + 2 / 51) / 2])
    assert found["mrr_of_first"] == pytest.approx([1 / 1.5, 1 / 50])
    assert found["recall_at_50"].tolist() == [1, 0.5]


def test_bootstrap_weights_act_like_repeated_positives():
    generator = np.random.default_rng(3)
    ahead, weights = np.sort(generator.integers(0, 100, 20)), generator.integers(0, 4, (5, 20))
    # Negatives score 0, -1, -2 and so on; a positive with 7 negatives ahead scores between -6 and -7.
    scores = np.concatenate([0.9 - ahead - 0.01 * np.arange(20), -np.arange(100.0)])
    labels = np.repeat([1, 0], [20, 100])
    aurocs, auprcs = protocol.auroc(2 * ahead, 100, weights), protocol.auprc(2 * ahead, weights)
    for row, auroc, auprc in zip(weights, aurocs, auprcs, strict=True):
        options = {"sample_weight": np.concatenate([row, np.ones(100)])}
        assert auroc == pytest.approx(roc_auc_score(labels, scores, **options))
        assert auprc == pytest.approx(average_precision_score(labels, scores, **options))


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_folds_have_similar_sizes_and_keep_groups_together(job, scheme):
    of_fold = protocol.folds(job, scheme, 3)
    sizes = np.bincount(of_fold, minlength=5)
    assert sizes.min() >= 20 and sizes.sum() == 120
    assert np.array_equal(of_fold, protocol.folds(job, scheme, 3))
    assert not np.array_equal(of_fold, protocol.folds(job, scheme, 4))
    groups = {"random": np.arange(120), "disease": job.tails, "drug": job.heads}[scheme]
    assert all(len(np.unique(of_fold[groups == group])) == 1 for group in np.unique(groups))


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_validation_never_sees_the_test_fold(job, scheme):
    of_fold = protocol.folds(job, scheme, 0)
    part = protocol.valid_part(job, scheme, of_fold, 2, 0)
    assert np.array_equal(np.sort(np.concatenate([part.train, part.asked, part.hidden])), np.arange(120))
    assert np.array_equal(part.hidden, np.flatnonzero(of_fold == 2))
    groups = {"random": np.arange(120), "disease": job.tails, "drug": job.heads}[scheme]
    assert not np.intersect1d(groups[part.train], groups[part.asked]).size


def test_the_development_task_has_no_reserved_pairs(job):
    heads, tails = np.append(job.heads, [0, 1]), np.append(job.tails, [29, 29])
    names = np.append(job.known.names, ["palliates"] * 2)
    task = protocol.Task(job.heads, job.tails, pairs.Known(heads, tails, names), job.counts)
    chosen = protocol.development(task)
    is_reserved = protocol.reserved(task)
    assert 0.3 < is_reserved.mean() < 0.7
    chosen_pairs, reserved_pairs = (
        set(zip(h.tolist(), t.tolist(), strict=True))
        for h, t in ((chosen.heads, chosen.tails), (job.heads[is_reserved], job.tails[is_reserved]))
    )
    assert not chosen_pairs & reserved_pairs and {(0, 29), (1, 29)} <= chosen_pairs
    assert chosen_pairs | reserved_pairs == set(zip(heads.tolist(), tails.tolist(), strict=True))
    part = protocol.test_part(chosen, protocol.folds(chosen, "random", 0), 0)
    generator = np.random.default_rng(0)
    vectors = Vectors(*(generator.normal(size=(n, 4)).astype(np.float32) for n in job.counts), True)
    ranks = protocol.ranks(chosen, vectors, "random", part, SETTINGS, [0], 1, 2)["both"]
    assert ranks["negatives"] == 40 * 30 - len(chosen_pairs | reserved_pairs)


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_the_classifier_gets_no_held_out_pairs(job, scheme, monkeypatch):
    example_sets = []
    boost = protocol.boosting.boost
    monkeypatch.setattr(
        protocol.boosting,
        "boost",
        lambda *arguments: (example_sets.append(arguments[1]), boost(*arguments))[1],
    )
    generator = np.random.default_rng(0)
    vectors = Vectors(
        generator.normal(size=(40, 4)).astype(np.float32),
        generator.normal(size=(30, 4)).astype(np.float32),
        True,
    )
    part = protocol.test_part(job, protocol.folds(job, scheme, 0), 1)
    fits = []
    fit = protocol.kernel.fit
    monkeypatch.setattr(protocol.kernel, "fit", lambda *arguments: fits.append(fit(*arguments)) or fits[-1])
    ranks = protocol.ranks(job, vectors, scheme, part, SETTINGS, [0, 1, 0], 2, 2)["kernel"]
    assert len(example_sets) == 2 and not np.array_equal(example_sets[0].heads, example_sets[1].heads)
    positives, trained = (
        set(zip(job.heads[rows].tolist(), job.tails[rows].tolist(), strict=True))
        for rows in (slice(None), part.train)
    )
    for examples_of_draw in example_sets:
        drawn = set(
            zip(
                examples_of_draw.heads[examples_of_draw.is_drawn].tolist(),
                examples_of_draw.tails[examples_of_draw.is_drawn].tolist(),
                strict=True,
            )
        )
        # A held-out positive is an unknown pair like any other: never drawing it would give it away.
        assert not drawn & trained
        assert bool(drawn & positives) == (scheme == "random")
        if scheme == "disease":
            assert not np.isin(examples_of_draw.tails, job.tails[part.asked]).any()
        if scheme == "drug":
            assert not np.isin(examples_of_draw.heads, job.heads[part.asked]).any()
    assert np.array_equal(fits[0].heads, np.unique(job.heads[part.train]))
    assert np.array_equal(fits[0].tails, np.unique(job.tails[part.train]))
    tails = len(np.unique(job.tails[part.asked])) if scheme == "disease" else 30
    heads = len(np.unique(job.heads[part.asked])) if scheme == "drug" else 40
    excluded = len(part.asked) + (len(part.train) if scheme == "random" else 0)
    assert ranks["negatives"] == heads * tails - excluded


def test_vectors_with_the_answer_have_a_high_auroc_and_random_vectors_do_not():
    # So large that few of the held-out positives are drawn as negatives.
    job, generator = task_of(240, (200, 30)), np.random.default_rng(0)
    answer = np.zeros(job.counts, np.float32)
    answer[job.heads, job.tails] = 1
    informed = Vectors(np.ascontiguousarray(answer), np.eye(30, dtype=np.float32), True)
    random = Vectors(generator.normal(size=(200, 30)).astype(np.float32), np.eye(30, dtype=np.float32), True)
    part = protocol.test_part(job, protocol.folds(job, "random", 0), 0)
    aurocs_of_informed, aurocs_of_random = (
        {
            name: protocol.auroc(np.array(ranks["above"]), ranks["negatives"])[0]
            for name, ranks in protocol.ranks(job, vectors, "random", part, DEEPER, [0], 1, 2).items()
        }
        for vectors in (informed, random)
    )
    assert aurocs_of_informed["trees"] > 0.7 > max(aurocs_of_random.values())
    assert aurocs_of_informed["both"] > 0.7


def test_the_kernel_predicts_the_tails_of_similar_heads(job):
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=(count, 3)).astype(np.float32) for count in job.counts]
    heads, tails = np.divmod(np.sort(np.argsort(-(rows[0] @ rows[1].T), axis=None)[:120]), job.counts[1])
    similar_task = dataclasses.replace(
        job, heads=heads, tails=tails, known=pairs.Known(heads, tails, job.known.names)
    )
    part = protocol.test_part(similar_task, protocol.folds(similar_task, "disease", 0), 0)
    ranks = protocol.ranks(similar_task, Vectors(*rows, True), "disease", part, DEEPER, [0], 1, 2)
    assert protocol.auroc(np.array(ranks["kernel"]["above"]), ranks["kernel"]["negatives"])[0] > 0.75


def row(method, seed, above):
    return {
        "kind": "test",
        "method": method,
        "seed": seed,
        "scheme": "random",
        "positions": [list(range(0, 60)), list(range(60, 120))],
        "above": [above[:60], above[60:]],
        "place": [above[:60], above[60:]],
        "negatives": [1000, 1000],
    }


def test_the_paired_bootstrap_distinguishes_a_real_difference_from_none(job):
    generator = np.random.default_rng(0)
    base = generator.integers(20, 400, 120)
    rows = [row("svd", seed, base.tolist()) for seed in range(2)]
    rows += [row("same", seed, base.tolist()) for seed in range(2)]
    rows += [row("lucky", 0, base.tolist()), row("lucky", 2, (base // 3).tolist())]
    rows += [row("better", seed, (base // 3).tolist()) for seed in range(2)]
    entries = {entry["method"]: entry for entry in quality_rows.summary(rows, job, "random", "svd")}
    assert entries["same"]["auprc"]["difference_low"] == entries["same"]["auprc"]["difference_high"] == 0
    # Seeds that the reference does not have are not used for the difference.
    assert entries["lucky"]["auprc"]["difference_low"] == entries["lucky"]["auprc"]["difference_high"] == 0
    for metric in ("auprc", "ap", "mrr_of_first"):
        assert entries["better"][metric]["difference_low"] > 0
    assert "difference_low" not in entries["svd"]["auprc"]
    for entry in entries.values():
        entry |= {"training_seconds": 1.0, "peak_rss_gb": 1.0, "classifier": "trees"}
    lines = quality_rows.table(list(entries.values()), "svd").splitlines()
    assert [line.count("*") > 0 for line in lines[2:6]] == [False, False, False, True]


def test_rows_of_different_pairs_or_without_pairs_have_no_summary(job):
    task, other = map(quality_rows.task_row, (job, dataclasses.replace(job, tails=job.tails[::-1])))
    positives = quality_rows.positives([task, row("svd", 0, list(range(120))), task])
    assert np.array_equal(positives.heads, job.heads) and np.array_equal(positives.tails, job.tails)
    with pytest.raises(SystemExit, match="of different pairs"):
        quality_rows.positives([task, other])
    with pytest.raises(SystemExit, match="which pairs the ranks are of"):
        quality_rows.positives([row("svd", 0, list(range(120)))])


def test_walks_follow_edges_and_end_at_nodes_without_edges():
    indptr, indices = np.array([0, 1, 2, 2]), np.array([1, 0], np.int32)
    lines = {line[0]: line.tolist() for line in quality_walks.walks(indptr, indices, 4, 0)}
    assert lines == {0: [0, 1, 0, 1], 1: [1, 0, 1, 0], 2: [2, -1, -1, -1]}


OVERLAYS = sorted(Path(quality.__file__).parent.glob("**/*.yaml"))


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_an_overlay_of_the_benchmark_is_valid_and_the_docs_name_it(path):
    settings.load([quality.PROJECT / "config" / "config.yaml", path])
    assert path.stem in (quality.PROJECT / "docs" / "recipe.md").read_text()


@pytest.fixture(name="folder", scope="module")
def small_graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    pq.write_table(demo.plant_table(0.004, 7), folder / "kg.parquet")
    overlay = {"classifier": {"trees": 20}, "training": {"epochs": 10}}
    (folder / "small.yaml").write_text(yaml.safe_dump(overlay))
    return folder


def run(folder, *options, edges="kg.parquet"):
    command = [sys.executable, quality.__file__, "--edges", edges, "--config", "small.yaml", *options]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def rows_without_origin(path):
    """Rows without their origin."""
    return [{k: v for k, v in row.items() if k not in row_files.ORIGIN} for row in row_files.read(path)]


def test_a_rerun_continues_where_the_last_run_stopped(folder):
    options = ("--methods", "degree", "hgt", "--seeds", 1, "--json", "--schemes", "random")
    path = folder / "results/quality/rows.jsonl"
    run(folder, *options)
    before = path.read_text().splitlines()
    kinds = ["task", *["training", "test", "test"] * 2]
    assert [json.loads(line)["kind"] for line in before] == kinds
    second = run(folder, *options, "disease", "--figure", "quality.png")
    lines, rows = path.read_text().splitlines(), rows_without_origin(path)
    assert lines[:7] == before and [json.loads(line)["scheme"] for line in lines[7:]] == ["disease"] * 4
    assert (folder / "quality.png").stat().st_size > 0
    entries = [json.loads(line) for line in second.stdout.splitlines()]
    assert [(e["scheme"], e["classifier"], e["method"]) for e in entries] == [
        (scheme, classifier, method)
        for scheme in ("random", "disease")
        for classifier in ("trees", "both")
        for method in ("degree", "hgt")
    ]
    assert all(e["peak_rss_gb"] > 0 and 0 <= e["auprc"]["mean"] <= 1 for e in entries)
    path.write_text("\n".join(lines[:-1]) + f"\n{lines[-1][:30]}")  # stopped while it wrote the last test
    assert run(folder, *options, "disease").stdout == second.stdout
    assert rows_without_origin(path) == rows
    # Rows in a parquet file give the same summary, and the graph is not needed.
    row_files.keep(row_files.read(path), folder / "kept.parquet")
    kept_options = ("--methods", "--json", "--schemes", "random", "disease", "--rows", "kept.parquet")
    assert run(folder, *kept_options, edges="absent.parquet").stdout == second.stdout
    # Another seed goes to another file; the summary reads both files.
    more_options = ("--methods", "degree", "--seeds", 1, "--first-seed", 3, "--json", "--schemes", "random")
    summary_of_both = run(folder, *more_options, "--rows", path, "more.jsonl").stdout.splitlines()
    added = [(row["kind"], row.get("seed")) for row in row_files.read(folder / "more.jsonl")]
    assert added == [("task", None), ("training", 3), ("test", 3), ("test", 3)]
    assert rows_without_origin(path) == rows
    seeds = {(entry["method"], entry["seeds"]) for entry in map(json.loads, summary_of_both)}
    assert seeds == {("degree", 2), ("hgt", 1)}


@pytest.mark.slow
@pytest.mark.skipif(
    not (importlib.util.find_spec("pykeen") and importlib.util.find_spec("gensim")),
    reason="pykeen and gensim are absent: pip install -c envs/requirements.txt -r envs/benchmarks.txt",
)
def test_the_peers_train_and_are_tested(folder):
    options = ("--methods", "deepwalk", "distmult", "complex", "rotate", "--seeds", 1, "--schemes", "random")
    done = run(folder, *options, "--json", "--minutes", 0.02, "--rows", "peers.jsonl")
    assert {json.loads(line)["method"] for line in done.stdout.splitlines()} == set(options[1:5])


def test_the_oracle_with_the_planted_mechanisms_is_better_than_the_svd():
    config = settings.load([quality.PROJECT / "config" / "config.yaml"])
    config["classifier"]["trees"] = 20
    row_by_case = {(r["scheme"], r["method"]): r for r in demo_oracle.rows(config, 0.01, 1, 1)}
    for scheme in ("random", "disease"):
        oracle, svd = row_by_case[scheme, "oracle"], row_by_case[scheme, "svd"]
        assert oracle["auroc"] > 0.9 and oracle["auroc"] > svd["auroc"] and oracle["auprc"] > svd["auprc"]
