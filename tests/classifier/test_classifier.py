import dataclasses

import numpy as np
import planted
import pytest
from pair_models import SETTINGS, make, weights
from planted import TARGET
from script_runs import ScriptRun
from sklearn.metrics import average_precision_score

import train_classifier
import train_contraindications
from repurpose.classifier import boosting, classifier, kernel, list_weights, pair_model, trees
from repurpose.classifier.examples import split_examples
from repurpose.classifier.list_weights import ListWeights
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.evaluation import evaluation, ranks
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import pairs
from repurpose.vectors.vectors import Vectors, count_pairs


@pytest.fixture(scope="module")
def case():
    return make(shuffled=False)


@pytest.fixture(scope="module")
def fits(case):
    return classifier.evaluate_all(classifier.Task(*case, SETTINGS, 0, 1))


def test_runs_with_other_seeds_are_tested_on_the_same_sample_of_unknown_pairs(case):
    """The paired differences need the same ranked tails and heads in both methods."""
    vectors, labelled, known = case
    labelled = labelled.drop(columns=["disease", "drug"])
    few = dataclasses.replace(SETTINGS, evaluation_pairs=1200, draws=1, trees=3)

    def tested(seed, evaluation_seed):
        task = classifier.Task(vectors, labelled, known, few, seed, 1, evaluation_seed=evaluation_seed)
        return classifier.evaluate_all(task)["random"].ranked

    reference, same, other = tested(0, None), tested(1, 0), tested(1, None)
    sides = [f"{side}_above" for side in ranks.SIDES]
    is_ranked, is_same, is_other = (each.frame[sides].notna() for each in (reference, same, other))
    assert reference.sampled and not is_ranked.all(axis=None)
    assert is_same.equals(is_ranked) and not is_other.equals(is_ranked)
    assert not np.array_equal(same.frame["score"], reference.frame["score"])
    assert evaluation.differences(same, reference, None, 0)["mrr"] is not None


def test_features_are_head_tail_and_their_product():
    heads, tails = np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8], [9, 10]], np.float32)
    found = Vectors(heads, tails, product=True).features(np.array([1, 0]), np.array([2, 0]))
    assert found.tolist() == [[3, 4, 9, 10, 27, 40], [1, 2, 5, 6, 5, 12]]
    wide = Vectors(heads, tails[:, :1], product=False).features(np.array([0]), np.array([1]))
    assert wide.tolist() == [[1, 2, 7]]


def test_vectors_without_a_single_dimension_are_refused():
    none = np.zeros((4, 0), np.float32)
    with pytest.raises(InputError, match=r"no message relation at target\.head_type"):
        Vectors(none, none, product=False)


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_a_planted_bilinear_signal_is_found(fits, scheme):
    metrics = fits[scheme].metrics
    assert metrics["auprc"]["low"] > 3 * metrics["prevalence"]
    assert metrics["auroc"]["value"] > 0.75


def test_shuffled_labels_are_not_found():
    # On average the ratio of AUPRC to chance is 1; with so few pairs, single shuffles vary widely.
    shuffles = [
        classifier.evaluate_all(classifier.Task(*make(shuffled=True, seed=seed), SETTINGS, 0, 1))
        for seed in range(6)
    ]
    for scheme in pairs.SCHEMES:
        ratios = [
            fits[scheme].metrics["auprc"]["value"] / fits[scheme].metrics["prevalence"] for fits in shuffles
        ]
        assert np.mean(ratios) < 1.5, scheme


def test_training_stops_where_validation_is_best(case, fits):
    for each in fits.values():
        assert len(each.rounds) == SETTINGS.draws
        assert all(0 < count <= SETTINGS.trees for count in each.rounds)
        assert each.model.booster.num_boosted_rounds() == sum(each.rounds)
    vectors, labelled, known = make(shuffled=True)
    train, valid = split_examples(labelled, "random", known, 90, 70, SETTINGS, 0)
    assert boosting.fit(vectors, train, valid, SETTINGS, 0, 1).num_boosted_rounds() < SETTINGS.trees


