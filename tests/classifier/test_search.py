"""The search chooses settings on validation pairs; they are never worse than the given settings."""

import dataclasses

import pair_models
import pytest

from repurpose.classifier import classifier, search
from repurpose.classifier.examples import split_examples

SETTINGS = dataclasses.replace(pair_models.SETTINGS, depth=2, trees=8, learning_rate=0.03)


@pytest.fixture(name="task", scope="module")
def planted_task():
    return classifier.Task(*pair_models.make(shuffled=False), SETTINGS, 0, 1)


def found(task, trials, **changes):
    """The result of a search with this number of trials, on the task with these changes."""
    settings = dataclasses.replace(task.settings, search_trials=trials)
    return search.search(dataclasses.replace(task, settings=settings, **changes))


@pytest.fixture(name="ten", scope="module")
def search_of_ten_trials(task):
    return found(task, 10)


def test_the_best_trial_is_kept_and_the_first_trial_is_the_given_settings(ten):
    assert len(ten.trials) == 10
    values = [trial["valid_auprc"] for trial in ten.trials]
    assert ten.trials[0]["depth"] == 2 and ten.trials[0]["learning_rate"] == 0.03
    best = ten.trials[values.index(max(values))]
    assert max(values) > values[0]  # eight slow stumps can be improved
    for name in search.SEARCHED:
        assert getattr(ten.settings, name) == best[name]
    assert ten.settings.draws == SETTINGS.draws and ten.settings.trees == SETTINGS.trees


def test_a_trial_is_the_validation_auprc_of_a_model_with_its_settings(task, ten):
    trial = ten.trials[3]
    settings = dataclasses.replace(SETTINGS, **{name: trial[name] for name in search.SEARCHED})
    _, valid = split_examples(task.pairs, "random", task.taken, *task.sizes, SETTINGS, 0)
    again = search._valid_auprc(dataclasses.replace(task, settings=settings), "random", valid)
    assert again == trial["valid_auprc"]
    assert again != search._valid_auprc(task, "random", valid)


def test_without_trials_nothing_is_trained_and_the_given_settings_are_kept(task):
    assert found(task, 0, vectors=None) == search.Found(SETTINGS, [])  # without vectors, training would fail


def test_one_trial_tries_only_the_given_settings(task, ten):
    one = found(task, 1)
    assert one.trials == ten.trials[:1]
    assert dataclasses.replace(one.settings, search_trials=0) == SETTINGS


def test_a_seed_gives_the_same_trials_and_the_test_pairs_do_not_matter(task, ten):
    moved = task.pairs.copy()
    moved.loc[moved["random"] == "test", "label"] = 1 - moved.loc[moved["random"] == "test", "label"]
    assert found(task, 3, pairs=moved).trials == ten.trials[:3]  # with more trials, further settings follow
    assert found(task, 3, seed=1).trials != ten.trials[:3]


def test_any_number_of_threads_finds_the_same_settings(task, ten):
    assert found(task, 10, threads=3) == ten
