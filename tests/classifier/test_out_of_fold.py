"""Probabilities belong to the model that ranks: on its scale, of tails whose treatments were hidden."""

import json
from dataclasses import replace

import numpy as np
import pair_models
import planted
import pytest
from pair_models import SETTINGS
from script_runs import ScriptRun

from repurpose.classifier import classifier, out_of_fold
from repurpose.core import files
from repurpose.evaluation import calibration, popularity
from repurpose.graph import graph
from repurpose.pairs import pairs

HIDDEN = np.arange(0, 70, 4)  # diseases whose pairs the graph of `half_known` lacks
ROUNDS, WEIGHT = (14, 9), 3.0


@pytest.fixture(name="task", scope="module")
def planted_task():
    return classifier.Task(*pair_models.make(shuffled=False), SETTINGS, 0, 1)


@pytest.fixture(name="found", scope="module")
def calibrated(task):
    return out_of_fold.calibrated(task, ROUNDS, WEIGHT)


def half_known():
    """The planted graph without what is known of HIDDEN, and which of all pairs are treatments in truth."""
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


def trained(folder, kg, rows):
    """Everything up to the classifier, as the scripts leave it."""
    run = ScriptRun(folder, SETTINGS)
    run.begin(kg, rows)
    run.train_baselines()
    run.train_classifier()
    run.train_contraindications()
    return run


def ranked(run, share=0.0):
    """Every pair as rank_candidates writes it, and the best of each head."""
    return run.rank(per_tail=0, per_head=5, correct_popularity=share)


