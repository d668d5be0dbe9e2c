"""All models on metapaths of a run: what they learn from, and their file."""

import json

import numpy as np
import planted
import pytest
from pair_models import SETTINGS, make

from repurpose.classifier import classifier, metapath_baselines, metapath_fits
from repurpose.classifier.metapath_fits import FINAL
from repurpose.core.errors import InputError
from repurpose.metapaths import steps, votes, walks
from repurpose.pairs import pairs
from repurpose.vectors.vectors import Vectors

TYPES = ("drug", "disease")
OPTIONS = {"longest": 4, "kept": 8, "seed": 0, "threads": 1}


@pytest.fixture(name="case", scope="module")
def planted_case():
    kg, _ = planted.repurposing(90, 70)
    vectors, labelled, known = make(shuffled=False)
    fits = metapath_fits.fit_all(kg, TYPES, labelled, known, **OPTIONS)
    return kg, vectors, labelled, known, fits


def test_each_model_knows_the_pairs_of_its_name_and_no_other(case):
    _, _, labelled, _, fits = case
    positives = labelled[labelled["label"] == 1]
    assert list(fits.models) == ["random", "disease", "drug", FINAL, "fold 0", "fold 1", "fold 2", "fold 3"]
    for scheme in ("random", "disease", "drug"):
        expected = positives[positives[scheme] == "train"]
        assert np.array_equal(fits.known_by_name[scheme][0], expected["head_index"])
        assert fits.fitted(scheme).features.known is fits.known_by_name[scheme]
    assert len(fits.known_by_name[FINAL][0]) == len(positives)
    hidden = [set(positives["tail_index"]) - set(fits.known_by_name[f"fold {n}"][1]) for n in range(4)]
    assert set.union(*hidden) == set(positives["tail_index"]) and sum(map(len, hidden)) == len(
        set.union(*hidden)
    )


@pytest.mark.parametrize("part", ["choice of features", "models", "votes and paths"])
def test_a_pair_that_a_model_does_not_know_may_be_drawn_and_a_known_one_may_not(case, monkeypatch, part):
    """The pairs that may not be drawn: all known ones but those that are held out from the model."""
    kg, vectors, labelled, known, fits = case
    refused, draw = [], metapath_fits.metapath_model.draw

    def watched(pairs, taken, *others):
        refused.append(set(zip(taken.heads.tolist(), taken.tails.tolist(), strict=True)))
        return draw(pairs, taken, *others)

    def left(is_known):
        hidden = labelled[~is_known]
        return everything - set(zip(hidden["head_index"], hidden["tail_index"], strict=True))

    everything = set(zip(known.heads.tolist(), known.tails.tolist(), strict=True))
    monkeypatch.setattr(metapath_fits.metapath_model, "draw", watched)
    if part == "choice of features":
        metapath_fits.choose_features(kg, TYPES, labelled, known, **OPTIONS)
        expected = [left((labelled[["random", "disease", "drug"]] == "train").all(axis=1))]
    elif part == "models":
        masks = metapath_fits.training_masks(labelled, fits.folds)
        metapath_fits.fit_models(fits.features, labelled, masks, known, 0, 1)
        expected = [left(labelled[scheme] == "train") for scheme in pairs.SCHEMES] + [everything]
        expected += [left(~fits.folds.is_held_out(labelled, fold)) for fold in range(4)]
    else:
        task = classifier.Task(vectors, labelled, known, SETTINGS, 0, 1, metapaths=fits)
        metapath_baselines.evaluate_all(task, TYPES)
        expected = [left(labelled[scheme] == "train") for scheme in pairs.SCHEMES for _ in range(2)]
    assert refused == expected and all(len(each) > 50 for each in expected)


def test_features_are_chosen_by_pairs_that_no_scheme_holds_out(case, monkeypatch):
    kg, _, labelled, known, fits = case
    used, draw = [], metapath_fits.metapath_model.draw

    def watched(pairs, *others):
        used.append(set(zip(*(ends.tolist() for ends in pairs), strict=True)))
        return draw(pairs, *others)

    monkeypatch.setattr(metapath_fits.metapath_model, "draw", watched)
    features = metapath_fits.choose_features(kg, TYPES, labelled, known, **OPTIONS)
    is_common = (labelled[["random", "disease", "drug"]] == "train").all(axis=1) & (labelled["label"] == 1)
    common = labelled[is_common]
    assert used == [set(zip(common["head_index"].tolist(), common["tail_index"].tolist(), strict=True))]
    assert (features.metapaths, features.kinds) == (fits.features.metapaths, fits.features.kinds)
    assert 0 < features.count <= 8


def test_kept_features_cost_no_more_than_the_limits(case, monkeypatch):
    kg, _, labelled, known, _ = case
    everything = metapath_fits.candidate_features(
        steps.of_graph(kg), TYPES, case[4].known_by_name[FINAL], (90, 70), 4
    )
    limits = walks.cost(everything.steps, everything.metapaths[:2]), 3000
    monkeypatch.setattr(metapath_fits, "KEPT_WALKS", limits[0])
    monkeypatch.setattr(metapath_fits, "KEPT_VOTES", limits[1])
    options = {**OPTIONS, "kept": 1000}
    kept = metapath_fits.choose_features(kg, TYPES, labelled, known, **options)
    assert walks.cost(kept.steps, kept.metapaths) <= limits[0]
    assert votes.cost(kept.election, kept.kinds) <= limits[1]
    assert 0 < kept.count < everything.count


