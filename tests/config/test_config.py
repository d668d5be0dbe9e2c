"""The default config, the schema, the check of settings, and the table of config/README.md."""

import copy
import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from snakemake.utils import update_config

import write_config
from repurpose.config import settings
from repurpose.config.config import Config
from repurpose.config.device import Device
from repurpose.config.schema import KINDS, entries, generate
from repurpose.core.errors import InputError
from repurpose.ingest import download

PROJECT = Path(__file__).parents[2]
BASE = PROJECT / "config" / "config.yaml"
SCHEMA = settings.read(PROJECT / "config" / "schema.yaml")
CONFIG = settings.read(BASE)
PRESETS = sorted((PROJECT / "config" / "presets").glob("*.yaml"))


def complaint(overlay):
    """The error for the default config merged with `overlay`; "" if it is accepted."""
    try:
        settings.check(settings.merged(CONFIG, overlay), SCHEMA)
    except InputError as error:
        return str(error)
    return ""


def nested(name, value):
    for key in reversed(name.split(".")):
        value = {key: value}
    return value


def objects(schema, name=""):
    """Every section of the schema with its dotted name."""
    yield name, schema
    for key, inner in schema["properties"].items():
        if inner["type"] == "object":
            yield from objects(inner, f"{name}.{key}".lstrip("."))


