"""Probabilities are on the final model's scale, and are calibrated on tails with hidden treatments."""

import json
from dataclasses import replace

import numpy as np
import pair_models
import planted
import pytest
from pair_models import SETTINGS
from script_runs import ScriptRun

from repurpose.candidates import finished
from repurpose.classifier import classifier, out_of_fold, pair_model
from repurpose.core import files
from repurpose.evaluation import calibration, popularity
from repurpose.graph import graph
from repurpose.pairs import pairs

HIDDEN = np.arange(0, 70, 4)  # diseases without drug-disease pairs in the graph of `half_known`
ROUNDS, WEIGHTS = (14, 9), pair_models.weights(1, 3)
TREES = pair_models.weights(1, 0)


@pytest.fixture(name="task", scope="module")
def planted_task():
    return classifier.Task(*pair_models.make(shuffled=False), SETTINGS, 0, 1)


@pytest.fixture(name="found", scope="module")
def calibrated(task):
    return out_of_fold.calibrated(task, ROUNDS, WEIGHTS)


def half_known():
    """The planted graph without the pairs of HIDDEN, and a mask of all true treatments (diseases, drugs)."""
    kg, rows = planted.repurposing(90, 70)
    truth = np.zeros((70, 90), bool)
    relations, heads, tails = list(kg.relations), list(kg.heads), list(kg.tails)
    for number, relation in enumerate(kg.relations):
        if (relation.head_type, relation.tail_type) == ("drug", "disease"):
            if relation.relation == "indication":
                truth[tails[number], heads[number]] = True
            kept = ~np.isin(tails[number], HIDDEN)
            heads[number], tails[number] = heads[number][kept], tails[number][kept]
            relations[number] = replace(relation, edges=int(kept.sum()))
    kg = graph.Graph(kg.node_types, kg.node_ids, kg.node_names, tuple(relations), tuple(heads), tuple(tails))
    return kg, rows, truth


def trained(folder, kg, rows, *, metapaths=False):
    """A run of the scripts up to the classifier and the contraindication model."""
    run = ScriptRun(folder, SETTINGS)
    run.begin(kg, rows)
    if metapaths:
        run.train_metapaths()
    run.train_baselines()
    run.train_classifier()
    run.train_contraindications()
    return run


def ranked(run, share=0.0):
    """All pairs and the best of each head, as rank_candidates writes them."""
    return run.rank(per_tail=0, per_head=5, correct_popularity=share)