def test_a_seed_gives_the_same_model_whatever_the_threads(case):
    models = [
        bytes(
            classifier.fit_final(
                classifier.Task(*case, SETTINGS, seed, threads), (8, 5), weights(1, 2)
            ).booster.save_raw("ubj")
        )
        for seed, threads in ((0, 1), (0, 2), (1, 1))
    ]
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_scores_do_not_depend_on_the_blocks_that_they_are_computed_in(case, fits, monkeypatch):
    vectors, labelled, _ = case
    ends = labelled["head_index"].to_numpy(), labelled["tail_index"].to_numpy()
    whole = pair_model.tree_scorer(fits["random"].model.booster, vectors, 1)(*ends)
    monkeypatch.setattr(pair_model, "BLOCK_VALUES", 100)
    assert np.array_equal(pair_model.tree_scorer(fits["random"].model.booster, vectors, 1)(*ends), whole)


def test_tree_scores_by_xgboost_and_by_own_code_are_equal(case, fits, monkeypatch):
    vectors, booster = case[0], fits["random"].model.booster
    every = [each.ravel().astype(np.int32) for each in np.meshgrid(np.arange(90), np.arange(70))]
    rng = np.random.default_rng(0)
    order, few = rng.permutation(90 * 70), rng.permutation(90 * 70)[:300]
    asked = {}
    for share in (0.0, 1 / 8, 2.0):
        monkeypatch.setattr(pair_model, "DENSE", share)
        score = pair_model.tree_scorer(booster, vectors, 1)
        asked[share] = [score(*(each[at] for each in every)) for at in (order, few)]
    for own, other in ((0.0, 2.0), (1 / 8, 2.0)):
        assert all(map(np.array_equal, asked[own], asked[other]))


def metrics_of(paths):
    """The entries of metrics.json for a model's two files."""
    return {"model_digests": [files.digest(path) for path in paths], "weights": weights(1, 4).described()}


def test_a_model_read_from_its_files_gives_the_same_scores(case, fits, tmp_path):
    vectors, labelled, _ = case
    ends = labelled["head_index"].to_numpy(), labelled["tail_index"].to_numpy()
    paths = tmp_path / "model.ubj", tmp_path / "kernel.safetensors"
    model = fits["disease"].model._replace(weights=weights(1, 4))
    pair_model.save(model, *paths)
    back = pair_model.load(*paths, metrics_of(paths), None, model.weights.treated)
    scores = [pair_model.scorer(each, vectors, 1)(*ends) for each in (model, back)]
    assert np.array_equal(*scores)


def test_the_kernels_logarithm_times_its_weight_is_added_to_the_margins(case, fits):
    vectors, labelled, _ = case
    ends = labelled["head_index"].to_numpy(), labelled["tail_index"].to_numpy()
    model = fits["drug"].model
    both, trees = (
        pair_model.scorer(model._replace(weights=weights(1, weight)), vectors, 1)(*ends)[0]
        for weight in (3.0, 0.0)
    )
    similar = kernel.scorer(model.ridge, vectors.heads, vectors.tails)(*ends)
    assert np.array_equal(trees, pair_model.tree_scorer(model.booster, vectors, 1)(*ends))
    assert both - trees == pytest.approx(3 * np.log(np.maximum(similar, 0) + 0.01), abs=1e-4)


@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_scores_of_whole_tails_equal_scores_of_single_pairs(case, fits, weight):
    vectors, model = case[0], fits["drug"].model._replace(weights=weights(1, weight))
    tails, heads = np.array([5, 2, 9], np.int32), np.arange(len(vectors.heads), dtype=np.int32)
    found, of_heads, *members = pair_model.members(model, vectors, fits["drug"].rounds)(tails)
    assert np.array_equal(of_heads, found)
    assert np.mean(members, axis=0) == pytest.approx(found, abs=1e-4)
    assert np.abs(members[0] - found).max() > 0.1
    single = pair_model.scorer(model, vectors, 1)(np.tile(heads, 3), np.repeat(tails, len(heads)))[0]
    if weight:
        # The kernel's matrix product adds in another order.
        assert found.ravel() == pytest.approx(single, rel=1e-5, abs=1e-5)
    else:
        assert np.array_equal(found.ravel(), single)


