"""Code digests change with the code that a rule runs, and with nothing else."""

from pathlib import Path

import pytest

from repurpose import source

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(name="folder")
def small_project(tmp_path):
    (tmp_path / "repurpose").mkdir()
    (tmp_path / "repurpose" / "__init__.py").write_text("")
    (tmp_path / "repurpose" / "used.py").write_text('"""Doc."""\nfrom repurpose import deep\nX = 1\n')
    (tmp_path / "repurpose" / "deep.py").write_text("Y = 1\n")
    (tmp_path / "repurpose" / "other.py").write_text("Z = 1\n")
    (tmp_path / "page.html").write_text("<p>")
    (tmp_path / "rule.py").write_text("from repurpose import used\nprint(used.X)\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("rule.py", "from repurpose import used\nprint(used.X + 1)\n"),
        ("repurpose/used.py", '"""Doc."""\nfrom repurpose import deep\nX = 2\n'),
        ("repurpose/deep.py", "Y = 2\n"),
        ("page.html", "<b>"),
    ],
)
def test_an_edit_of_used_code_changes_the_digest(folder, file, text):
    before = source.digest(folder, "rule.py", ["page.html"])
    (folder / file).write_text(text)
    assert source.digest(folder, "rule.py", ["page.html"]) != before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("rule.py", "# why\nfrom repurpose import used\n\n\nprint(used.X)  # what\n"),
        ("repurpose/used.py", '"""Other words."""\n\nfrom repurpose import deep\nX = 1\n'),
        ("repurpose/other.py", "Z = 2\n"),
    ],
)
def test_comments_docstrings_and_unused_modules_do_not_count(folder, file, text):
    before = source.digest(folder, "rule.py")
    (folder / file).write_text(text)
    assert source.digest(folder, "rule.py") == before


def test_every_module_that_a_script_loads_is_in_its_digest():
    """The static imports cover what Python really loads, for the script that loads the most."""
    found = {path.name for path in source.modules(SCRIPTS, "train_embeddings.py")}
    assert {
        "training.py",
        "hgt.py",
        "losses.py",
        "negatives.py",
        "holdout.py",
        "graph.py",
        "files.py",
    } <= found
    assert not {"classifier.py", "report.py", "quality.py"} & found
