"""Loops are compiled once per environment and version of the code, for all copies of the source."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import compile_kernels

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LOOPS = '''"""Loops."""
from repurpose.kernels.compiled import loop
from repurpose.stage.factor import FACTOR


@loop()
def scaled(x):
    return FACTOR * x
'''
CALL = """
import json, sys
from pathlib import Path
from repurpose.kernels import compiled
compiled.CACHE = Path(sys.argv[1])
from repurpose.stage.loops import scaled
result = scaled(2.0)
print(json.dumps([result, sum(scaled.stats.cache_hits.values()), sum(scaled.stats.cache_misses.values())]))
"""
TRAINING = """
import dataclasses, json
import forests, small_trainings
import numpy as np
from repurpose.hgt import attention_kernels
from repurpose.hgt import fused
from repurpose.hgt import messages
from repurpose.hgt import readout
from repurpose.hgt import sampling
from repurpose.classifier import trees
encoder = dataclasses.replace(small_trainings.ENCODER, heads=2)
small_trainings.fit(encoder=encoder, epochs=5)
small_trainings.fit(encoder=encoder, batching="sampled")
vectors, booster, _ = forests.case(40, 3, 2, 0)
forests.scored(vectors, trees.read(booster, 2))
trees.column_scores(trees.read_columns(booster), np.zeros((6, 3, 40), np.float32))
modules = [*map(vars, (fused, messages, readout, sampling, trees)), vars(attention_kernels.of_width(8))]
functions = [item for module in modules for item in module.items() if hasattr(item[1], "stats")]
# Inlined functions have no nogil: they are not compiled alone.
loops = {name: function.stats for name, function in functions if function.targetoptions.get("nogil")}
print(json.dumps({name: [sum(s.cache_hits.values()), len(s.cache_misses)] for name, s in loops.items()}))
"""


def copy(folder):
    """A copy of the library with one more package: a loop and, in another module, a constant that it uses."""
    kernels = "kernels/__init__", "kernels/compiled", "kernels/numba_private"
    for name in ("__init__", "core/__init__", "core/source", *kernels):
        copied = folder / "repurpose" / f"{name}.py"
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SCRIPTS / "repurpose" / f"{name}.py", copied)
    package = folder / "repurpose" / "stage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "loops.py").write_text(LOOPS)
    (package / "factor.py").write_text("FACTOR = 3.0\n")
    return package


def python(code, scripts, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    environment |= {"PYTHONPATH": str(scripts), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def call(package, cache):
    """The loop's result, and how often its machine code was in the cache and how often not."""
    return python(CALL, package.parents[1], cache)


@pytest.fixture(name="cache")
def folder_of_machine_code(tmp_path):
    return tmp_path / "kernels"


def test_another_copy_of_the_source_uses_the_same_machine_code(tmp_path, cache):
    first, second = copy(tmp_path / "a"), copy(tmp_path / "b")
    assert call(first, cache) == [6.0, 0, 1]
    assert call(first, cache) == [6.0, 1, 0]
    assert call(second, cache) == [6.0, 1, 0]
    assert not list(tmp_path.glob("**/__pycache__/*.nb?"))


@pytest.mark.parametrize(
    ("file", "old", "new", "result"),
    [("loops.py", "FACTOR * x", "FACTOR + x", 5.0), ("factor.py", "3.0", "4.0", 8.0)],
    ids=["the loop", "a module that it imports"],
)
def test_changed_code_is_compiled_again(tmp_path, cache, file, old, new, result):
    package = copy(tmp_path / "a")
    call(package, cache)
    (package / file).write_text((package / file).read_text().replace(old, new))
    assert call(package, cache) == [result, 0, 1]


def test_a_new_comment_compiles_nothing(tmp_path, cache):
    package = copy(tmp_path / "a")
    call(package, cache)
    (package / "factor.py").write_text("# Why three.\nFACTOR = 3.0\n")
    assert call(package, cache) == [6.0, 1, 0]


def test_loops_work_without_a_writable_cache(tmp_path):
    package = copy(tmp_path / "a")
    (tmp_path / "file").touch()
    assert call(package, tmp_path / "file" / "kernels")[0] == 6.0


def test_after_make_env_neither_training_nor_scoring_compiles():
    """A new process trains with validation at a common head width and scores; this calls every loop."""
    loads = python(TRAINING, f"{SCRIPTS}:{Path(__file__).resolve().parents[1]}")
    assert len(loads) > 15
    assert all(hits and not misses for hits, misses in loads.values()), loads


def test_make_env_compiles_for_the_widths_of_the_presets():
    for name in ("config.yaml", "presets/full.yaml"):
        encoder = yaml.safe_load((SCRIPTS.parent / "config" / name).read_text())["hgt"]
        assert encoder["hidden_dim"] // encoder["heads"] in compile_kernels.WIDTHS
