"""The search for settings: what may be searched, what is proposed, and when a search goes on."""

import json
from pathlib import Path

import pytest

from repurpose.config import settings
from repurpose.core.errors import InputError
from repurpose.results import search
from repurpose.results.search import Trial

CONFIG = Path(__file__).resolve().parents[2] / "config" / "config.yaml"
SPACE = {
    "training.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
    "hgt.layers": {"low": 1, "high": 3},
    "classifier.draws": {"low": 1, "high": 9, "step": 2},
    "hgt.inputs": {"choices": ["blocks", "spectral"]},
}


def read(folder, text):
    (folder / "space.yaml").write_text(text)
    return search.read_space(
        folder / "space.yaml", settings.load([CONFIG]), settings.read(CONFIG.with_name("schema.yaml"))
    )


def trial(number, values, objective):
    return Trial(number, values, objective, {}, "completed", 1.0)


def test_keys_with_ranges_and_choices_are_read(tmp_path):
    line = "training.learning_rate: {low: 0.001, high: 0.1, log: true}"
    found = read(tmp_path, f"{line}\nhgt.inputs: {{choices: [blocks, learned]}}\n")
    assert set(found) == {"training.learning_rate", "hgt.inputs"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "training.rate: {low: 1, high: 2}",
            "the config has no key training.rate; write it with its sections",
        ),
        ("training: {low: 1, high: 2}", "training is a section; name one of its keys: batch_size, "),
        ("hgt.layers: 3", "hgt.layers has no range or choices; write {low: 0.001"),
        ("hgt.layers: {low: 1}", "hgt.layers has no range or choices"),
        ("hgt.layers: {low: 1, high: 3, steps: 2}", "hgt.layers has no range or choices"),
        ("hgt.layers: {low: 3, high: 1}", "hgt.layers has low 3 and high 1"),
        ("hgt.layers: {low: one, high: 2}", "hgt.layers has low one and high 2"),
        ("hgt.dropout: {low: 0.0, high: 0.5, log: true}", "hgt.dropout has low 0.0 and high 0.5"),
        (
            "hgt.layers: {low: 1, high: 99}",
            "hgt.layers may not be 99: hgt.layers is 99, but must be at most 16",
        ),
        ("hgt.inputs: {choices: [blocks, random]}", 'hgt.inputs may not be "random": hgt.inputs is "random"'),
        ("hgt.heads: {choices: [4, 7]}", "hgt.heads may not be 7: hgt.hidden_dim is "),
        ("hgt.inputs: {choices: []}", "the choices of hgt.inputs are no list"),
        ("{}", "names no key; write keys as training.learning_rate:"),
    ],
)
def test_a_space_that_no_run_could_take_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text + "\n")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_values_become_an_overlay():
    values = {"seed": 3, "hgt.layers": 2, "hgt.heads": 4, "training.ranking.weight": 1.0}
    assert search.overlay(values) == {
        "seed": 3,
        "hgt": {"layers": 2, "heads": 4},
        "training": {"ranking": {"weight": 1.0}},
    }


def test_proposals_lie_in_the_space_and_depend_on_the_seed_and_the_trials_before_alone():
    pytest.importorskip("optuna", reason="needs envs/search.txt")
    own = {"training.learning_rate": 0.5, "hgt.layers": 2, "classifier.draws": 4, "hgt.inputs": "learned"}

    def proposed(count, seed, sign=1):
        trials = [trial(0, own, 0.3)]
        for number in range(1, count):
            values = search.propose(SPACE, trials, seed)
            ended = None if number == 3 else sign * values["training.learning_rate"]
            trials.append(trial(number, values, ended))
        return [each.values for each in trials[1:]]

    found = proposed(16, 1)
    for values in found:
        assert 0.001 <= values["training.learning_rate"] <= 0.1 and values["hgt.layers"] in (1, 2, 3)
        assert values["classifier.draws"] in (1, 3, 5, 7, 9) and values["hgt.inputs"] in (
            "blocks",
            "spectral",
        )
    assert found == proposed(16, 1) and found[:7] == proposed(8, 1)
    assert found != proposed(16, 2) and found[-1] != proposed(16, 1, sign=-1)[-1]


def test_the_objective_is_the_geometric_mean_over_schemes_of_means_over_runs():
    runs = [
        {"valid_lists": {"random": {"ap": ap, "tails": 4}, "disease": {"ap": 2 * ap, "tails": 6}}}
        for ap in (0.1, 0.3)
    ]
    found = search.measured(runs)
    assert found["random"] == pytest.approx({"ap": 0.2, "tails": 4})
    assert search.objective(found, "treated") == pytest.approx(0.2)
    assert search.objective(found, "untreated") == pytest.approx(0.4)
    assert search.objective(found, "both") == pytest.approx((0.2 * 0.4) ** 0.5)


def test_the_best_trial_is_the_first_with_the_highest_objective():
    trials = [trial(0, {}, 0.1), trial(1, {}, None), trial(2, {}, 0.3), trial(3, {}, 0.3)]
    assert search.best(trials).number == 2
    assert search.best(trials[1:2]) is None


def test_a_search_goes_on_only_with_what_it_began_with(tmp_path):
    path, asked = tmp_path / "trials.jsonl", {"space": SPACE, "seed": 1}
    assert search.load(path, asked) == []
    first = trial(0, {"hgt.layers": 2}, 0.25)
    path.write_text(json.dumps(asked) + "\n" + json.dumps(first._asdict()) + "\n")
    assert search.load(path, asked) == [first]
    with pytest.raises(
        InputError, match=r"trials.jsonl is of a search with another seed; name another folder"
    ):
        search.load(path, {**asked, "seed": 2})
    path.write_text(json.dumps(asked) + '\n{"number": 1')
    with pytest.raises(InputError, match=r"trials.jsonl is damaged"):
        search.load(path, asked)
