"""Random streams: what makes two of them equal, and that every draw of the library has a name of its own."""

import ast
import hashlib
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from repurpose.core import streams

SCRIPTS = Path(__file__).parents[2] / "scripts"
MODULE = SCRIPTS / "repurpose" / "core" / "streams.py"
DEMO = SCRIPTS / "repurpose" / "ingest" / "demo.py"
NAMED = {"generator", "seed_of", "demo_generator"}
# Ways to random numbers other than a named stream. A call of one of SEEDED, and `random_state`, which umap
# has no other name for, need a seed from `seed_of`.
UNNAMED = {
    "default_rng",
    "SeedSequence",
    "RandomState",
    "PCG64",
    "Philox",
    "MT19937",
    "SFC64",
    "random_state",
}
SEEDED = {"manual_seed", "manual_seed_all"}
DRAWS = {
    "rand",
    "randn",
    "randint",
    "seed",
    "shuffle",
    "choice",
    "permutation",
    "normal",
    "uniform",
    "random",
}


def calls(source):
    """(function, name) of each call of a stream in a text; the name is None if it is not a plain text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"streams.{name}" for name in NAMED}:
            name = node.args[1] if len(node.args) > 1 else None
            is_text = isinstance(name, ast.Constant) and isinstance(name.value, str)
            found.append((node.func.attr, name.value if is_text else None))
    return found


def unnamed(source):
    """Parts of a text that draw, or may draw, without the name of a stream."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in SEEDED:
            if not (node.args and ast.unparse(node.args[0]).startswith("streams.seed_of(")):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.keyword) and node.arg == "random_state":
            if not ast.unparse(node.value).startswith("streams.seed_of("):
                found.append("random_state")
        elif isinstance(node, ast.Attribute):
            is_global = ast.unparse(node.value) in ("np.random", "numpy.random", "random")
            if node.attr in UNNAMED or (is_global and node.attr in DRAWS):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Name | ast.keyword | ast.alias):
            name = getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", "")
            is_module = isinstance(node, ast.alias) and name in ("random", "numpy.random")
            if name in UNNAMED or is_module:
                found.append(name)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1] in ("streams", "random"):
            found.append(ast.unparse(node))
    return found


def sources():
    paths = [path for path in sorted(SCRIPTS.rglob("*.py")) if path != MODULE]
    assert len(paths) > 100
    return {path: path.read_text(encoding="utf-8") for path in paths}


def first(generator):
    return int(generator.integers(2**63))


def test_the_same_seed_name_and_numbers_give_the_same_stream():
    draws = [first(streams.generator(7, "split", 1, 2)) for _ in range(2)]
    assert draws[0] == draws[1]
    assert first(streams.generator(np.int64(7), "split", np.int32(1), 2)) == draws[0]
    assert streams.seed_of(7, "split", 1) == streams.seed_of(7, "split", 1)


def test_any_other_seed_name_or_numbers_give_another_stream():
    """Also those that are one stream for numpy: numbers followed by zeros, and numbers above 32 bits."""
    numbers = [(), (0,), (0, 0), (1,), (0, 1), (1, 2), (12,), (2, 1), (2**32,), (2**32 + 1,)]
    cases = list(itertools.product((0, 1, 7, 2**32), ("a", "b", "a, 1", 'a", 1', "a1"), numbers))
    assert len({first(streams.generator(seed, name, *rest)) for seed, name, rest in cases}) == len(cases)
    assert len({streams.seed_of(seed, name, *rest) for seed, name, rest in cases}) == len(cases)


def test_numpy_itself_takes_different_numbers_for_one_stream():
    """The reason for names; if numpy changes this, the words of the module's docstring must change."""
    assert len({first(np.random.default_rng(seed)) for seed in (7, [7], [7, 0], [7, 0, 0])}) == 1


def test_a_stream_depends_on_the_documented_digest_alone():
    """Saved runs are repeated from their seed, so a stream must not change unnoticed."""
    digest = hashlib.sha256(b'[7, "split", 1]').digest()
    words = [int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4)]
    assert first(streams.generator(7, "split", 1)) == first(np.random.default_rng(words))
    assert streams.seed_of(7, "split", 1) == int.from_bytes(digest[:8], "little") // 2


def test_a_seed_for_other_libraries_fits_a_signed_64_bit_number():
    seeds = [streams.seed_of(seed, "initial weights") for seed in range(200)]
    assert min(seeds) >= 0 and 2**62 < max(seeds) < 2**63


def test_streams_of_different_names_are_not_correlated():
    draws = np.stack([streams.generator(0, f"stream {number}").normal(size=4000) for number in range(20)])
    off_diagonal = np.corrcoef(draws)[~np.eye(20, dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("number", [1.5, "1", None])
def test_a_number_that_is_not_whole_is_an_error(number):
    with pytest.raises(TypeError):
        streams.generator(0, "split", number)
    with pytest.raises(TypeError):
        streams.seed_of(number, "split")


def test_every_stream_of_the_library_has_a_name_of_its_own():
    found = [call for source in sources().values() for call in calls(source)]
    counts = Counter(name for _, name in found)
    assert len(counts) > 25
    assert None not in counts, "the name of a stream must be written where the stream is opened"
    repeated = [name for name, count in counts.items() if count > 1]
    assert not repeated, f"one stream in two places, give each a name or both one function: {repeated}"


def test_the_library_draws_from_named_streams_only():
    assert {path: parts for path, source in sources().items() if (parts := unnamed(source))} == {}


def test_only_the_demo_graph_uses_its_numbered_streams_and_each_number_once():
    users = {path for path, source in sources().items() if any("demo" in call for call, _ in calls(source))}
    assert users == {DEMO}
    found = [
        ast.unparse(node.args[2])
        for node in ast.walk(ast.parse(DEMO.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "streams.demo_generator"
    ]
    assert found == ["0", "1 + position"]  # position counts the relations from 0


@pytest.mark.parametrize(
    "source",
    [
        "np.random.default_rng(7)",
        "from numpy.random import default_rng",
        "np.random.shuffle(x)",
        "np.random.SeedSequence(7)",
        "import random",
        "from random import shuffle",
        "torch.manual_seed(seed + 1)",
        "train_test_split(x, random_state=0)",
        "train_test_split(x, random_state=seed)",
        "from repurpose.core.streams import generator",
    ],
)
def test_a_draw_without_a_name_is_found(source):
    assert unnamed(source)
    assert not unnamed("torch.manual_seed(streams.seed_of(seed, 'a'))\nx: np.random.Generator\nrng.random(2)")
    assert not unnamed("UMAP(random_state=streams.seed_of(seed, 'a') % 2**32)")


def test_calls_of_streams_are_found():
    source = "streams.generator(7, 'a', 1)\nstreams.seed_of(job.seed, name)\nother.generator(7, 'b')"
    assert calls(source) == [("generator", "a"), ("seed_of", None)]
