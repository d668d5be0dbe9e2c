"""A code digest changes with the code that a rule runs, and with nothing else."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repurpose.core import source

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
RULES = sorted(
    rule
    for path in (SCRIPTS.parent / "rules").glob("*.smk")
    for rule in re.findall(r'code=code\("(\w+)"', path.read_text(encoding="utf-8"))
)
FILES = {
    "rule.py": "from repurpose.stage import used\nprint(used.X)\n",
    "page.html": "<p>",
    "repurpose/__init__.py": "",
    "repurpose/stage/__init__.py": '"""A stage."""\nfrom .shown import SHOWN\n',
    "repurpose/stage/used.py": (
        '"""Doc."""\nfrom repurpose.core import deep\nfrom ..core.near import Z\nX = 1\n'
    ),
    "repurpose/stage/shown.py": "SHOWN = 1\n",
    "repurpose/stage/other.py": "OTHER = 1\n",
    "repurpose/core/__init__.py": "",
    "repurpose/core/deep.py": """def deep(rows):
    if not rows:
        raise ValueError(f"no {rows} in the table")
    logging.info("rows: %d", rows)
    return 1, "a text"


def fault(path):
    return InputError(f"{path} is damaged")
""",
    "repurpose/core/near.py": "from . import nearer, sections\nZ = 1\n",
    "repurpose/core/nearer.py": "N = 1\n",
    "repurpose/core/sections.py": """Name = Annotated[str, Field(min_length=1, description="a name")]


@section
class Widths:
    width: int = key(8, "comment", ge=1)

    def doubled(self):
        return 2 * self.width


@dataclass
class Plain:
    width: int = 8
""",
}


@pytest.fixture(name="folder")
def small_project(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(folder, file, old, new):
    assert old in FILES[file]
    (folder / file).write_text(FILES[file].replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rule.py", "print(used.X)", "print(used.X + 1)"),
        ("repurpose/stage/used.py", "X = 1", "X = 2"),
        ("repurpose/core/deep.py", "return 1", "return 2"),
        ("repurpose/core/deep.py", "if not rows", "if rows"),
        ("repurpose/core/deep.py", "a text", "another text"),
        ("repurpose/core/near.py", "Z = 1", "Z = 2"),
        ("repurpose/core/nearer.py", "N = 1", "N = 2"),
        ("repurpose/stage/shown.py", "SHOWN = 1", "SHOWN = 2"),
        ("repurpose/stage/__init__.py", "SHOWN\n", "SHOWN\nMORE = 1\n"),
        ("repurpose/core/sections.py", "2 * self.width", "3 * self.width"),
        ("repurpose/core/sections.py", "width: int = 8\n", "width: int = 9\n"),
        ("page.html", "<p>", "<b>"),
    ],
)
def test_an_edit_of_used_code_changes_the_digest(folder, file, old, new):
    """Through absolute imports, relative imports, and the imports of a package's __init__.py."""
    before = source.digest(folder, "rule.py", ["page.html"])
    edit(folder, file, old, new)
    assert source.digest(folder, "rule.py", ["page.html"]) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rule.py", "\nprint(used.X)", "\n\n\nprint(used.X)  # what"),
        ("repurpose/stage/used.py", "Doc.", "Other words."),
        ("repurpose/stage/__init__.py", "A stage.", "One of the stages."),
        ("repurpose/stage/other.py", "OTHER = 1", "OTHER = 2"),
        ("repurpose/core/deep.py", "no {rows} in the table", "the table has no {rows}: give another"),
        ("repurpose/core/deep.py", "rows: %d", "%d rows"),
        ("repurpose/core/deep.py", "is damaged", "is cut short: copy it again"),
        ("repurpose/core/sections.py", 'key(8, "comment", ge=1)', 'key(9, "other words", ge=2)'),
        ("repurpose/core/sections.py", '"a name"', '"other words"'),
    ],
)
def test_comments_texts_of_errors_and_unused_modules_do_not_count(folder, file, old, new):
    before = source.digest(folder, "rule.py")
    edit(folder, file, old, new)
    assert source.digest(folder, "rule.py") == before


def test_the_package_that_records_results_does_not_count(folder):
    (folder / "repurpose" / "provenance").mkdir()
    (folder / "repurpose" / "provenance" / "jobs.py").write_text("J = 1\n")
    (folder / "rule.py").write_text("from repurpose.provenance import jobs\n" + FILES["rule.py"])
    before = source.digest(folder, "rule.py")
    (folder / "repurpose" / "provenance" / "jobs.py").write_text("J = 2\n")
    assert source.digest(folder, "rule.py") == before
    (folder / "rule.py").write_text("from repurpose.core import nearer as jobs\n" + FILES["rule.py"])
    assert source.digest(folder, "rule.py") != before


def test_a_file_is_parsed_once_and_not_again_in_other_processes(folder, monkeypatch):
    def refuse(content):
        raise AssertionError("parsed again")

    before = source.digest(folder, "rule.py", ["page.html"])
    monkeypatch.setattr(source, "_read", refuse)
    assert source.digest(folder, "rule.py", ["page.html"]) == before
    edit(folder, "repurpose/core/near.py", "Z = 1", "Z = 2")
    with pytest.raises(AssertionError, match="parsed again"):
        source.digest(folder, "rule.py")