def test_margins_of_a_member_come_from_its_own_trees(case, fits):
    vectors, fit = case[0], fits["random"]
    tails = np.arange(4, dtype=np.int32)
    model = fit.model._replace(weights=weights(1, 0))
    _, _, *members = pair_model.members(model, vectors, fit.rounds)(tails)
    pairs_of = np.tile(np.arange(90), 4), np.repeat(tails, 90)
    base, begun = trees.read(fit.model.booster, vectors.heads.shape[1]).base, 0
    for member, count in zip(members, fit.rounds, strict=True):
        own = fit.model.booster.inplace_predict(
            vectors.features(*pairs_of), iteration_range=(begun, begun + count), predict_type="margin"
        )
        assert member.ravel() == pytest.approx(2 * (own - base) + base, abs=1e-4)
        begun += count


def test_the_kernel_is_not_trained_on_held_out_heads_or_tails(case, fits):
    labelled = case[1]
    for scheme, name in (("disease", "tail_index"), ("drug", "head_index")):
        ridge = fits[scheme].model.ridge
        used = ridge.tails if scheme == "disease" else ridge.heads
        assert not np.isin(used, labelled.loc[labelled[scheme] != "train", name]).any()


def test_weights_are_chosen_on_the_validation_pairs_of_each_scheme(fits):
    for fit in fits.values():
        assert set(fit.valid_auprc) == {"trees", "kernel", "whole"}
        share = float(np.average(fit.valid.labels, weights=fit.valid.weights))
        assert all(found > 1.5 * share for found in fit.valid_auprc.values())
    chosen = [tuple(fit.model.weights.by_kind["treated_tail"].tolist()) for fit in fits.values()]
    assert len(set(chosen)) == len(fits)


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_validation_lists_are_ranked_as_their_pairs_are_scored(case, fits, scheme):
    vectors, labelled, known = case
    task = classifier.Task(*case, SETTINGS, 0, 1)
    found = classifier.valid_lists(task, scheme, fits[scheme])
    score = pair_model.scorer(fits[scheme].model, vectors, 1)
    part = {name: labelled[labelled[scheme] == name] for name in pairs.SPLITS}
    positive = part["valid"][part["valid"]["label"] == 1]
    # Pairs of the test are unknown to this choice, as all other unknown pairs are.
    tested = set(map(tuple, part["test"][["tail_index", "head_index"]].to_numpy().tolist()))
    taken = set(zip(known.tails.tolist(), known.heads.tolist(), strict=True)) - tested
    heads = part["valid"]["head_index"].unique() if scheme == "drug" else np.arange(task.sizes[0])
    precisions, reciprocals = [], []
    for tail, rows in positive.groupby("tail_index"):
        own = set(rows["head_index"])
        ranked = [head for head in heads if head in own or (tail, head) not in taken]
        scores = score(np.array(ranked), np.full(len(ranked), tail))[0]
        labels = np.isin(ranked, list(own))
        precisions.append(average_precision_score(labels, scores))
        reciprocals.append(1 / (1 + (scores[~labels] >= scores[labels].max()).sum()))
    expected = {"ap": np.mean(precisions), "mrr": np.mean(reciprocals), "tails": len(precisions)}
    assert found == pytest.approx(expected) and found["ap"] > 2 / task.sizes[0]


def test_the_final_model_has_the_weights_of_the_scheme_that_asks_for_its_lists(case, fits):
    found = classifier.final_weights(classifier.Task(*case, SETTINGS, 0, 1), fits)
    by_kind = {
        "untreated_tail": "disease",
        "treated_tail": "random",
        "untreated_head": "drug",
        "treated_head": "random",
    }
    for kind, scheme in by_kind.items():
        assert np.array_equal(found.by_kind[kind], fits[scheme].model.weights.by_kind[kind])
    positives = case[1][case[1]["label"] == 1]
    assert np.flatnonzero(found.treated[1]).tolist() == sorted(set(positives["tail_index"]))