@pytest.fixture(name="run", scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    kg, rows, _ = half_known()
    return trained(folder, kg, rows)


@pytest.mark.parametrize("weights", [(4.0, 0.0), (0.0, 4.0), (2.0, 2.0)], ids=str)
def test_probabilities_are_those_of_the_final_model_whatever_weight_another_scheme_has(
    weights, tmp_path, monkeypatch
):
    """The random scheme, whose weight the final model has, and the others have a weight of their own.

    Judged by diseases of which the graph knows nothing, and whose treatments are known here.
    """
    evaluate = classifier.evaluate_all

    def two_weights(task):
        fits = evaluate(task)
        own = {scheme: weights[scheme != "random"] for scheme in fits}
        return {
            scheme: fit._replace(model=fit.model._replace(weight=own[scheme])) for scheme, fit in fits.items()
        }

    monkeypatch.setattr(classifier, "evaluate_all", two_weights)
    kg, rows, truth = half_known()
    run = trained(tmp_path, kg, rows)
    table = ranked(run)[0].to_pandas()
    assert files.read_json(run.device_files.metrics)["kernel_weight"] == weights[0]
    tail, head = (table[f"{side}_id"].str.split(":").str[1].astype(int) for side in ("tail", "head"))
    is_hidden, is_treatment = np.isin(tail, HIDDEN), truth[tail, head]
    mean = table["probability"][is_hidden].mean()
    assert mean == pytest.approx(is_treatment[is_hidden].mean(), rel=0.5)
    best = is_hidden & (table["rank"] == 1)
    found = is_treatment[best].mean()
    assert found > 0.3
    assert table["probability"][best].mean() == pytest.approx(found, rel=0.5)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_probabilities_follow_the_ranking_strictly_through_parquet(run, share):
    listed, by_head = ranked(run, share)
    assert str(listed.schema.field("probability").type) == "double"
    frame = listed.to_pandas()
    assert frame["probability"].gt(0).all() and frame["probability"].lt(1).all()
    if not share:
        every = frame.sort_values("score")
        steps, rises = np.diff(every["score"]), np.diff(every["probability"])
        assert (rises[steps > 0] > 0).all() and (rises[steps == 0] == 0).all()
    for _, own in frame.groupby("tail_id"):
        assert own["rank"].is_monotonic_increasing and (np.diff(own["probability"]) <= 0).all()
        # No more pairs share a probability than share a score.
        assert own["probability"].nunique() >= own["score"].nunique() - (2 if share else 0)
    # A pair has one probability, in whatever list it stands.
    keys = ["head_id", "tail_id"]
    both = by_head.to_pandas().merge(frame, on=keys, suffixes=("_of_head", ""))
    assert len(both) == by_head.num_rows
    assert (both["probability"] == both["probability_of_head"]).all()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_file_says_how_reliable_its_probabilities_are(run, share):
    listed, _ = ranked(run, share)
    content = json.loads(listed.schema.metadata[b"calibration"])
    metrics = files.read_json(run.device_files.metrics)
    (own,) = (each for each in metrics["calibration"]["curves"] if each["share"] == share)
    assert content["reliability"] == own["reliability"] and content["share"] == share
    if not share:
        again = calibration.probabilities(listed["score"].to_numpy(), content)
        assert np.array_equal(again, listed["probability"].to_numpy())


def test_a_correction_ranks_by_the_score_less_the_mean_and_its_curve_belongs_to_that(run):
    plain, corrected = (ranked(run, share)[0].to_pandas() for share in (0.0, 1.0))
    keys = ["tail_id", "head_id"]
    both = plain.merge(corrected, on=keys, suffixes=("", "_corrected"))
    assert (both["score"] == both["score_corrected"]).all()
    assert (both["rank"] != both["rank_corrected"]).any()
    # The two agree on how many treatments there are.
    assert both["probability_corrected"].mean() == pytest.approx(both["probability"].mean(), rel=0.5)


def test_models_of_the_folds_have_the_final_settings_and_do_not_know_the_fold(task, monkeypatch):
    calls, fit = [], classifier.fit_final

    def watched(own, rounds, weight):
        calls.append((own, rounds, weight))
        return fit(own, rounds, weight)

    monkeypatch.setattr(classifier, "fit_final", watched)
    found, side, folds = out_of_fold.sample(task, ROUNDS, WEIGHT)
    assert (side, folds, len(calls)) == ("tail", 4, 4)
    assert all((rounds, weight) == (ROUNDS, WEIGHT) for _, rounds, weight in calls)
    labelled = {*zip(task.pairs["head_index"], task.pairs["tail_index"], strict=True)}
    positives = []
    for number, (own, _, _) in enumerate(calls):
        held = np.unique(found.tails[found.folds == number])
        assert not np.isin(own.pairs["tail_index"], held).any()
        known = {*zip(own.known.heads.tolist(), own.known.tails.tolist(), strict=True)}
        every = {*zip(task.known.heads.tolist(), task.known.tails.tolist(), strict=True)}
        # What other relations join stays known.
        assert every - known == {pair for pair in labelled if pair[1] in held}
        positives.append(int(found.labels[found.folds == number].sum()))
    assert max(positives) - min(positives) < 0.2 * sum(positives)


def test_all_treatments_and_unknown_pairs_are_asked_once(task, found):
    positives, unknown = 315, 90 * 70 - len(task.known.heads)
    assert (found["positives"], found["pairs"]) == (positives, positives + unknown)
    assert (found["held_out"], found["folds"], found["tails"]) == ("tail", 4, 70)
    for curve in found["curves"]:
        bins = curve["reliability"]["bins"]
        assert sum(each["positives"] for each in bins) == positives
        assert sum(each["pairs"] for each in bins) == positives + unknown
        assert curve["best"]["all"]["count"] == 70


def test_reliability_is_that_of_curves_that_did_not_see_the_fold(task, found):
    own, _, _ = out_of_fold.sample(task, ROUNDS, WEIGHT)
    predicted = np.zeros(len(own.margins))
    for number in range(4):
        out = own.folds == number
        rest = calibration.fit(own.margins[~out], own.labels[~out], own.weights[~out])
        predicted[out] = calibration.probabilities(own.margins[out], rest)
    first = found["curves"][0]
    assert first["reliability"] == calibration.reliability(predicted, own.labels, own.weights)
    whole = calibration.fit(own.margins, own.labels, own.weights)
    assert {key: first[key] for key in whole} == whole
    assert first["reliability"]["ece"] < 0.5 * own.labels.mean()
    best = first["best"]["treated"]
    assert best["low"] <= best["predicted"] <= best["high"]


def test_a_curve_between_two_measured_shares_is_near_the_one_that_is_fitted_there(task, found):
    (direct,) = out_of_fold.calibrated(task, ROUNDS, WEIGHT, shares=(0.6,))["curves"]
    mixed = calibration.select_curve(found, 0.6, "metrics.json")
    asked = np.array(direct["margins"])[1:-1]
    assert calibration.log_odds(asked, mixed) == pytest.approx(direct["log_odds"][1:-1], abs=0.4)


def test_shuffled_treatments_have_the_share_of_treatments_everywhere():
    shuffled = classifier.Task(*pair_models.make(shuffled=True), SETTINGS, 0, 1)
    content = out_of_fold.calibrated(shuffled, ROUNDS, WEIGHT, shares=(0.0,))
    share = content["positives"] / content["pairs"]
    best = content["curves"][0]["best"]["all"]
    assert best["predicted"] < 3 * share
    assert best["low"] < best["predicted"] < best["high"]


def test_treatments_of_few_tails_are_held_out_by_whole_heads(task):
    names = task.pairs[task.pairs["label"] == 1]["tail_index"].value_counts().index[:2]
    kept = (task.pairs["label"] == 0) | task.pairs["tail_index"].isin(names)
    few = replace(task, pairs=task.pairs[kept].reset_index(drop=True))
    content = out_of_fold.calibrated(few, ROUNDS, WEIGHT, shares=(0.0,))
    assert content["held_out"] == "head" and content["folds"] == 4
    assert content["positives"] == (few.pairs["label"] == 1).sum()
    assert content["curves"][0]["reliability"]["ece"] < 0.02


def test_drawn_tails_stand_for_all(task):
    some = replace(task, settings=replace(SETTINGS, evaluation_pairs=90 * 20))
    own, _, _ = out_of_fold.sample(some, ROUNDS, 0.0)
    treated = np.unique(task.pairs.loc[task.pairs["label"] == 1, "tail_index"])
    assert len(np.unique(own.tails)) == 20 + min(20, 70 - len(treated))
    assert own.weights.sum() == pytest.approx(315 + 90 * 70 - len(task.known.heads), rel=0.1)
    assert own.weights[own.labels == 1].sum() == pytest.approx(315, rel=0.3)


def test_means_are_those_that_ranking_takes_off(task):
    own, _, _ = out_of_fold.sample(task, ROUNDS, 0.0)
    assert popularity.SAMPLE >= 70
    # Of one fold and head there is one mean.
    assert len(np.unique(own.means)) <= 4 * 90 and np.isfinite(own.means).all()


def test_where_every_pair_is_known_the_known_negatives_stand_in(task):
    heads, tails = (each.ravel() for each in np.meshgrid(np.arange(90), np.arange(70)))
    every = replace(task, known=pairs.Known(heads, tails, np.full(len(heads), "", object)))
    content = out_of_fold.calibrated(every, ROUNDS, 0.0, shares=(0.0,))
    assert content["pairs"] == len(task.pairs)
