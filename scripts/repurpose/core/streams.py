"""Random streams with names: every random draw of the library starts from a seed and the name of its stream.

Numpy pads the numbers of a seed with zeros, so `default_rng(7)`, `default_rng([7, 0])` and
`default_rng([7, 0, 0])` are one stream, and two callers that choose the same number share it unnoticed. Here
a name is used in one place of the code only (tests/core/test_streams.py checks it), so two streams are
independent unless one function is called twice.
"""

import hashlib
import json
from operator import index

import numpy as np


def generator(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """The generator of a stream.

    name: what is drawn, such as "split of the pairs". numbers: which of several such draws, for example the
    step of a training. Another seed, name, number or count of numbers is another stream.
    """
    return np.random.default_rng(np.frombuffer(_digest(seed, name, numbers)[:16], "<u4"))


def seed_of(seed: int, name: str, *numbers: int) -> int:
    """A seed of 63 bits for a generator that is not numpy's (PyTorch, XGBoost, kernels); see `generator`."""
    return int.from_bytes(_digest(seed, name, numbers)[:8], "little") >> 1


def demo_generator(seed: int, name: str, number: int) -> np.random.Generator:
    """The generator of a stream of the demo graph, for its module alone: numpy's for [seed, number].

    It keeps the demo graph as it was before streams had names. The seeds of all other streams have 128 bits,
    so no other stream equals one of these. The caller uses each number once.
    """
    return np.random.default_rng([seed, number])


def _digest(seed: int, name: str, numbers: tuple[int, ...]) -> bytes:
    # As JSON, because no two lists have the same text, such as ("a", 1, 2) and ("a", 12).
    return hashlib.sha256(json.dumps([index(seed), name, *map(index, numbers)]).encode()).digest()
