"""The tables that a config names: where they are, and what is said if they cannot be read."""

import os

import pytest

from repurpose.core.errors import InputError
from repurpose.ingest import inputs

URL = "https://example.org/kg.csv"


def config(edges="demo", nodes="", **changes):
    """The keys of a config that name tables."""
    keys = {
        "graph": {"features": "", "identifiers": ""},
        "external": {"pairs": ""},
        "annotations": {"table": ""},
        "reviews": {"table": ""},
        "repeats": {"ingredients": ""},
        "given": "",
        "split": {"areas": "", "dates": ""},
    }
    return {"edges": edges, "nodes": nodes, **keys, **changes}


def test_the_tables_of_a_list_and_of_a_folder_are_files_of_their_own(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "sub/b.csv"):
        (tmp_path / name).write_text("x")
    found = inputs.tables(config([str(tmp_path), "c.csv", URL], "n.csv"))
    assert {key: path for key, path in found.items() if path} == {
        "edges[0]/a.csv": str(tmp_path / "a.csv"),
        "edges[0]/sub/b.csv": str(tmp_path / "sub" / "b.csv"),
        "edges[1]": "c.csv",
        "nodes": "n.csv",
    }


def test_paths_keep_the_order_of_the_config_and_only_made_ones_are_inputs():
    several = config(["a.csv", URL, "b.csv"])
    paths = inputs.local_paths(several, "edges")
    assert (paths[0], paths[2]) == ("a.csv", "b.csv") and paths[1].startswith("data/downloads/")
    assert inputs.made(several, "edges") == [paths[1]]
    assert inputs.made(config(), "edges") == inputs.local_paths(config(), "edges") == [inputs.DEMO]
    assert inputs.urls(several) == [URL]


def test_an_absent_table_is_named_with_the_folder_from_which_paths_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"kg\.csv does not exist in {tmp_path} .*--directory"):
        inputs.require(config("kg.csv"))
    with pytest.raises(InputError, match="are not expanded"):
        inputs.require(config("~/kg.csv"))
    with pytest.raises(InputError, match=r"b\.csv does not exist.*edges\[1\]"):
        (tmp_path / "a.csv").write_text("x")
        inputs.require(config(["a.csv", "b.csv"]))


def test_a_table_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "kg.csv"
    path.write_text("x")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, os.strerror(13))

    inputs.require(config(str(path)))
    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read all files
    with pytest.raises(InputError, match=r"Permission denied.*check its permissions"):
        inputs.require(config(str(path)))