def test_a_small_budget_tries_short_metapaths_only(case, monkeypatch):
    kg, _, labelled, known, _ = case
    everything = metapath_fits.candidate_features(
        steps.of_graph(kg), TYPES, case[4].known_by_name[FINAL], (90, 70), 4
    )
    short = walks.cost(everything.steps, [m for m in everything.metapaths if len(m) == 2])
    of_votes = 8 * votes.cost(everything.election, everything.kinds)
    tails = labelled.loc[labelled["label"] == 1, "tail_index"].nunique()
    monkeypatch.setattr(metapath_fits, "CANDIDATES_WORK", tails * (short + of_votes))
    monkeypatch.setattr(metapath_fits, "_choosing", lambda pairs: np.ones(len(pairs), bool))
    kept = metapath_fits.choose_features(kg, TYPES, labelled, known, **{**OPTIONS, "kept": 1000})
    assert {len(metapath) for metapath in kept.metapaths} == {2}


def test_models_read_from_the_file_give_the_same_scores(case, tmp_path):
    kg, _, labelled, _, fits = case
    metapath_fits.save(fits, TYPES, tmp_path / "models.json")
    back = metapath_fits.load(tmp_path / "models.json", kg, TYPES, labelled)
    for name in fits.models:
        assert np.array_equal(
            back.fitted(name).scores(np.arange(70)), fits.fitted(name).scores(np.arange(70))
        )
    assert back.folds.count == 4 and np.array_equal(back.folds.of_node, fits.folds.of_node)


@pytest.mark.parametrize(
    "damage", ["digest", "steps", "booster", "head_booster", "number", "models", "metapaths", "kinds"]
)
def test_a_damaged_file_is_named_with_the_command_that_rebuilds_it(case, tmp_path, damage):
    kg, _, labelled, _, fits = case
    path = tmp_path / "models.json"
    metapath_fits.save(fits, TYPES, path)
    content = json.loads(path.read_text())
    model = content["models"][FINAL]
    if damage == "steps":
        content["steps"][0] = "another relation"
    elif damage == "metapaths":
        content["metapaths"] = [[99, 0]]
    elif damage == "kinds":
        content["kinds"] = [[0, 99]]
    elif damage == "models":
        del content["models"]
    elif damage == "number":
        model["booster"] = [1, 2]
    else:
        name, place = ("booster", 1) if damage == "digest" else (damage, 0)
        model[name][place] = model[name][place][:-2]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"models\.json does not fit .* --forcerun"):
        metapath_fits.load(path, kg, TYPES, labelled)


def test_the_score_with_metapaths_is_tested_in_each_scheme_and_so_are_the_baselines(case):
    _, vectors, labelled, known, fits = case
    task = classifier.Task(vectors, labelled, known, SETTINGS, 0, 1, metapaths=fits)
    assert task.parts == ("trees", "kernel", "metapaths", "specificity")
    whole = classifier.evaluate_all(task)
    alone = classifier.ablated(task, whole, ("trees", "kernel"))
    baselines = metapath_baselines.evaluate_all(task, TYPES)
    assert list(baselines) == ["votes", "paths", "metapaths"]
    for scheme in ("random", "disease", "drug"):
        assert whole[scheme].model.weights.parts == task.parts
        assert alone[scheme].model.metapaths is None
        # The graph's edges are random, so only the vectors tell.
        assert alone[scheme].metrics["auroc"]["value"] > 0.75
        assert whole[scheme].metrics["auroc"]["value"] > 0.7
        for fits_by_scheme in baselines.values():
            assert fits_by_scheme[scheme].model.booster is None
    final, members = classifier.refit(task, whole)
    assert final.metapaths.features.known is fits.known_by_name[FINAL]
    assert len(members) == SETTINGS.draws


def dense(seed=0):
    """A tenth of 90 x 70 pairs is known, by groups of drugs and diseases; the message edges are random."""
    rng = np.random.default_rng(seed)
    chance = np.where(rng.random((6, 5)) < 0.25, 0.4, 0.02)
    groups = rng.integers(0, 6, 90), rng.integers(0, 5, 70)
    known = np.argwhere(rng.random((90, 70)) < chance[groups[0][:, None], groups[1]])
    relations = [
        ("drug", "indication", "disease", "target", known),
        ("drug", "contraindication", "disease", "target", []),
        ("drug", "binds", "gene", "message", np.argwhere(rng.random((90, 30)) < 0.1)),
        ("disease", "associated", "gene", "message", np.argwhere(rng.random((70, 30)) < 0.1)),
    ]
    kg = planted.graph({"drug": 90, "disease": 70, "gene": 30}, relations)
    labelled = pairs.split(pairs.label(kg, planted.TARGET), ["random"], 0.1, 0.2, 0)
    vectors = Vectors(*(rng.normal(size=(n, 6)).astype(np.float32) for n in (90, 70)), product=True)
    return kg, vectors, labelled, pairs.known(kg, *TYPES)


def test_in_a_dense_matrix_the_labels_of_similar_nodes_are_the_signal():
    """As in tables of drugs and diseases without a graph: which diseases two drugs share says most."""
    kg, vectors, labelled, known = dense()
    assert 0.05 < len(known.heads) / (90 * 70) < 0.2
    fits = metapath_fits.fit_all(kg, TYPES, labelled, known, **OPTIONS)
    assert sum(votes.LABELS in kind for kind in fits.features.kinds) >= 3
    task = classifier.Task(vectors, labelled, known, SETTINGS, 0, 1, metapaths=fits)
    whole = classifier.evaluate_all(task)
    alone = classifier.ablated(task, whole, ("trees", "kernel"))
    auroc = [found["random"].metrics["auroc"]["value"] for found in (whole, alone)]
    assert auroc[0] > 0.8 and auroc[0] > auroc[1] + 0.08