@pytest.fixture(name="run", scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    kg, rows, _ = half_known()
    return trained(folder, kg, rows, metapaths=True)


@pytest.mark.parametrize("kernels", [(4.0, 0.0), (0.0, 4.0), (2.0, 2.0)], ids=str)
def test_probabilities_belong_to_the_final_model_whatever_the_weights_of_other_schemes(
    kernels, tmp_path, monkeypatch
):
    """Lists of hidden diseases have the weights of the scheme disease; the other schemes have others.

    The test compares with the true treatments of diseases whose treatments the graph lacks.
    """
    evaluate = classifier.evaluate_all

    def two_weights(task):
        return {
            scheme: fit._replace(
                model=fit.model._replace(weights=pair_models.weights(1, kernels[scheme != "disease"]))
            )
            for scheme, fit in evaluate(task).items()
        }

    monkeypatch.setattr(classifier, "evaluate_all", two_weights)
    kg, rows, truth = half_known()
    run = trained(tmp_path, kg, rows)
    table = ranked(run)[0].to_pandas()
    chosen = files.read_json(run.device_files.metrics)["weights"]
    assert chosen["untreated_tail"]["kernel"] == kernels[0] and chosen["treated_tail"]["kernel"] == kernels[1]
    tail, head = (table[f"{side}_id"].str.split(":").str[1].astype(int) for side in ("tail", "head"))
    is_hidden, is_treatment = np.isin(tail, HIDDEN), truth[tail, head]
    mean = table["probability"][is_hidden].mean()
    assert mean == pytest.approx(is_treatment[is_hidden].mean(), rel=0.5)
    best = is_hidden & (table["rank_of_drug_for_disease"] == 1)
    treatment_share = is_treatment[best].mean()
    assert treatment_share > 0.3
    assert table["probability"][best].mean() == pytest.approx(treatment_share, rel=0.5)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_probabilities_follow_the_ranking_strictly_through_parquet(run, share):
    listed, by_head = ranked(run, share)
    assert str(listed.schema.field("probability").type) == "double"
    frame = listed.to_pandas()
    assert frame["probability"].gt(0).all() and frame["probability"].lt(1).all()
    is_treated = frame["tail_id"].isin(frame["tail_id"][frame["known"] == "indication"])
    if not share:
        # Treated diseases have one curve; those of the others are at the level of the disease's support.
        for _, of_level in [(0, frame[is_treated]), *frame[~is_treated].groupby("tail_id")]:
            rows = of_level.sort_values("score")
            steps, rises = np.diff(rows["score"]), np.diff(rows["probability"])
            assert (rises[steps > 0] > 0).all() and (rises[steps == 0] == 0).all()
    for _, rows in frame.groupby("tail_id"):
        assert (
            rows["rank_of_drug_for_disease"].is_monotonic_increasing
            and (np.diff(rows["probability"]) <= 0).all()
        )
        # Pairs share a probability only if they share a score.
        assert rows["probability"].nunique() >= rows["score"].nunique() - (2 if share else 0)
    # A pair has the same probability in both lists.
    keys = ["head_id", "tail_id"]
    merged = by_head.to_pandas().merge(frame, on=keys, suffixes=("_of_head", ""))
    assert len(merged) == by_head.num_rows
    assert (merged["probability"] == merged["probability_of_head"]).all()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_file_says_how_reliable_its_probabilities_are(run, share):
    listed, _ = ranked(run, share)
    content = json.loads(listed.schema.metadata[b"calibration"])
    metrics = files.read_json(run.device_files.metrics)
    (curve,) = (entry for entry in metrics["calibration"]["curves"] if entry["share"] == share)
    assert content["reliability"] == curve["reliability"] and content["share"] == share
    if not share:
        frame = listed.to_pandas()
        is_treated = frame["tail_id"].isin(frame["tail_id"][frame["known"] == "indication"]).to_numpy()
        tails = frame["tail_id"].str.split(":").str[1].astype(int).to_numpy()
        support = pair_model.support(finished.load(run.device_files, planted.TARGET).model)[tails]
        for curve, rows in ((content, ~is_treated), (content["treated"], is_treated)):
            odds = calibration.log_odds(frame["score"].to_numpy()[rows], curve)
            odds += calibration.raised(support[rows], curve)
            again = calibration.probabilities_of(odds)
            assert np.array_equal(again, frame["probability"].to_numpy()[rows]) and rows.any()
        assert content["support"]["low"] < content["support"]["high"] and not content["treated"]["support"]


def test_a_popularity_correction_changes_ranks_and_has_its_own_curve(run):
    plain, corrected = (ranked(run, share)[0].to_pandas() for share in (0.0, 1.0))
    keys = ["tail_id", "head_id"]
    merged = plain.merge(corrected, on=keys, suffixes=("", "_corrected"))
    assert (merged["score"] == merged["score_corrected"]).all()
    assert (merged["rank_of_drug_for_disease"] != merged["rank_of_drug_for_disease_corrected"]).any()
    # Both expect about the same number of treatments.
    assert merged["probability_corrected"].mean() == pytest.approx(merged["probability"].mean(), rel=0.5)


def test_fold_models_have_the_final_settings_and_no_pairs_of_their_fold(task, monkeypatch):
    calls, names, fit = [], [], classifier.fit_final

    def watched(fold_task, rounds, weights, name):
        calls.append((fold_task, rounds, weights))
        names.append(name)
        return fit(fold_task, rounds, weights, name)

    monkeypatch.setattr(classifier, "fit_final", watched)
    scored, side, folds = out_of_fold.sample(task, ROUNDS, WEIGHTS)
    assert (side, folds, len(calls)) == ("tail", 4, 4)
    assert all((rounds, weights) == (ROUNDS, WEIGHTS) for _, rounds, weights in calls)
    assert names == ["fold 0", "fold 1", "fold 2", "fold 3"]
    labelled = {*zip(task.pairs["head_index"], task.pairs["tail_index"], strict=True)}
    positives = []
    for number, (fold_task, _, _) in enumerate(calls):
        held = np.unique(scored.tails[scored.folds == number])
        assert not np.isin(fold_task.pairs["tail_index"], held).any()
        known = {*zip(fold_task.known.heads.tolist(), fold_task.known.tails.tolist(), strict=True)}
        every = {*zip(task.known.heads.tolist(), task.known.tails.tolist(), strict=True)}
        # Pairs of other relations stay known.
        assert every - known == {pair for pair in labelled if pair[1] in held}
        positives.append(int(scored.labels[scored.folds == number].sum()))
    assert max(positives) - min(positives) < 0.2 * sum(positives)


def test_all_treatments_and_unknown_pairs_are_scored_once(task, found):
    positives, unknown = 315, 90 * 70 - len(task.known.heads)
    assert (found["positives"], found["pairs"]) == (positives, positives + unknown)
    assert (found["held_out"], found["folds"], found["tails"]) == ("tail", 4, 70)
    for curve in found["curves"]:
        bins = curve["reliability"]["bins"]
        assert sum(entry["positives"] for entry in bins) == positives
        assert sum(entry["pairs"] for entry in bins) == positives + unknown
        assert curve["best"]["all"]["count"] == 70


def test_reliability_is_measured_with_curves_fitted_to_the_other_folds(task, found):
    scored, _, _ = out_of_fold.sample(task, ROUNDS, WEIGHTS)
    predicted = np.zeros(len(scored.margins))
    for number in range(4):
        is_held_out = scored.folds == number
        columns = scored.margins, scored.labels, scored.weights, scored.support
        other_folds = calibration.fit(*(column[~is_held_out] for column in columns))
        odds = calibration.log_odds(scored.margins[is_held_out], other_folds)
        odds += calibration.raised(scored.support[is_held_out], other_folds)
        predicted[is_held_out] = calibration.probabilities_of(odds)
    first = found["curves"][0]
    assert first["reliability"] == calibration.reliability(predicted, scored.labels, scored.weights)
    whole = calibration.fit(scored.margins, scored.labels, scored.weights, scored.support)
    assert {key: first[key] for key in whole} == whole
    assert first["reliability"]["ece"] < 0.5 * scored.labels.mean()
    best = first["best"]["treated"]
    assert best["low"] <= best["predicted"] <= best["high"]


def test_a_curve_between_two_shares_is_near_the_curve_fitted_at_that_share(task, found):
    (direct,) = out_of_fold.calibrated(task, ROUNDS, WEIGHTS, shares=(0.6,))["curves"]
    mixed = calibration.select_curve(found, 0.6, "metrics.json")
    asked = np.array(direct["margins"])[1:-1]
    assert calibration.log_odds(asked, mixed) == pytest.approx(direct["log_odds"][1:-1], abs=0.4)


def test_with_shuffled_treatments_the_best_pairs_have_about_the_base_rate():
    shuffled = classifier.Task(*pair_models.make(shuffled=True), SETTINGS, 0, 1)
    content = out_of_fold.calibrated(shuffled, ROUNDS, WEIGHTS, shares=(0.0,))
    share = content["positives"] / content["pairs"]
    best = content["curves"][0]["best"]["all"]
    assert best["predicted"] < 3 * share
    assert best["low"] < best["predicted"] < best["high"]


def test_treatments_of_few_tails_are_held_out_by_whole_heads(task):
    names = task.pairs[task.pairs["label"] == 1]["tail_index"].value_counts().index[:2]
    kept = (task.pairs["label"] == 0) | task.pairs["tail_index"].isin(names)
    few = replace(task, pairs=task.pairs[kept].reset_index(drop=True))
    content = out_of_fold.calibrated(few, ROUNDS, WEIGHTS, shares=(0.0,))
    assert content["held_out"] == "head" and content["folds"] == 4
    assert content["curves"][0]["support"] is None
    assert content["positives"] == (few.pairs["label"] == 1).sum()
    assert content["curves"][0]["reliability"]["ece"] < 0.02


def test_weights_of_sampled_tails_add_up_to_all_tails(task):
    some = replace(task, settings=replace(SETTINGS, evaluation_pairs=90 * 20))
    scored, _, _ = out_of_fold.sample(some, ROUNDS, TREES)
    treated = np.unique(task.pairs.loc[task.pairs["label"] == 1, "tail_index"])
    assert len(np.unique(scored.tails)) == 20 + min(20, 70 - len(treated))
    assert scored.weights.sum() == pytest.approx(315 + 90 * 70 - len(task.known.heads), rel=0.1)
    assert scored.weights[scored.labels == 1].sum() == pytest.approx(315, rel=0.3)


def test_each_fold_and_head_has_one_mean(task):
    scored, _, _ = out_of_fold.sample(task, ROUNDS, TREES)
    assert popularity.SAMPLE >= 70
    # There is one mean per fold and head.
    assert len(np.unique(scored.means)) <= 4 * 90 and np.isfinite(scored.means).all()


def test_if_every_pair_is_known_the_known_negatives_are_used(task):
    heads, tails = (each.ravel() for each in np.meshgrid(np.arange(90), np.arange(70)))
    all_known = replace(task, known=pairs.Known(heads, tails, np.full(len(heads), "", object)))
    content = out_of_fold.calibrated(all_known, ROUNDS, TREES, shares=(0.0,))
    assert content["pairs"] == len(task.pairs)


def test_lists_of_treated_tails_have_a_curve_of_the_random_test_pairs():
    task = classifier.Task(*pair_models.make(shuffled=False), SETTINGS, 0, 1)
    random_pairs = task.pairs.drop(columns=["disease", "drug"])
    fits = classifier.evaluate_all(replace(task, pairs=random_pairs))
    content = out_of_fold.calibrated(task, ROUNDS, WEIGHTS, shares=(0.0,), random_fit=fits["random"])
    is_test = (task.pairs["random"] == "test") & (task.pairs["label"] == 1)
    known = task.pairs.loc[(task.pairs["random"] == "train") & (task.pairs["label"] == 1), "tail_index"]
    expected = int((is_test & task.pairs["tail_index"].isin(known)).sum())
    treated = content["treated"]
    assert treated["positives"] == expected and treated["tails"] == known.nunique()
    assert treated["curves"][0]["reliability"]["ece"] < 0.01
    assert treated["curves"][0]["log_odds"] != content["curves"][0]["log_odds"]
    assert content["curves"] == out_of_fold.calibrated(task, ROUNDS, WEIGHTS, shares=(0.0,))["curves"]


def test_without_test_pairs_of_treated_tails_their_lists_have_no_curve_of_their_own():
    """As if each disease had one treatment: those of the test are of diseases without one in training."""
    vectors, labelled, known = pair_models.make(shuffled=False)
    by_tail = labelled.drop(columns=["random", "drug"]).rename(columns={"disease": "random"})
    task = classifier.Task(vectors, by_tail, known, SETTINGS, 0, 1)
    fit = classifier.evaluate_all(task)["random"]
    assert not out_of_fold.sample_of_treated(task, fit).labels.any()
    assert out_of_fold.calibrated(task, ROUNDS, WEIGHTS, shares=(0.0,), random_fit=fit)["treated"] is None
