"""Style that programs can check: ruff, snakefmt, Snakemake's lint, and which package imports which."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
LIBRARY = PROJECT / "scripts" / "repurpose"
MODULES = sorted(LIBRARY.glob("**/*.py"))
SCRIPTS = sorted((PROJECT / "scripts").glob("*.py"))
# A package imports only from packages above it in this list.
PACKAGES = (
    "core",
    "config",
    "kernels",
    "graph",
    "ingest",
    "provenance",
    "report",
    "pairs",
    "metapaths",
    "vectors",
    "evaluation",
    "hgt",
    "classifier",
    "training",
    "candidates",
    "gate",
    "results",
)
# Importing PyTorch takes seconds, and each stage has its own environment, so few packages may import these.
ALLOWED = {
    "torch": {"hgt", "training", "gate"},
    "torch_geometric": {"hgt"},
    "numba": {"kernels"},
    "xgboost": {"classifier"},
}
# Only these modules use private parts of other libraries; a test of the same name states what they must do.
PRIVATE = (
    "kernels/numba_private.py",
    "hgt/pyg_private.py",
    "hgt/torch_private.py",
    "provenance/snakemake_private.py",
)
# Words of an earlier, private vocabulary. Write the terms of the field: baseline, null model, applicability,
# contraindication model, explainer, counterfactual, relation profile, encoder output, popularity bias.
UNWANTED_WORDS = re.compile(
    r"""
    \bbeside\b | \bhears?\b | \bjoined\ to\b | \bknow(?:s|ing)\ nothing\b | \bnothing\ is\ known\b
    | \bexperience\b | \bcontrary\b | \bwitness | \brecod(?:e|ed|ing)\b | \bwhat\ the\ model\ makes\ of\b
    | \blayers'\ own\b | \branks?\ high\ everywhere\b | \bhow\ rare\b | \btold\ apart\b | \bdealt\ out\b
    | \bstands?\ twice\b | \bgoes\ on\ from\b | \bis\ asked\ for\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
FOLDERS = ("rules", "scripts", "config", "profiles", "envs", "docs", "benchmarks", "tests")
PROSE = (".md", ".py", ".smk", ".yaml", ".j2", ".txt", ".sh", ".cff", ".toml")
NAMES = ("Snakefile", "Makefile")
OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}