def test_a_question_gives_all_lists_the_weights_of_one_kind(case, fits):
    for question, expected in (("treated", True), ("untreated", False)):
        settings = dataclasses.replace(SETTINGS, question=question)
        task = classifier.Task(*case, settings, 0, 1)
        model, _ = classifier.refit(task, fits)
        assert [set(mask.tolist()) for mask in model.weights.treated] == [{expected}] * 2
        tails = np.arange(70, dtype=np.int32)
        own = model.weights.by_kind[f"{question}_tail"]
        assert np.array_equal(model.weights.of_tails("kernel", tails), np.full(70, own[1]))


def test_lists_of_untreated_tails_are_without_half_of_the_heads_mean_by_the_embedded_parts(case, fits):
    vectors, _, _ = case
    task = classifier.Task(*case, SETTINGS, 0, 1)
    assert fits["random"].model.weights.offsets is None and fits["drug"].model.weights.offsets is None
    assert not fits["disease"].model.weights.treated[1].any()
    for model in (fits["disease"].model, classifier.refit(task, fits)[0]):
        parts = pair_model.part_matrix(model, vectors)(np.arange(70, dtype=np.int32))
        expected = list_weights.SHARE * model.weights.by_kind["untreated_tail"] @ parts.mean(axis=1)
        assert model.weights.offsets == pytest.approx(expected, abs=1e-4)
        assert np.abs(expected).max() > 0.1
    # Who asks for lists of treated tails alone gets none.
    settings = dataclasses.replace(SETTINGS, question="treated")
    model = classifier.evaluate_all(dataclasses.replace(task, settings=settings))["disease"].model
    assert model.weights.offsets is None


def test_offsets_are_kept_with_the_kernel_and_without_it(case, fits, tmp_path):
    vectors, labelled, _ = case
    ends = labelled["head_index"].to_numpy(), labelled["tail_index"].to_numpy()
    paths = tmp_path / "model.ubj", tmp_path / "kernel.safetensors"
    untreated = np.ones(90, bool), np.zeros(70, bool)
    for ridge in (fits["disease"].model.ridge, None):
        given = weights(1, 4 if ridge else 0)
        means = pair_model.embedded_means(fits["disease"].model._replace(weights=given), vectors, 0)
        kept = dataclasses.replace(given.less_means(means), treated=untreated)
        model = fits["disease"].model._replace(weights=kept, ridge=ridge)
        if not ridge:
            model = model._replace(weights=dataclasses.replace(kept, parts=("trees",)))
        pair_model.save(model, *paths)
        trained = {"model_digests": [files.digest(path) for path in paths]}
        trained["weights"] = (
            model.weights.described()
            if ridge
            else ListWeights.of_lists(
                ["trees"], np.ones(1, np.float32), np.ones(1, np.float32), (90, 70)
            ).described()
        )
        back = pair_model.load(*paths, trained, None, untreated)
        assert np.array_equal(back.weights.offsets, kept.offsets)
        assert (back.ridge is None) == (ridge is None)
        if ridge:
            scores = [pair_model.scorer(each, vectors, 1)(*ends) for each in (model, back)]
            assert np.array_equal(*scores)


def test_an_ablated_model_has_fewer_parts_and_its_own_weights(case, fits):
    task = classifier.Task(*case, SETTINGS, 0, 1)
    found = classifier.ablated(task, fits, ["trees"])
    for scheme, fit in found.items():
        assert fit.model.weights.parts == ("trees",) and fit.model.ridge is None
        assert fit.metrics["auprc"] != fits[scheme].metrics["auprc"]


def test_a_damaged_model_file_is_named_with_the_command_that_rebuilds_it(fits, tmp_path):
    paths = tmp_path / "model.ubj", tmp_path / "kernel.safetensors"
    pair_model.save(fits["drug"].model, *paths)
    trained = metrics_of(paths)
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(InputError, match=rf"{path.name} is not the model that was .* --forcerun"):
            pair_model.load(*paths, trained, None, weights().treated)
        path.unlink()
        with pytest.raises(InputError, match=rf"{path.name} is not the model that was .* \(No such file"):
            pair_model.load(*paths, trained, None, weights().treated)
        path.write_bytes(whole)