def names(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, dict):
            yield from names(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


ENTRIES = dict(entries(SCHEMA))
NUMBERS = [name for name, entry in ENTRIES.items() if entry["type"] in ("integer", "number")]


def test_the_default_config_is_accepted():
    assert complaint({}) == ""


def test_config_and_schema_have_the_same_keys_in_the_same_order():
    assert list(names(CONFIG)) == list(ENTRIES)


def test_every_section_is_closed_and_requires_all_of_its_keys():
    sections = dict(objects(SCHEMA))
    assert {"", "training.contrastive", "graph.columns"} <= sections.keys()
    for name, section in sections.items():
        assert section["additionalProperties"] is False, name
        assert section["required"] == list(section["properties"]), name
        assert section["description"], name


def test_every_key_has_a_type_a_description_and_no_default():
    for name, entry in ENTRIES.items():
        kinds = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
        assert set(kinds) <= set(KINDS), name
        assert entry["description"].endswith("."), name
        assert "default" not in entry, name


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_bounded_on_both_sides(name):
    entry = ENTRIES[name]
    assert "minimum" in entry or "exclusiveMinimum" in entry
    assert "maximum" in entry or "exclusiveMaximum" in entry


def test_every_key_of_the_config_has_a_comment():
    for line in BASE.read_text().splitlines():
        is_key = re.match(r"\s*\w+:", line)
        is_section = is_key and line.split("#")[0].rstrip().endswith(":")
        assert not is_key or is_section or " # " in line, line


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_an_accepted_overlay(preset):
    overlay = settings.read(preset)
    assert set(names(overlay)) < set(ENTRIES)
    assert complaint(overlay) == ""


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_with_a_graph_says_where_it_comes_from(preset):
    overlay, text = settings.read(preset), preset.read_text()
    if "edges" not in overlay:
        return
    pages = re.findall(r"^#.*(https://\S+)", text, re.MULTILINE)
    assert len(pages) >= 3
    assert all(
        re.search(rf"^# {word}", text, re.MULTILINE) for word in ("Licence: ", "Cite: ", "Not tried against")
    )
    for key in ("edges", "nodes"):
        if key in overlay:
            assert " " not in overlay[key]
            download.local_path(overlay[key])
    assert {"positive", "negative"} <= set(overlay["target"])
    assert overlay["training"]["contrastive"]["relations"]


def test_the_seed_preset_follows_the_preset_of_a_graph_and_keeps_its_graph():
    presets = PROJECT / "config" / "presets"
    merged = settings.load([BASE, presets / "hetionet.yaml", presets / "seed.yaml"])
    assert complaint(merged) == ""
    graph = settings.read(presets / "hetionet.yaml")
    assert (merged["edges"], merged["target"]["positive"]) == (graph["edges"], ["CtD"])
    assert merged["training"]["contrastive"]["relations"] == ["DaG"]
    assert (merged["training"]["contrastive"]["weight"], merged["training"]["ranking"]["weight"]) == (
        0.5,
        0.0,
    )
    assert (merged["classifier"]["parts"], merged["classifier"]["negatives_per_positive"]) == (["trees"], 1)


def test_four_presets_have_a_graph():
    with_graph = [preset.stem for preset in PRESETS if "edges" in settings.read(preset)]
    assert with_graph == ["drkg", "hetionet", "monarch", "primekg"]


def test_the_full_preset_holds_the_full_size_model():
    full = settings.load([BASE, PROJECT / "config" / "presets" / "full.yaml"])
    assert (full["hgt"]["hidden_dim"], full["hgt"]["embedding_dim"], full["hgt"]["heads"]) == (256, 768, 8)
    assert full["edges"] == CONFIG["edges"]


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        (
            {"training": {"epoch": 3}},
            "unknown key training.epoch in the config; did you mean training.epochs?",
        ),
        ({"device": ["cpu"]}, "unknown key device in the config; did you mean devices?"),
        (
            {"classifier": {"metapaths_keep": 10}},
            "unknown key classifier.metapaths_keep in the config; did you mean classifier.metapaths_kept?",
        ),
        (
            {"classifier": {"draws": 2.5}},
            "classifier.draws is 2.5, but a whole number is expected",
        ),
        ({"dropout": 0.1}, "unknown key dropout in the config; did you mean hgt.dropout?"),
        ({"gate": {"x": 1}}, "unknown key gate.x in the config; the keys there are min_distinct_share, "),
        ({"training": {"epochs": 0}}, "training.epochs is 0, but must be at least 1"),
        ({"training": {"epochs": 60.0}}, "training.epochs is 60.0, but a whole number is expected"),
        ({"training": {"epochs": True}}, "training.epochs is true, but a whole number is expected"),
        ({"hgt": {"dropout": 1}}, "hgt.dropout is 1, but must be below 1"),
        ({"hgt": {"dropout": float("nan")}}, "hgt.dropout is NaN, but a finite number is expected"),
        ({"demo": {"scale": 0}}, "demo.scale is 0, but must be above 0"),
        ({"gate": {"min_auroc_margin": 2}}, "gate.min_auroc_margin is 2, but must be at most 1"),
        ({"hgt": {"decoder": "mlp"}}, 'hgt.decoder is "mlp", but must be one of: distmult, dot'),
        ({"hgt": None}, "hgt is null, but a section with keys is expected"),
        ({"target": {"positive": "indication"}}, 'target.positive is "indication", but a list is expected'),
        ({"target": {"positive": []}}, "target.positive is empty, but must not be"),
        ({"edges": ""}, "edges is empty, but must not be"),
        ({"edges": 3}, "edges is 3, but text or a list is expected"),
        ({"devices": ["gpu"]}, 'devices[0] is "gpu", but a device is cpu, mps, cuda or cuda:1, '),
        ({"devices": ["cpu", "cpu"]}, 'devices names "cpu" more than once; name it once'),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_expected(overlay, sentence):
    assert complaint(overlay).startswith(sentence)
    assert "\n" not in complaint(overlay)


def test_a_misspelt_key_is_named_before_the_missing_one():
    config = copy.deepcopy(CONFIG)
    config["training"]["epoch"] = config["training"].pop("epochs")
    with pytest.raises(InputError, match=r"unknown key training\.epoch in"):
        settings.check(config, SCHEMA)


def test_a_missing_key_is_named():
    config = copy.deepcopy(CONFIG)
    del config["hgt"]["heads"]
    with pytest.raises(InputError, match=r"the config lacks the key hgt\.heads; start from config/config"):
        settings.check(config, SCHEMA)


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        (
            {"hgt": {"hidden_dim": 65}},
            "hgt.hidden_dim is 65, which is not divisible by hgt.heads, 4; use a multiple such as 68",
        ),
        (
            {"hgt": {"svd_dim": 64, "embedding_dim": 64}},
            "hgt.svd_dim and hgt.profile_dim, together 192, leave none of the 64 numbers of a vector "
            "(hgt.embedding_dim) to the layers; raise hgt.embedding_dim, for instance to 320, or lower those",
        ),
        (
            {"split": {"valid_share": 0.4, "test_share": 0.6}},
            "split.valid_share and split.test_share add up to 1, which leaves none to train on; "
            "keep their sum below 1",
        ),
        (
            {"target": {"tail_type": "drug"}},
            'target.head_type and target.tail_type are both "drug"; name two node types',
        ),
        (
            {"target": {"negative": ["indication"]}},
            '"indication" is in target.positive and in target.negative; keep it in one of them',
        ),
        (
            {"graph": {"node_types": ["drug", "gene/protein"]}},
            'graph.node_types lacks "disease", which is target.tail_type; add it there',
        ),
        (
            {"devices": ["cpu", "cpu-sampled"], "training": {"fanout": [16]}},
            "training.fanout has 1 numbers, hgt.layers is 2 and cpu-sampled trains on samples; "
            "give one number per layer",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overlay, sentence):
    assert complaint(overlay) == sentence


def test_a_fanout_that_no_device_uses_may_be_of_any_length():
    assert complaint({"hgt": {"layers": 3}}) == ""
    assert complaint({"devices": ["cpu-sampled"], "hgt": {"layers": 3}}) != ""
    assert (
        complaint({"devices": ["cpu-sampled"], "hgt": {"layers": 3}, "training": {"fanout": [8, 8, 4]}}) == ""
    )


@hypothesis_settings(deadline=None, max_examples=40)
@given(heads=st.integers(1, 16), times=st.integers(1, 16), rest=st.integers(0, 15))
def test_a_width_is_accepted_only_if_the_heads_divide_it(heads, times, rest):
    width = heads * times + rest % heads
    error = complaint({"hgt": {"hidden_dim": width, "heads": heads}})
    assert bool(error) == bool(rest % heads)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_arrives_as_text_is_refused_with_advice(name):
    value = ENTRIES[name].get("minimum", 0.5)
    error = complaint(nested(name, str(value)))
    assert error.startswith(f'{name} is "{value}", but ')
    assert error.endswith("in an overlay (--configfile)")
    assert "overlay" not in complaint(nested(name, "many"))


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.floats(min_value=1e-12, max_value=1e12))
def test_the_number_that_an_error_proposes_is_a_number_in_yaml(number):
    error = complaint({"training": {"learning_rate": repr(number)}})
    proposed = re.search(r"write (\S+) in an overlay", error)[1]
    assert yaml.safe_load(proposed) == number