def run(tool, *arguments):
    """Run a tool of this environment in the project's folder; returns its exit status and output."""
    path = shutil.which(tool, path=Path(sys.executable).parent)
    assert path, f"{tool} is not in {Path(sys.executable).parent}; run: make env"
    done = subprocess.run([path, *arguments], cwd=PROJECT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def imported(path):
    """Dotted names of all imports in a file, also inside functions: `from a import b` is a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def private_parts(path):
    """Private parts of libraries that a file uses: numba.core, torch.ops, and names with an underscore."""
    used = {
        name
        for name in imported(path)
        if name.startswith("numba.core") or any(re.match("_(?!_)", part) for part in name.split("."))
    }
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            is_inner = re.match("_(?!_)", node.attr) and node.attr not in OF_NAMED_TUPLES and not is_own
            if is_inner or ast.unparse(node) in ("torch.ops", "numba.core"):
                used.add(ast.unparse(node))
    return used


def private_parts_of_snakemake(text):
    """Undocumented objects of Snakemake that a file of rules uses."""
    used = set(re.findall(r"\bworkflow\.\w+", text)) - {"workflow.current_basedir"}
    return used | set(re.findall(r"^\s*(?:from|import) snakemake(?!\.utils\b).*", text, re.MULTILINE))


def imported_packages(path, package):
    """The other packages of the library that a file of `package` imports from."""
    split_names = {tuple(name.split(".")) for name in imported(path)}
    return {
        name_parts[1]
        for name_parts in split_names
        if name_parts[0] == "repurpose" and name_parts[1] != package
    }


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--no-cache", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("snakemake", "--lint"),
    ],
    ids=" ".join,
)
def test_a_style_checker_finds_nothing(command):
    status, output = run(*command)
    assert status == 0, output


def test_the_style_checkers_find_bad_style(tmp_path):
    (tmp_path / "bad.py").write_text("import os\nx = {  'a':1 }\n")
    (tmp_path / "bad.smk").write_text("rule a:\n  output: 'a'\n  shell: 'touch a'\n")
    settings = ("--config", str(PROJECT / "pyproject.toml"))
    assert run("ruff", "check", "--no-cache", *settings, str(tmp_path))[0] == 1
    assert run("ruff", "format", "--no-cache", "--check", *settings, str(tmp_path))[0] == 1
    assert run("snakefmt", "--check", str(tmp_path))[0] == 1
    assert run("snakemake", "--lint", "--snakefile", str(tmp_path / "bad.smk"))[0] == 1


def test_every_package_is_in_the_order_and_says_what_it_is():
    assert sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py")) == sorted(PACKAGES)
    for package in PACKAGES:
        docstring = ast.get_docstring(
            ast.parse((LIBRARY / package / "__init__.py").read_text(encoding="utf-8"))
        )
        assert all(word in docstring for word in ("In: ", "Out: ", "Read first: ".strip())), package


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_from_those_above_it(package):
    above = set(PACKAGES[: PACKAGES.index(package)])
    for path in (LIBRARY / package).glob("*.py"):
        assert imported_packages(path, package) <= above, path


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_heavy_package_is_imported_only_where_it_is_used(path):
    heavy = {name.partition(".")[0] for name in imported(path)} & ALLOWED.keys()
    assert {name for name in heavy if path.parent.name not in ALLOWED[name]} == set()


def test_the_snakefile_loads_no_heavy_package():
    """A dry run must start at once."""
    lines = (PROJECT / "rules" / "common.smk").read_text(encoding="utf-8").splitlines()
    imports = [line for line in lines if line.startswith("from repurpose")]
    assert len(imports) > 3
    code = "\n".join([*imports, "import sys", f"print(sorted(set(sys.modules) & {set(ALLOWED)}))"])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT / "scripts", check=True)
    assert done.stdout == "[]\n"


def test_imports_inside_functions_are_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "from repurpose.gate import verdict\nfrom repurpose.core.files import read_json\n"
        "def f():\n    from torch.nn import functional\n    import xgboost.sklearn\n"
    )
    assert {"torch.nn.functional", "xgboost.sklearn"} < imported(path)
    assert imported_packages(path, "core") == {"gate"}


def test_private_parts_of_a_library_are_used_in_one_module():
    checked = [*MODULES, *SCRIPTS, *sorted((PROJECT / "benchmarks").glob("*.py"))]
    used = {path: private_parts(path) for path in checked if private_parts(path)}
    assert set(used) <= {LIBRARY / name for name in PRIVATE}, used
    rules = [PROJECT / "Snakefile", *sorted((PROJECT / "rules").glob("*.smk"))]
    used = {path: private_parts_of_snakemake(path.read_text(encoding="utf-8")) for path in rules}
    assert len(rules) > 5 and not any(used.values()), used


@pytest.mark.parametrize("name", PRIVATE)
def test_a_module_that_uses_private_parts_has_a_test_of_its_name(name):
    path = LIBRARY / name
    assert (PROJECT / "tests" / path.parent.name / f"test_{path.name}").is_file()


@pytest.mark.parametrize(
    "line",
    [
        "from numba.core import caching",
        "from torch_geometric.nn.conv._x import y",
        "import numba\nnumba.core.config",
        "import torch\ntorch._C._nn.gelu(x)",
        "import torch\ntorch.ops.aten.gelu(x)",
        "conv._construct_src_node_feat(k)",
    ],
)
def test_a_use_of_a_private_part_is_found(tmp_path, line):
    (tmp_path / "module.py").write_text(f"{line}\n")
    assert private_parts(tmp_path / "module.py")
    (tmp_path / "module.py").write_text("from __future__ import annotations\nself._x = row._replace(a=1)\n")
    assert not private_parts(tmp_path / "module.py")


def test_a_use_of_private_parts_of_snakemake_is_found():
    assert private_parts_of_snakemake("if workflow.dag.forcefiles:\n") == {"workflow.dag"}
    assert private_parts_of_snakemake("from snakemake.iocontainers import Wildcards\n")
    assert not private_parts_of_snakemake(
        'from snakemake.utils import min_version\nf"{workflow.current_basedir}/x"\n'
    )


def test_no_module_of_the_library_knows_snakemake():
    assert MODULES
    for path in MODULES:
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)
        }
        assert "snakemake" not in names | {name.partition(".")[0] for name in imported(path)}, path


def named_modules(text):
    """The modules that a text like "records, runs" names."""
    return re.findall(r"\w+", text)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_comes_in_what_goes_out_and_which_modules_to_read_first(package):
    docstring = ast.get_docstring(ast.parse((LIBRARY / package / "__init__.py").read_text(encoding="utf-8")))
    incoming, outgoing, first = re.fullmatch(
        r"[^\n]+\.\n\nIn: (.+?)\.\sOut: (.+?)\.\sRead first: ([\w, \n]+)\.", docstring, re.DOTALL
    ).groups()
    assert incoming and outgoing
    assert all((LIBRARY / package / f"{name}.py").is_file() for name in named_modules(first)), first


def test_the_picture_of_the_packages_has_each_of_them_with_modules_that_exist():
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = re.search(r"```mermaid\n(.+?)```", text, re.DOTALL)[1]
    drawn = dict(re.findall(r"\[\"(\w+) \(([^)]+)\)\"\]", picture))
    below = named_modules(re.search(r"\[\"([\w, ]+): used by all\"\]", picture)[1])
    assert sorted([*drawn, *below]) == sorted(PACKAGES)
    for package, modules in drawn.items():
        assert all((LIBRARY / package / f"{name}.py").is_file() for name in named_modules(modules)), package


def unwanted_words(text):
    """The unwanted words in a text, also where a line break divides them."""
    return UNWANTED_WORDS.findall(re.sub(r"[\s#]+", " ", text))


def test_no_text_has_words_of_the_private_vocabulary():
    files = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*")]
    paths = [path for path in [*files, *PROJECT.glob("*")] if path.suffix in PROSE or path.name in NAMES]
    paths.remove(Path(__file__))
    assert len(paths) > 150
    used = {path: unwanted_words(path.read_text(encoding="utf-8")) for path in paths}
    assert {str(path): words for path, words in used.items() if words} == {}


@pytest.mark.parametrize(
    "text",
    [
        "What stands beside the columns",
        "a node hears from it",
        "A null model that\n    # knows nothing",
        "by the layers' own numbers",
    ],
)
def test_an_unwanted_word_is_found(text):
    assert unwanted_words(text)
    assert not unwanted_words("The SVD and profile columns are left out; nodes receive messages.")
