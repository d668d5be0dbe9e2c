"""The style that machines can check: ruff, snakefmt, Snakemake's lint, sizes and imports of modules."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
LIBRARY = PROJECT / "scripts" / "repurpose"
MODULES = sorted(LIBRARY.glob("**/*.py"))
SCRIPTS = sorted((PROJECT / "scripts").glob("*.py"))
# Importing PyTorch takes seconds, and each stage runs in an environment of its own.
ALLOWED = {
    "torch": {
        "attention",
        "checkpoint",
        "decoder",
        "devices",
        "diagnosis",
        "fused",
        "hgt",
        "losses",
        "memory",
        "message_edges",
        "objective",
        "preflight",
        "pyg_layer",
        "quality",
        "readout",
        "run",
        "selftest",
        "steps",
        "watchdog",
        "workspace",
    },
    "torch_geometric": {"fused", "pyg_layer"},
    "numba": {"compiled", "simd"},
    "xgboost": {"boosting", "classifier", "ensemble", "pair_model", "trees"},
}


def run(tool, *arguments):
    """Run a tool of this environment in the project's folder; its output and whether it was content."""
    path = shutil.which(tool, path=Path(sys.executable).parent)
    assert path, f"{tool} is not in {Path(sys.executable).parent}; run: make env"
    done = subprocess.run([path, *arguments], cwd=PROJECT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def imported(path):
    """Top names of the packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


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
def test_a_style_checker_is_content(command):
    status, said = run(*command)
    assert status == 0, said


def test_the_style_checkers_can_object(tmp_path):
    (tmp_path / "bad.py").write_text("import os\nx = {  'a':1 }\n")
    (tmp_path / "bad.smk").write_text("rule a:\n  output: 'a'\n  shell: 'touch a'\n")
    settings = ("--config", str(PROJECT / "pyproject.toml"))
    assert run("ruff", "check", "--no-cache", *settings, str(tmp_path))[0] == 1
    assert run("ruff", "format", "--no-cache", "--check", *settings, str(tmp_path))[0] == 1
    assert run("snakefmt", "--check", str(tmp_path))[0] == 1
    assert run("snakemake", "--lint", "--snakefile", str(tmp_path / "bad.smk"))[0] == 1


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=lambda path: path.stem)
def test_a_heavy_package_is_imported_only_where_it_is_used(path):
    within = path.stem if path.parent == LIBRARY else ""
    assert {name for name in imported(path) & ALLOWED.keys() if within not in ALLOWED[name]} == set()


def test_the_reader_of_imports_sees_those_inside_functions(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from torch.nn import functional\n    import xgboost.sklearn\n")
    assert imported(path) == {"torch", "xgboost"}


def test_no_module_of_the_library_knows_snakemake():
    assert MODULES
    for path in MODULES:
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)
        }
        assert "snakemake" not in names | imported(path), path