def test_overlays_merge_as_snakemake_merges_them(tmp_path):
    overlay = {"hgt": {"heads": 2}, "devices": ["mps"], "target": {"negative": []}}
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    expected = copy.deepcopy(CONFIG)
    update_config(expected, copy.deepcopy(overlay))
    assert settings.load([BASE, tmp_path / "overlay.yaml"]) == expected
    assert settings.read(BASE) == CONFIG


def test_loading_checks_the_merged_config(tmp_path):
    (tmp_path / "overlay.yaml").write_text("hgt: {heads: 3}\n")
    with pytest.raises(InputError, match="not divisible"):
        settings.load([BASE, tmp_path / "overlay.yaml"])


@pytest.mark.parametrize("content", [b"hgt: [", b"\xff\xfe", b"- a\n", b"", None])
def test_a_file_that_holds_no_keys_is_named(tmp_path, content):
    path = tmp_path / "broken.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(path))) as caught:
        settings.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "mode", "torch_name"),
    [
        ("cpu", "full", "cpu"),
        ("cpu-sampled", "sampled", "cpu"),
        ("mps", "sampled", "mps"),
        ("mps-full", "full", "mps"),
        ("cuda:1", "sampled", "cuda:1"),
        ("cuda:1-full", "full", "cuda:1"),
    ],
)
def test_a_suffix_of_the_device_overrides_the_batching_of_its_kind(device, mode, torch_name):
    found = Device.parse(device, {"cpu": "full", "mps": "sampled", "cuda": "sampled"})
    assert (found.name, found.batching, found.torch_name) == (device, mode, torch_name)
    assert found.trains and found.is_cpu == (torch_name == "cpu") and torch_name.startswith(found.kind)


def test_the_device_given_trains_nothing():
    found = Device.parse("given", {})
    assert not found.trains and not found.is_cpu and found.batching == found.torch_name == ""


def test_the_digest_of_settings_depends_on_values_and_not_on_order():
    one, other = {"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": (1, 2)}, "a": 1}
    assert settings.digest(one) == settings.digest(other)
    assert settings.digest(one) != settings.digest({**one, "a": 2})
    assert len(settings.digest(one)) == 64


def test_config_schema_and_table_are_those_of_the_sections():
    write_config.main(project=PROJECT, is_check=True)
    assert dataclasses.asdict(Config()) == CONFIG
    assert generate(Config) == SCHEMA


def test_the_config_table_has_a_row_for_each_key():
    rows = write_config.table(Config()).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(ENTRIES)
    assert "| `devices` | `[cpu]` | Devices to train on" in "\n".join(rows)
    assert '| `nodes` | `""` | ' in "\n".join(rows)


@pytest.mark.parametrize("name", ["config/config.yaml", "config/schema.yaml", "config/README.md"])
def test_a_file_that_is_out_of_date_is_named_and_written_anew(tmp_path, name):
    for path in ("config/config.yaml", "config/schema.yaml", "config/README.md"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / path, tmp_path / path)
    text = (tmp_path / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(text.replace("of Adam", "of SGD"), encoding="utf-8")
    with pytest.raises(InputError, match=rf"{name} is out of date; run: python scripts/write_config\.py"):
        write_config.main(project=tmp_path, is_check=True)
    write_config.main(project=tmp_path, is_check=False)
    assert (tmp_path / name).read_text(encoding="utf-8") == text


def test_writing_the_table_changes_only_what_is_between_the_marks():
    text = f"before\n{write_config.BEGIN}\nold\n{write_config.END}\nafter\n"
    assert write_config.replaced(text, "new\n") == text.replace("old\n", "new\n")


def test_a_readme_without_marks_is_an_error():
    with pytest.raises(InputError, match=r"config/README\.md must hold"):
        write_config.replaced("no marks\n", "table\n")
