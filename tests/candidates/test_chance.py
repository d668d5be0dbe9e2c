"""With shuffled treatments measures are those of chance, and with the true ones they are not."""

import dataclasses

import pair_models
import planted
import pytest
from script_runs import ScriptRun

import permute_labels
from repurpose.candidates import chance, finished
from repurpose.config.sections import SplitSettings
from repurpose.core import files
from repurpose.pairs import permuted

SETTINGS = dataclasses.asdict(pair_models.SETTINGS)


@pytest.fixture(name="run", scope="module")
def finished_run(tmp_path_factory):
    run = ScriptRun(tmp_path_factory.mktemp("run") / "results")
    run.begin(*planted.repurposing(90, 70))
    run.train_metapaths()
    run.train_baselines()
    run.train_classifier()
    return run


def measured(run, kg=None, **changes):
    device = finished.load(run.device_files, planted.TARGET)
    shuffled = permuted.shuffle_treatments(device.kg, planted.TARGET, 3) if kg is None else kg
    split = SplitSettings(**{**pair_models.SPLIT, **changes})
    options = {"seed": 0, "n_threads": 1, "correct_popularity": 0.0}
    return chance.run(device, shuffled, run.settings, split, **options)


def test_shuffled_treatments_cannot_be_found_and_the_true_ones_can(run):
    by_chance = measured(run)
    real = measured(run, finished.load(run.device_files, planted.TARGET).kg)
    assert set(by_chance["schemes"]) == set(pair_models.SPLIT["schemes"]) - {"area"}
    for scheme, methods in by_chance["schemes"].items():
        assert {"hgt", "votes"} == set(methods)
        for name in ("auroc", "ap"):
            # By chance popular drugs still come first, so this is above 0.5.
            assert methods["hgt"][name]["high"] < real["schemes"][scheme]["hgt"][name]["low"], (scheme, name)
    assert by_chance["best"]["predicted"] < real["best"]["predicted"]
    assert by_chance["lists"]["untreated"]["lists"] + by_chance["lists"]["treated"]["lists"] == 70


def test_with_the_true_treatments_the_measures_are_those_of_the_run(run):
    """So the two columns of the page differ in the treatments and in nothing else."""
    real = measured(run, finished.load(run.device_files, planted.TARGET).kg)
    metrics = files.read_json(run.device_files.metrics)["schemes"]
    for scheme, methods in real["schemes"].items():
        assert methods["hgt"]["ap"] == metrics[scheme]["hgt"]["ap"]


def test_the_script_writes_what_is_measured(run, tmp_path):
    permute_labels.main(
        device_files=run.device_files,
        chance_out=tmp_path / "cpu.json",
        target=planted.TARGET,
        classifier=SETTINGS,
        split=pair_models.SPLIT,
        seed=0,
        n_threads=1,
        correct_popularity=0.0,
    )
    found = files.read_json(tmp_path / "cpu.json")
    assert set(found) == {"schemes", "best", "lists"} and found["lists"]["places_per_list"] == 10


def test_treatments_that_are_split_by_date_alone_are_split_at_random_once_they_are_shuffled(run):
    assert set(measured(run, schemes=["date"])["schemes"]) == {"random"}