@pytest.mark.parametrize(
    "damaged", ["", "[]", "null", '{"made_by": 1}', "cut", "other program", "no folder", "too many"]
)
def test_what_is_kept_of_parsed_files_is_never_needed(folder, damaged, monkeypatch):
    before = source.digest(folder, "rule.py")
    store = folder / "__pycache__" / "digests.json"
    good = json.loads(store.read_text())
    assert len(good["files"]) > 5
    if damaged == "cut":
        store.write_text(store.read_text()[:-40])
    elif damaged == "other program":
        wrong = {key: ["0" * 64, []] for key in good["files"]}
        store.write_text(json.dumps({"made_by": "another", "files": wrong}))
    elif damaged == "no folder":
        shutil.rmtree(store.parent)
        store.parent.write_text("a file where the folder should be")
    elif damaged == "too many":
        monkeypatch.setattr(source, "MOST_KEPT", 3)
        edit(folder, "repurpose/stage/other.py", "OTHER = 1", "OTHER = 2")
        store.write_text("")
    else:
        store.write_text(damaged)
    assert source.digest(folder, "rule.py") == before
    if damaged == "too many":
        assert json.loads(store.read_text())["files"] == {}


@pytest.fixture(name="copy", scope="module")
def copy_of_all_code(tmp_path_factory):
    """A copy of the project's scripts and library to edit; each test restores what it edits."""
    folder = tmp_path_factory.mktemp("scripts")
    return Path(shutil.copytree(SCRIPTS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__")))


class Reworded(ast.NodeTransformer):
    """Changes each docstring, error and log line of a file or, with `elsewhere`, all other text instead."""

    def __init__(self, elsewhere=False):
        self.elsewhere, self.words = elsewhere, 0

    def visit(self, node):
        wording_calls = {
            "InputError",
            "ValueError",
            "RuntimeError",
            "logging.info",
            "logging.warning",
            "logging.error",
        }
        is_wording = isinstance(node, ast.Raise) or (
            isinstance(node, ast.Call) and ast.unparse(node.func) in wording_calls
        )
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_wording or is_docstring):
            return self.reword(node) if self.elsewhere else self.generic_visit(node)
        if self.elsewhere:
            return node
        for inner in ast.walk(node):
            self.reword(inner)
        return node

    def reword(self, node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value += "word"
            self.words += 1
            return node
        return self.generic_visit(node) if self.elsewhere else node


def rules_by_file(folder):
    """Every file that a rule uses, with the rules that use it, those of the fewest files first."""
    modules = {rule: source.modules(folder, f"{rule}.py") for rule in RULES}
    rules = {}
    for rule in sorted(RULES, key=lambda rule: len(modules[rule])):
        for path in modules[rule]:
            rules.setdefault(path, []).append(rule)
    return rules


def digests(folder, rules):
    return {rule: source.digest(folder, f"{rule}.py") for rule in rules}


def test_new_code_in_a_file_counts_for_a_rule_that_uses_it_and_for_no_other(copy):
    users = rules_by_file(copy)
    assert len(RULES) > 20 and len(users) > 100
    fewest_first = list(dict.fromkeys(rule for rules in users.values() for rule in rules))
    for path, rules in users.items():
        others = [rule for rule in fewest_first if rule not in rules]
        checked, text = [*rules[:1], *others[:1]], path.read_text(encoding="utf-8")
        before = digests(copy, checked)
        path.write_text(text + "\nADDED = 1 + 1\n")
        after = digests(copy, checked)
        path.write_text(text)
        assert [rule for rule in checked if after[rule] != before[rule]] == rules[:1], path


def test_the_text_of_errors_and_log_lines_does_not_count(copy):
    """In all modules that rules use. Other text counts, because it may be written to results."""
    sentences = 0
    for path, rules in rules_by_file(copy).items():
        before, text = digests(copy, rules[:1]), path.read_text(encoding="utf-8")
        for elsewhere in (False, True):
            reworded = Reworded(elsewhere)
            path.write_text("# A comment.\n" + ast.unparse(reworded.visit(ast.parse(text))))
            is_same = digests(copy, rules[:1]) == before
            assert is_same == (not elsewhere or not reworded.words), path
            sentences += 0 if elsewhere else reworded.words
        path.write_text(text)
    assert sentences > 500


LOADED = """
import importlib, json, sys
loaded = {}
for rule in sys.argv[2:]:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("repurpose", *sys.argv[2:])]:
        del sys.modules[name]
    importlib.import_module(rule)
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    loaded[rule] = [file for file in files if file and file.startswith(sys.argv[1])]
print(json.dumps(loaded))
"""


def test_the_modules_of_a_rule_are_those_that_python_loads():
    """PyG's layer counts too, though it is imported only when a model needs it.

    validate_embeddings may have more: it imports some only when a person runs it as a command.
    """
    needed_later = {SCRIPTS / "repurpose" / "hgt" / f"{name}.py" for name in ("pyg_layer", "pyg_private")}
    command = [sys.executable, "-c", LOADED, str(SCRIPTS), *RULES]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    for rule, files in json.loads(done.stdout).items():
        loaded = {path for path in map(Path, files) if source.IGNORED_PACKAGE not in path.parts}
        counted = set(source.modules(SCRIPTS, f"{rule}.py"))
        assert loaded <= counted, rule
        assert counted - loaded in (set(), needed_later) or rule == "validate_embeddings", rule
