"""What a training leaves beside its vectors: the encoder, in a form that needs no PyTorch to be read.

With it the vectors of a few nodes can be computed anew, on a graph without some edges: see `counterfactual`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from repurpose.core import files
from repurpose.core.errors import InputError


class Parameters(NamedTuple):
    """Those of a layer, all types together: T node types, R edge types, H heads of D numbers, F = H D.

    kvq (T, 3 F, F) and kvq_bias (T, 3 F): key, value and query, head by head. relations (2, H, R, D, D): for
    keys, times prior / sqrt(D), and for values. out (T, F, F), out_bias (T, F); share (T,): of what is
    received in the output. Arrays of numpy or tensors.
    """

    kvq: Any
    kvq_bias: Any
    relations: Any
    out: Any
    out_bias: Any
    share: Any


class Trained(NamedTuple):
    """An encoder in its best state; nodes are numbered through over the types.

    layers: one each. states: what each layer reads, (nodes, F). output (T, projected, F), output_bias
    (T, projected). lengths (nodes,), values (dim,): of `spectral.Axes`, where an SVD is part of the vectors.
    divisors (nodes, most sides): see `starts.Found`, where profiles are.
    """

    layers: tuple[Parameters, ...]
    states: tuple[np.ndarray, ...]
    output: np.ndarray
    output_bias: np.ndarray
    lengths: np.ndarray | None
    values: np.ndarray | None
    divisors: np.ndarray | None


def save(path: str | Path, trained: Trained | None) -> None:
    """Write an encoder as safetensors; a file without tensors where a refused training left none."""
    arrays: dict[str, np.ndarray] = {}
    if trained:
        for number, (layer, state) in enumerate(zip(trained.layers, trained.states, strict=True)):
            arrays |= {f"layers.{number}.{name}": value for name, value in layer._asdict().items()}
            arrays[f"states.{number}"] = state
        rest = {name: getattr(trained, name) for name in Trained._fields[2:]}
        arrays |= {name: value for name, value in rest.items() if value is not None}
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    with files.replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(contiguous))


def load(path: str | Path) -> Trained:
    """Read an encoder; raises InputError that names the file where it holds none."""
    try:
        arrays = safetensors.numpy.load(Path(path).read_bytes())
        numbers = range(sum(name.startswith("states.") for name in arrays))
        layers = [
            Parameters(*(arrays[f"layers.{number}.{name}"] for name in Parameters._fields))
            for number in numbers
        ]
        states = [arrays[f"states.{number}"] for number in numbers]
        rest = (arrays.get(name) for name in ("lengths", "values", "divisors"))
        return Trained(tuple(layers), tuple(states), arrays["output"], arrays["output_bias"], *rest)
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{path} holds no encoder ({error}); {files.rebuild_hint(path)}") from error
