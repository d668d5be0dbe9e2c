"""The target pairs: their labels, and their splits without leakage.

A pair is (head, tail), an index each within the target's two node types. A known pair is one that
any relation joins, whatever its role; an unknown pair is any other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.graph.target import Target

SCHEMES = ("random", "disease", "drug")
ALL_SCHEMES = (*SCHEMES, "area")
SPLITS = ("train", "valid", "test")
GROUPED_BY = {"disease": "tail_index", "drug": "head_index", "area": "area_index"}
# Whose heads or tails are held out whole: no negative of theirs may be learned from.
HELD_OUT = {"disease": "tail_index", "drug": "head_index", "area": "tail_index"}
# Fewer positives than this in a split make its metrics and its early stopping a matter of luck.
MINIMUM_POSITIVES = 5


class Known(NamedTuple):
    """Distinct known pairs sorted by (tail, head), each with its relations' names joined by "; "."""

    heads: np.ndarray
    tails: np.ndarray
    names: np.ndarray


def known(kg: Graph, head_type: str, tail_type: str) -> Known:
    """All pairs that a relation of any role joins, in either orientation."""
    return _distinct(kg, _joining(kg, head_type, tail_type), head_type, tail_type)


def label(kg: Graph, target: Target) -> pd.DataFrame:
    """Labelled pairs: head_index, tail_index, label (1 positive, 0 negative), relation; sorted by tail, head.

    A pair that is both positive and negative is positive; a pair in several relations of its label is
    one row that names them all. Raises InputError for a relation that the graph lacks.
    """
    parts = [_distinct(kg, _named(kg, target, key), *target.types) for key in ("positive", "negative")]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    frame = pd.DataFrame(dict(zip(("head_index", "tail_index", "relation"), columns, strict=True)))
    frame.insert(2, "label", np.repeat([1, 0], [len(part.heads) for part in parts]))
    # Positives come first, so that a conflict keeps the positive row.
    frame = frame.drop_duplicates(["head_index", "tail_index"]).sort_values(["tail_index", "head_index"])
    types = {"head_index": np.int32, "tail_index": np.int32, "label": np.int8}
    return frame.astype(types).reset_index(drop=True)


def split(
    pairs: pd.DataFrame, schemes: Sequence[str], valid_share: float, test_share: float, seed: int
) -> pd.DataFrame:
    """`pairs` with one column per scheme that says train, valid or test.

    "random" is stratified by label; "disease" holds out whole tails and "drug" whole heads, so that
    no held-out tail (head) has a pair in training; "area" holds out all tails that share a value of the
    column area_index. Raises InputError where the shares leave no training pairs or a split has fewer than
    MINIMUM_POSITIVES positives.
    """
    shares = np.array([1 - valid_share - test_share, valid_share, test_share])
    if shares[0] <= 0:
        raise InputError(
            f"split.valid_share {valid_share} and split.test_share {test_share} leave no pairs for training: "
            "choose shares whose sum is below 1"
        )
    labels = pairs["label"].to_numpy()
    result = pairs.copy()
    for scheme in schemes:
        rng = np.random.default_rng([seed, ALL_SCHEMES.index(scheme)])
        if scheme in GROUPED_BY:
            places = _split_groups(pairs[GROUPED_BY[scheme]].to_numpy(), labels, shares, rng)
        else:
            places = _split_stratified(labels, shares, rng)
        _require_enough(scheme, places, labels)
        result[scheme] = np.array(SPLITS, object)[places]
    return result


