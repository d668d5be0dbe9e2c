"""A run is a device with a seed: names of runs are parsed, and made from the config's devices and seeds."""

import re

import pytest
from project_runs import PROJECT

from repurpose.config import device, settings
from repurpose.config.device import Device
from repurpose.core.errors import InputError

BATCHING = {"cpu": "full", "mps": "full", "cuda": "sampled"}
BASE = PROJECT / "config" / "config.yaml"


def config(**changes):
    return settings.merged(settings.read(BASE), changes)


@pytest.mark.parametrize(
    ("name", "torch_name", "batching", "seed"),
    [
        ("cpu-seed2", "cpu", "full", 2),
        ("cpu-sampled-seed0", "cpu", "sampled", 0),
        ("cuda:1-full-seed3", "cuda:1", "full", 3),
        ("cuda-seed2147483647", "cuda", "sampled", 2147483647),
        ("cpu-full", "cpu", "full", None),
        ("given", "", "", None),
    ],
)
def test_a_name_may_end_with_a_seed(name, torch_name, batching, seed):
    found = Device.parse(name, BATCHING)
    assert (found.name, found.torch_name, found.batching) == (name, torch_name, batching)
    assert found.seed == device.seed_in(name) == seed


def test_without_seeds_each_device_is_one_run_with_its_plain_name():
    runs = Device.parse_all(config(devices=["cpu", "cuda:1-full"]))
    assert [(run.name, run.seed) for run in runs] == [("cpu", None), ("cuda:1-full", None)]


def test_each_device_that_trains_has_a_run_for_each_seed():
    runs = Device.parse_all(config(devices=["cpu", "given", "cuda:1-full"], seeds=[1, 3]))
    assert [(run.name, run.seed) for run in runs] == [
        ("cpu-seed1", 1),
        ("cpu-seed3", 3),
        ("given", None),
        ("cuda:1-full-seed1", 1),
        ("cuda:1-full-seed3", 3),
    ]


def test_a_single_entry_of_seeds_is_in_the_name_too():
    assert [run.name for run in Device.parse_all(config(seeds=[5]))] == ["cpu-seed5"]


def test_the_name_of_every_run_matches_the_wildcard_of_the_rules():
    pattern = re.search(r'device=r"(.*)"', (PROJECT / "Snakefile").read_text())[1]
    devices = ["cpu", "mps-full", "cuda:1-sampled", "given"]
    for seeds in ([], [0, 1, 20, 2147483647]):
        for run in Device.parse_all(config(devices=devices, seeds=seeds)):
            assert re.fullmatch(pattern, run.name), run.name
    for name in ("cpu-seed", "cpu-seed02", "given-seed1", "cpu-seed2-full", "pooled"):
        assert not re.fullmatch(pattern, name), name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"devices": ["cpu-seed2"]}, 'devices[0] is "cpu-seed2", but a device is cpu, .* in the key seeds'),
        ({"seeds": [1, 1]}, "seeds names 1 more than once; name it once"),
        ({"seeds": [-1]}, r"seeds[0] is -1, but must be at least 0"),
        ({"seeds": [2147483648]}, "seeds[0] is 2147483648, but must be at most 2147483647"),
        ({"seeds": ["two"]}, 'seeds[0] is "two", but a whole number is expected'),
        ({"seeds": 3}, "seeds is 3, but a list is expected"),
    ],
)
def test_wrong_seeds_are_refused_with_a_sentence(changes, sentence):
    schema = settings.read(BASE.with_name("schema.yaml"))
    pattern = re.escape(sentence).replace(r"\.\*", ".*")
    with pytest.raises(InputError, match=pattern):
        settings.check(config(**changes), schema)
