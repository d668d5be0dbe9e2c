"""Bad input gives the user one sentence and an exit code other than 0, and loses no result."""

import gzip
import re

import project_runs
import pytest

from repurpose.training import devices

COLUMNS = "relation,x_id,x_type,x_name,y_id,y_type,y_name"


@pytest.fixture(name="folder", scope="module")
def graph_and_pairs(tmp_path_factory):
    """A folder with the graph and the pairs of an earlier run without errors."""
    folder = project_runs.make(tmp_path_factory.mktemp("bad_input"))
    run = folder.run("results/pairs/pairs.parquet")
    assert run.code == 0, run.output
    return folder


def refusal(folder, *arguments, config):
    """The output of a run; asserts that it failed without a traceback and lost no result."""
    before = project_runs.readable(folder.directory / "results")
    run = folder.run(*(arguments or ["results/pairs/pairs.parquet"]), config=config)
    assert run.code != 0
    assert "Traceback" not in run.output
    assert before.items() <= project_runs.readable(folder.directory / "results").items()
    return re.sub(r"\s+", " ", run.output)


def results_of(folder):
    contents = project_runs.contents(folder.directory / "results")
    return {name: content for name, content in contents.items() if not name.startswith(".run/")}


def table(folder, name, content):
    path = folder.directory / name
    path.write_bytes(content)
    return str(path)


def rows(*lines):
    return "\n".join([COLUMNS, *lines, ""]).encode()


GOOD = "disease_protein,1,disease,D,2,gene/protein,G"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", r"empty\.csv is empty"),
        ("header.csv", rows(), r"header\.csv has a header but no rows"),
        ("column.csv", rows(GOOD).replace(b"x_type", b"kind"), r"column\.csv has no column x_type.*kind"),
        ("fields.csv", rows(GOOD, "disease_protein,1"), r"fields\.csv.*line 3"),
        ("bytes.csv", rows(GOOD.replace("D", "\xe9")).replace("é".encode(), b"\xe9"), r"bytes\.csv.*UTF-8"),
        ("cut.csv.gz", gzip.compress(rows(*[GOOD] * 999), mtime=0)[:-20], r"cut\.csv\.gz"),
        ("target.csv", rows(GOOD, "treats,5,drug,A,1,disease,D"), r"indication.*treats"),
    ],
)
def test_a_bad_edges_table_is_named_with_its_fault(folder, name, content, sentence):
    path = table(folder, name, content)
    assert re.search(sentence, refusal(folder, config={"edges": path}))


@pytest.mark.parametrize("key", ["edges", "nodes"])
def test_a_missing_table_is_named_also_if_there_are_results_of_another(folder, key):
    assert "Error: nowhere.csv does not exist" in refusal(folder, config={key: "nowhere.csv"})


def test_results_are_not_up_to_date_after_a_failed_job(folder):
    """The earlier results stay readable, the message says where, and the next run tries again."""
    config = {"edges": table(folder, "again.csv", rows())}
    for _ in range(2):
        output = refusal(folder, config=config)
        assert "The run stopped: again.csv" in output.replace(str(folder.directory) + "/", "")
        assert "what was made last is in results/previous:" in output
        assert "results/graph/nodes.parquet" in output and not folder.path("graph/nodes.parquet").exists()
    run = folder.run("results/pairs/pairs.parquet")
    assert run.code == 0 and run.output.count("taken back from results/previous") == 2


def test_a_name_that_the_graph_lacks_leaves_all_results_in_place(folder):
    config = {"candidates": {"tails": ["no such disease"]}}
    folder.run("results/graph/checked.json")
    before = results_of(folder)
    output = refusal(folder, "results/graph/checked.json", config=config)
    assert "The run stopped: the graph has no disease called no such disease Nothing has changed:" in output
    assert results_of(folder) == before
    assert output.count("no such disease") == 2  # where it happened, and at the end


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"hgt": {"hidden_dim": 30, "heads": 4}},
            "hgt.hidden_dim is 30, which is not divisible by hgt.heads, 4",
        ),
        (
            {"training": {"epoch": 3}},
            "unknown key training.epoch in the config; did you mean training.epochs?",
        ),
        ({"training": {"epochs": "three"}}, 'training.epochs is "three", but a whole number is expected'),
        (
            {"devices": ["cpu-sampled"], "training": {"fanout": [16]}},
            "training.fanout has 1 numbers, hgt.layers is 2 and cpu-sampled trains on samples",
        ),
        ({"devices": ["tpu"]}, "tpu"),
    ],
)
def test_a_bad_config_is_refused_before_anything_runs(folder, config, sentence):
    assert sentence in refusal(folder, config=config)


def test_an_unknown_contrastive_relation_is_refused_and_the_known_ones_are_named(folder):
    config = {"training": {"contrastive": {"relations": ["disease_gene"]}}}
    output = refusal(folder, "results/embeddings/cpu/embeddings.parquet", config=config)
    assert "training.contrastive.relations names disease_gene, which disease nodes do not have" in output
    assert "name some of" in output and "disease_protein" in output and "or [] for none" in output


def test_a_missing_device_is_refused_by_the_training_rule(folder):
    if "mps" in devices.available():
        pytest.skip("this machine has an Apple GPU")
    output = refusal(folder, "results/embeddings/mps/embeddings.parquet", config={"devices": ["mps"]})
    assert "device mps is not available on this machine; available: cpu" in output


def test_a_corrupt_result_of_an_earlier_run_is_named_and_made_again(folder):
    path = folder.path("graph/nodes.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    run = folder.run("results/pairs/pairs.parquet")
    assert (
        run.code == 0
        and "build_graph: results/graph/nodes.parquet was changed after it was made" in run.output
    )
    assert path.read_bytes() == content