def treated(labelled: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of the known treatments among labelled pairs."""
    positive = labelled[labelled["label"] == 1]
    return positive["head_index"].to_numpy(), positive["tail_index"].to_numpy()


def save(pairs: pd.DataFrame, path: str | Path) -> None:
    """Write pairs.parquet."""
    schemes = [scheme for scheme in ALL_SCHEMES if scheme in pairs]
    fields = [("head_index", pa.int32()), ("tail_index", pa.int32()), ("label", pa.int8())]
    fields += [("area_index", pa.int32())] if "area_index" in pairs else []
    schema = pa.schema(fields + [(name, pa.string()) for name in ["relation", *schemes]])
    table = pa.Table.from_pandas(pairs, schema, preserve_index=False)
    files.write_table(path, table.replace_schema_metadata(None))


def load(path: str | Path) -> pd.DataFrame:
    """Read pairs.parquet; raises InputError if it is unreadable."""
    return files.read_table(path).to_pandas()


def _joining(kg: Graph, head_type: str, tail_type: str) -> list[tuple[int, bool]]:
    """Relations between both types, each with whether it runs from tail type to head type."""
    ends = [(relation.head_type, relation.tail_type) for relation in kg.relations]
    wanted = ((head_type, tail_type), (tail_type, head_type))
    return [(index, end != wanted[0]) for index, end in enumerate(ends) if end in wanted]


def _named(kg: Graph, target: Target, key: str) -> list[tuple[int, bool]]:
    joining = _joining(kg, *target.types)
    has = {kg.relations[index].relation for index, _ in joining}
    names = getattr(target, key)
    for name in names:
        if name not in has:
            raise InputError(
                f"target.{key} names the relation {name}, but the graph has none of that name between "
                f"{target.head_type} and {target.tail_type}; it has: "
                f"{', '.join(sorted(has)) or 'none between these types'}"
            )
    return [(index, flipped) for index, flipped in joining if kg.relations[index].relation in names]


def _distinct(kg: Graph, relations: Sequence[tuple[int, bool]], head_type: str, tail_type: str) -> Known:
    none = np.empty(0, np.int32)
    ends = [(kg.heads[i], kg.tails[i])[:: -1 if flipped else 1] for i, flipped in relations]
    heads, tails = (np.concatenate([end[side] for end in ends] + [none]) for side in (0, 1))
    codes = tails.astype(np.int64) * kg.count(head_type) + heads
    distinct, which = np.unique(codes, return_inverse=True)
    member = np.zeros((len(distinct), len(relations)), bool)
    member[which, np.repeat(np.arange(len(relations)), [len(end[0]) for end in ends])] = True
    patterns, pattern = np.unique(member, axis=0, return_inverse=True)
    names = [kg.relations[index].relation for index, _ in relations]
    joined = ["; ".join(sorted({names[i] for i in np.flatnonzero(row)})) for row in patterns]
    tail, head = np.divmod(distinct, max(kg.count(head_type), 1))
    return Known(head.astype(np.int32), tail.astype(np.int32), np.array(joined, object)[pattern])


def _split_stratified(labels: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    places = np.zeros(len(labels), np.int8)
    for mark in (1, 0):
        rows = rng.permutation(np.flatnonzero(labels == mark))
        valid, test = np.round(shares[1:] * len(rows)).astype(int)
        places[rows[:valid]] = 1
        places[rows[valid : valid + test]] = 2
    return places


def _split_groups(
    groups: np.ndarray, labels: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Each group, in random order, goes to the split that is furthest below its share of positives."""
    names, which = np.unique(groups, return_inverse=True)
    sizes = np.stack([np.bincount(which, labels == mark, len(names)) for mark in (1, 0)], axis=1)
    missing = np.outer(shares, sizes.sum(axis=0))
    chosen = np.zeros(len(names), np.int8)
    for group in rng.permutation(len(names)):
        # Groups without a positive even out the negatives instead.
        chosen[group] = missing[:, 0 if sizes[group, 0] else 1].argmax()
        missing[chosen[group]] -= sizes[group]
    return chosen[which]


def _require_enough(scheme: str, places: np.ndarray, labels: np.ndarray) -> None:
    counts = np.bincount(places[labels == 1], minlength=3)
    if counts.min() < MINIMUM_POSITIVES:
        found = ", ".join(f"{name} {count}" for name, count in zip(SPLITS, counts, strict=True))
        raise InputError(
            f"the scheme {scheme} has too few positive pairs in a split ({found}; each needs "
            f"{MINIMUM_POSITIVES}): use a graph with more target edges, raise split.valid_share and "
            f"split.test_share, or take {scheme} out of split.schemes"
        )
