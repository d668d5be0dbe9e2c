"""The memory of a training is predicted from counts, and compared with that of a separate process."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import communities
import pytest
import small_trainings
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.config.sections import EncoderSettings
from repurpose.hgt import hgt
from repurpose.training import memory, preflight

PROJECT = Path(__file__).resolve().parents[2]
ENCODER = dataclasses.replace(small_trainings.ENCODER, hidden_dim=64, embedding_dim=128)
# Build a graph, predict, train for so many steps that all memory is needed, and print both numbers.
TRAINING = """
import dataclasses, json, sys
sys.path[:0] = sys.argv[1:3]
import attention_graph, attention_measure as measure
from repurpose.training import devices
from repurpose.training import memory
from repurpose.training import training
nodes, edges, width, dim, layers, heads, profile, svd = map(int, sys.argv[3:])
kg = attention_graph.synthetic(nodes, edges, seed=0)
changes = {"hidden_dim": width, "embedding_dim": dim, "layers": layers, "heads": heads}
encoder = dataclasses.replace(measure.ENCODER, profile_dim=profile, svd_dim=svd, **changes)
predicted = memory.of_training(kg, encoder, "cpu")
options = dataclasses.replace(measure.training_settings(kg), epochs=2)
job = training.Job(kg, encoder, options, "disease", "cpu", "full", seed=0)
training.fit(job, on_step=lambda row, steps: None)
print(json.dumps([predicted, devices.peak_rss_bytes()]))
"""


@pytest.mark.parametrize(
    "sizes",
    [
        (30_000, 300_000, 128, 256, 2, 8, 0),
        pytest.param((30_000, 300_000, 256, 64, 1, 8, 0), marks=pytest.mark.slow),
        pytest.param((30_000, 1_500_000, 32, 32, 2, 2, 0), marks=pytest.mark.slow),
        pytest.param((60_000, 300_000, 64, 64, 3, 4, 0), marks=pytest.mark.slow),
        pytest.param((60_000, 300_000, 64, 832, 2, 4, 768), marks=pytest.mark.slow),
        (20_000, 100_000, 16, 1040, 1, 2, 0, 1024),
    ],
    ids=str,
)
def test_the_prediction_is_within_15_percent(sizes):
    sizes = (*sizes, 0)[:8]
    folders = [str(PROJECT / name) for name in ("benchmarks", "scripts")]
    command = [sys.executable, "-c", TRAINING, *folders, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predicted, measured = json.loads(done.stdout)
    assert predicted == pytest.approx(measured, rel=0.15)


def test_the_prediction_grows_with_widths_and_layers():
    kg = communities.build()
    needed = memory.of_training(kg, ENCODER, "cpu")
    for change in ({"hidden_dim": 6400}, {"embedding_dim": 8000}, {"layers": 16}):
        assert memory.of_training(kg, dataclasses.replace(ENCODER, **change), "cpu") > needed + 10_000_000


def test_pygs_layer_is_not_predicted():
    kg = communities.build()
    assert memory.of_training(kg, dataclasses.replace(ENCODER, attention="pyg"), "cpu") is None
    assert memory.of_training(kg, ENCODER, "cuda") is None


def test_rows_and_edges_are_those_that_attention_has():
    kg = communities.build()
    model = hgt.build(kg, ENCODER, seed=0)
    edges = model.prepare(kg.message_edges()).whole
    assert memory._counts(kg) == (len(edges.rows), edges.edges)
    deep = dataclasses.replace(ENCODER, layers=3, decoder="dot", heads=1)
    for encoder, built in ((ENCODER, model), (deep, hgt.build(kg, deep, seed=0))):
        count = sum(each.numel() for each in built.parameters())
        assert hgt.count_parameters(kg, encoder) == count


# ---- refusals because of memory ----

CONFIG = settings.read(PROJECT / "config/config.yaml")
SCHEMA = settings.read(PROJECT / "config/schema.yaml")
KG = communities.build()
GB = 10**9


@st.composite
def configs(draw):
    """Any encoder that the schema allows, on any device; every other key as in config/config.yaml."""
    heads = draw(st.integers(1, 256))
    svd, profile_dim = draw(st.integers(0, 4000)), draw(st.integers(0, 4000))
    layers = draw(st.integers(1, 16))
    kind, batching = draw(st.sampled_from(["cpu", "mps", "cuda", "cuda:1"])), draw(st.sampled_from(FORMS))
    encoder = {
        "hidden_dim": heads * draw(st.integers(1, 8192 // heads)),
        "embedding_dim": draw(st.integers(max(2, svd + profile_dim + 1), 8192)),
        "layers": layers,
        "heads": heads,
        "attention": draw(st.sampled_from(["fused", "pyg"])),
        "inputs": draw(st.sampled_from(hgt.INPUTS)),
        "svd_dim": svd,
        "profile_dim": profile_dim,
        "decoder": draw(st.sampled_from(["distmult", "dot"])),
    }
    training = {"fanout": [16] * layers, "batching": {kind.partition(":")[0]: batching or "full"}}
    device = f"{kind}-{batching}" if batching and draw(st.booleans()) else kind
    config = settings.merged(CONFIG, {"devices": [device], "hgt": encoder, "training": training})
    settings.check(config, SCHEMA)
    return config


FORMS = ("", "full", "sampled")


def refuse(config, needed, has):
    """The refusal of a config that needs more memory than there is, and its proposals."""
    (device,) = Device.parse_all(config)
    encoder = EncoderSettings(**config["hgt"])
    where = KG, encoder, device.torch_name, device.batching
    fitting = memory.fitting(*where, needed=needed, has=has, held=0)
    return preflight.too_large(*where, needed, has, 0), fitting


def overlay(proposed):
    """The keys of a proposal as an overlay."""
    nested = {}
    for key, value in proposed.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        nested = settings.merged(nested, value)
    return nested


@profile(max_examples=50, deadline=None)
@given(config=configs(), more=st.integers(1, 10**13), share=st.floats(0, 1))
@example(config=settings.merged(CONFIG, {"hgt": {"hidden_dim": 8192, "layers": 16}}), more=GB, share=0.3)
@example(
    config=settings.merged(CONFIG, settings.read(PROJECT / "config/presets/full.yaml")), more=GB, share=0.1
)
def test_every_refusal_for_memory_is_one_sentence_with_settings_that_are_valid_and_fit(config, more, share):
    (device,) = Device.parse_all(config)
    before = memory.predicted(KG, EncoderSettings(**config["hgt"]), device.torch_name, device.batching, 0)
    needed = before + more
    has = int(share * before)
    outcome, fitting = refuse(config, needed, has)
    assert (outcome.status, outcome.depends_on_machine) == ("refused", True)
    assert "\n" not in outcome.reason + outcome.remedy
    assert outcome.remedy.startswith("set " if fitting else "no width down to 8 fits either")
    for each in fitting:
        for key, value in each.settings.items():
            assert f"{key}: {value}" in outcome.remedy
        proposed = settings.merged(config, overlay(each.settings))
        settings.check(proposed, SCHEMA)
        assert proposed != config
        encoder = EncoderSettings(**proposed["hgt"])
        # If a device's name says how it trains, the remedy names the new device.
        how = each.settings.get(f"training.batching.{device.kind}", device.batching)
        assert memory.predicted(KG, encoder, device.torch_name, how, 0) <= each.needed <= has


def test_a_small_lack_of_memory_gets_a_proposal_and_no_memory_at_all_gets_none():
    """The property above would also hold for a program that proposes nothing."""
    needed = memory.of_training(KG, EncoderSettings(**CONFIG["hgt"]), "cpu", 0)
    outcome, (fitting,) = refuse(CONFIG, needed, needed - 1)
    assert fitting.settings == {
        "hgt.hidden_dim": 32,
        "hgt.embedding_dim": 96,
        "hgt.svd_dim": 32,
        "hgt.profile_dim": 32,
    }
    assert "set hgt.hidden_dim: 32, hgt.embedding_dim: 96, hgt.svd_dim: 32" in outcome.remedy
    # Not up to the last byte: a moment later, less may be free.
    assert fitting.needed - memory.LIBRARIES < 0.91 * (needed - memory.LIBRARIES)
    outcome, fitting = refuse(CONFIG, needed, 0)
    assert fitting == []
    assert "no width down to 8 fits either: use a machine with more memory" in outcome.remedy


def test_the_largest_width_is_halved_and_the_others_stay():
    _, (fitting,) = refuse(settings.merged(CONFIG, {"hgt": {"hidden_dim": 8192}}), 90 * GB, 2 * GB)
    assert set(fitting.settings) == {"hgt.hidden_dim"}


def test_for_pygs_layer_sampled_training_with_the_same_widths_is_proposed():
    wide = {"devices": ["cuda-full"], "hgt": {"hidden_dim": 1024, "layers": 3}, "training": {"fanout": [1]}}
    outcome, (sampled, narrower) = refuse(settings.merged(CONFIG, wide), 90 * GB, 80 * GB)
    assert sampled.settings == {"training.batching.cuda": "sampled", "training.fanout": [16, 8, 4]}
    assert narrower.settings["hgt.hidden_dim"] == 512
    assert "(cuda-sampled in devices where cuda-full is)" in outcome.remedy
    assert ", or hgt.hidden_dim: 512" in outcome.remedy


def test_a_training_that_takes_more_than_predicted_raises_the_estimate_of_a_smaller_one():
    encoder = EncoderSettings(**CONFIG["hgt"])
    by_itself = memory.of_training(KG, encoder, "cpu", GB)
    (plain,) = memory.fitting(KG, encoder, "cpu", "full", needed=by_itself, has=9 * GB, held=GB)
    fixed = GB + memory.LIBRARIES
    doubled = fixed + 2 * (by_itself - fixed)
    (cautious,) = memory.fitting(KG, encoder, "cpu", "full", needed=doubled, has=9 * GB, held=GB)
    assert cautious.settings == plain.settings
    assert cautious.needed - fixed == pytest.approx(2 * (plain.needed - fixed), rel=1e-6)


def test_an_estimate_takes_no_memory_itself():
    """The largest model that the schema allows has parameters of 100 GB and more."""
    huge = dataclasses.replace(ENCODER, hidden_dim=8192, embedding_dim=8192, layers=16, heads=1)
    before = memory.peak("cpu")
    assert memory.predicted(KG, huge, "cpu", "full") > 100 * GB
    assert memory.peak("cpu") - before < 50_000_000


def test_the_limit_of_addresses_is_a_limit_of_memory():
    """As `ulimit -v` sets it; in a separate process."""
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "from repurpose.training import memory\n"
        "before = memory.limit('cpu')\n"
        "import psutil; most = psutil.Process().memory_info().vms + 300_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "print(before - memory.peak('cpu', now=True), memory.limit('cpu') - memory.peak('cpu', now=True))"
    )
    command = [sys.executable, "-c", code, str(PROJECT / "scripts")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after == pytest.approx(300_000_000, rel=0.05) or before < 300_000_000


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_control_group_holds_whichever_version_it_is(tmp_path, version):
    own, folder = tmp_path / "cgroup", tmp_path / ("memory/job" if version == 1 else "job")
    folder.mkdir(parents=True)
    own.write_text("5:memory:/job\n1:cpu:/job\n" if version == 1 else "0::/job\n")
    names = ("limit_in_bytes", "usage_in_bytes") if version == 1 else ("max", "current")
    for name, number in zip(names, (9_000, 5_000), strict=True):
        (folder / f"memory.{name}").write_text(f"{number}\n")
    cached = "total_inactive_file" if version == 1 else "inactive_file"
    (folder / "memory.stat").write_text(f"x 1\n{cached} 700\n")
    assert min(memory._free_in_cgroups(own, tmp_path)) == 9_000 - 5_000 + 700
    assert min(memory._free_in_cgroups(tmp_path / "none", tmp_path)) == memory.UNLIMITED
