"""The trained encoder as a file that is read without PyTorch.

`counterfactual` computes the vectors of single nodes with it, on the graph without some edges.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from repurpose.core import files
from repurpose.core.errors import InputError


class Parameters(NamedTuple):
    """Parameters of one layer, all types together: T node types, R edge types, H heads of width D, F = H D.

    kvq (T, 3 F, F) and kvq_bias (T, 3 F): key, value and query, head by head. relations (2, H, R, D, D):
    matrices for keys, times prior / sqrt(D), and for values. out (T, F, F) and out_bias (T, F): the output
    map. share (T,): weight of the messages in the output; the node's input has 1 - share. numpy arrays or
    tensors.
    """

    kvq: Any
    kvq_bias: Any
    relations: Any
    out: Any
    out_bias: Any
    share: Any


class Trained(NamedTuple):
    """An encoder in its best state; nodes are numbered over all types.

    layers: parameters of each layer. states: input of each layer, (nodes, F). output (T, projected, F),
    output_bias (T, projected). lengths (nodes,), values (dim,): of `spectral.Axes`; None without SVD rows.
    divisors (nodes, largest number of sides): see `preparation.Composition`; None without profiles.
    """

    layers: tuple[Parameters, ...]
    states: tuple[np.ndarray, ...]
    output: np.ndarray
    output_bias: np.ndarray
    lengths: np.ndarray | None
    values: np.ndarray | None
    divisors: np.ndarray | None


def save(path: str | Path, trained: Trained | None) -> None:
    """Write an encoder as safetensors; for None, after a refused training, a file without tensors."""
    arrays: dict[str, np.ndarray] = {}
    if trained:
        for number, (layer, state) in enumerate(zip(trained.layers, trained.states, strict=True)):
            arrays |= {f"layers.{number}.{name}": value for name, value in layer._asdict().items()}
            arrays[f"states.{number}"] = state
        optional = {name: getattr(trained, name) for name in Trained._fields[2:]}
        arrays |= {name: value for name, value in optional.items() if value is not None}
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    with files.replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(contiguous))


def load(path: str | Path) -> Trained:
    """Read an encoder; raises InputError, which names the file, if there is none in it."""
    try:
        arrays = safetensors.numpy.load(Path(path).read_bytes())
        numbers = range(sum(name.startswith("states.") for name in arrays))
        layers = [
            Parameters(*(arrays[f"layers.{number}.{name}"] for name in Parameters._fields))
            for number in numbers
        ]
        states = [arrays[f"states.{number}"] for number in numbers]
        optional = (arrays.get(name) for name in ("lengths", "values", "divisors"))
        return Trained(tuple(layers), tuple(states), arrays["output"], arrays["output_bias"], *optional)
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{path} holds no encoder ({error}); {files.rebuild_hint(path)}") from error