def test_pairs_whose_vectors_are_zero_are_counted(case):
    vectors, labelled, known = case
    heads = vectors.heads.copy()
    heads[labelled["head_index"][0]] = 0
    found = count_pairs(Vectors(heads, vectors.tails, product=True), labelled, known)
    own = int((labelled["head_index"] == labelled["head_index"][0]).sum())
    assert found == {
        "positives": 315,
        "negatives": 158,
        "known": 503,
        "unknown": 90 * 70 - 503,
        "pairs_without_embedding": own,
    }


def test_the_scripts_turn_a_graph_into_candidates(tmp_path):
    kg, rows = planted.repurposing()
    run = ScriptRun(tmp_path, SETTINGS)
    run.begin(kg, rows)
    run.train_baselines()
    run.train_classifier()
    device = run.device_files
    outputs = device.model, device.kernel, device.metrics, run.path("classifier/cpu/ranks.parquet")
    metrics = files.read_json(device.metrics)
    assert set(metrics["schemes"]) == {"random", "disease", "drug"}
    assert set(metrics["schemes"]["drug"]) == {"hgt", "degree", "svd", "untrained", "popularity"}
    values = {name: each["auprc"]["value"] for name, each in metrics["schemes"]["random"].items()}
    assert values["hgt"] > values["degree"]
    lead = metrics["differences"]["random"]["degree"]["auprc"]
    assert lead["value"] == pytest.approx(values["hgt"] - values["degree"]) and lead["low"] > 0
    back = ranks.load(outputs[3])["random"]["hgt"]
    assert evaluation.evaluate(back, None, 0) == metrics["schemes"]["random"]["hgt"]
    first = [path.read_bytes() for path in outputs]
    run.train_classifier()
    assert [path.read_bytes() for path in outputs] == first
    run.train_classifier(n_threads=2)
    assert outputs[0].read_bytes() == first[0]
    assert metrics["popularity_correction"] == {} and set(metrics["valid_lists"]) == set(pairs.SCHEMES)
    run.train_classifier(corrects_popularity=True)
    corrected = files.read_json(device.metrics)
    effect = corrected.pop("popularity_correction")
    assert set(effect) == set(metrics["schemes"]) and set(effect["drug"]) == {"0.5", "1"}
    assert corrected == {name: value for name, value in metrics.items() if name != "popularity_correction"}
    assert [path.read_bytes() for path in (*outputs[:2], outputs[3])] == [*first[:2], first[3]]

    run.train_contraindications()
    by_tail, by_head = run.rank(per_tail=5, per_head=3)
    assert by_tail.num_rows == 5 * kg.count("disease")
    lines = run.path("candidates/cpu/candidates.csv").read_text().splitlines()
    assert len(lines) == by_tail.num_rows + 1
    assert by_head.num_rows == 3 * kg.count("drug")


def test_a_device_that_failed_its_gate_gets_no_classifier(tmp_path):
    check = {"name": "distinct", "passed": False, "reason": "all vectors are alike"}
    verdict = {"device": "cpu", "passed": False, "status": "completed", "checks": [check]}
    files.write_json(tmp_path / "verdict.json", verdict)
    nowhere = tmp_path / "nowhere"
    options = {
        "pairs_in": nowhere,
        "graph_files": GraphFiles.in_folder(nowhere),
        "vectors_in": nowhere,
        "verdict": tmp_path / "verdict.json",
        "target": TARGET,
        "settings": SETTINGS,
        "device": "cpu",
        "seed": 0,
        "n_threads": 1,
    }
    refusal = "device cpu did not pass the gate: distinct: all vectors are alike"
    with pytest.raises(InputError, match=refusal):
        train_classifier.main(
            metapaths_in=None,
            baselines=nowhere,
            baseline_ranks=nowhere,
            external_in=None,
            model_out=tmp_path / "model.ubj",
            kernel_out=tmp_path / "kernel.safetensors",
            metrics_out=tmp_path / "metrics.json",
            ranks_out=tmp_path / "ranks.parquet",
            **options,
        )
    assert not (tmp_path / "model.ubj").exists()
    with pytest.raises(InputError, match=refusal):
        train_contraindications.main(negatives_out=tmp_path / "negatives.json", **options)
    assert not (tmp_path / "negatives.json").exists()
