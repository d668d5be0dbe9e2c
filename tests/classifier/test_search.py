"""Settings are chosen by validation pairs, within the time given, and never worse than the given ones."""

import dataclasses
from itertools import count

import pair_models
import pytest

from repurpose.classifier import classifier, search

SETTINGS = dataclasses.replace(pair_models.SETTINGS, depth=2, trees=8, learning_rate=0.03)


@pytest.fixture(name="task", scope="module")
def planted_task():
    return classifier.Task(*pair_models.make(shuffled=False), SETTINGS, 0, 1)


def ticking(step):
    """A clock that goes on by `step` minutes each time it is read."""
    ticks = count(0, 60 * step)
    return lambda: next(ticks)


def test_the_best_of_the_trials_is_kept_and_the_given_settings_are_the_first(task):
    found = search.search(task, 10, ticking(1))
    assert len(found.trials) == 10
    values = [trial["valid_auprc"] for trial in found.trials]
    assert found.trials[0]["depth"] == 2 and found.trials[0]["learning_rate"] == 0.03
    best = found.trials[values.index(max(values))]
    assert max(values) > values[0]  # eight slow stumps can be bettered
    for name in ("depth", "learning_rate", "negatives_per_positive"):
        assert getattr(found.settings, name) == best[name]
    assert found.settings.draws == SETTINGS.draws and found.settings.trees == SETTINGS.trees


def test_without_time_the_given_settings_are_tried_alone(task):
    found = search.search(task, 0, ticking(1))
    assert len(found.trials) == 1 and found.settings == SETTINGS


def test_a_seed_gives_the_same_trials_and_the_test_pairs_do_not_matter(task):
    moved = task.pairs.copy()
    moved.loc[moved["random"] == "test", "label"] = 1 - moved.loc[moved["random"] == "test", "label"]
    first, again = (
        search.search(each, 3, ticking(1)).trials for each in (task, dataclasses.replace(task, pairs=moved))
    )
    assert first == again
    other = search.search(dataclasses.replace(task, seed=1), 3, ticking(1)).trials
    assert other != first
