"""The target pairs: their labels, and their splits without leakage.

A pair is (head, tail), each an index within one of the target's two node types. A pair is known if a relation
of any role connects its head and tail; all other pairs are unknown.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.config.sections import Target
from repurpose.core import files, streams
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph

SCHEMES = ("random", "disease", "drug")
ALL_SCHEMES = (*SCHEMES, "area", "date")
SPLITS = ("train", "valid", "test")
GROUPED_BY = {"disease": "tail_index", "drug": "head_index", "area": "area_index"}
# Column of the heads or tails that a scheme holds out whole: training uses no negative pair of these either.
HELD_OUT = {"disease": "tail_index", "drug": "head_index", "area": "tail_index"}
# With fewer positives in a split, its metrics and early stopping depend on chance.
MINIMUM_POSITIVES = 5
DATES = "first_date"  # column of a pair's first date, "" for none


class Known(NamedTuple):
    """Distinct known pairs, sorted by tail and head; `names`: their relations, joined by "; "."""

    heads: np.ndarray
    tails: np.ndarray
    names: np.ndarray


def known(kg: Graph, head_type: str, tail_type: str) -> Known:
    """All pairs that a relation of any role connects, in either direction."""
    return _distinct_pairs(kg, _relations_between(kg, head_type, tail_type), head_type, tail_type)


def known_by_kind(kg: Graph, target: Target) -> tuple[Known, Known]:
    """The known pairs of the target's negative relations, and those of relations that it does not name."""
    relations = _relations_between(kg, *target.types)
    negative, others = (
        [entry for entry in relations if is_wanted(kg.relations[entry[0]].relation)]
        for is_wanted in (
            lambda name: name in target.negative,
            lambda name: name not in (*target.positive, *target.negative),
        )
    )
    return _distinct_pairs(kg, negative, *target.types), _distinct_pairs(kg, others, *target.types)


def label(kg: Graph, target: Target) -> pd.DataFrame:
    """Label the target pairs; sorted by tail and head.

    Columns: head_index, tail_index, label (1 positive, 0 negative), relation. A pair that is both positive
    and negative is positive. A pair in several relations of its label is one row that names them all. Raises
    InputError if the graph lacks a relation of the target.
    """
    pairs_by_label = [
        _distinct_pairs(kg, _target_relations(kg, target, key), *target.types)
        for key in ("positive", "negative")
    ]
    columns = [np.concatenate(column) for column in zip(*pairs_by_label, strict=True)]
    frame = pd.DataFrame(dict(zip(("head_index", "tail_index", "relation"), columns, strict=True)))
    frame.insert(2, "label", np.repeat([1, 0], [len(labelled.heads) for labelled in pairs_by_label]))
    # Positives come first, so that a conflict keeps the positive row.
    frame = frame.drop_duplicates(["head_index", "tail_index"]).sort_values(["tail_index", "head_index"])
    types = {"head_index": np.int32, "tail_index": np.int32, "label": np.int8}
    return frame.astype(types).reset_index(drop=True)


def split(
    pairs: pd.DataFrame,
    schemes: Sequence[str],
    valid_share: float,
    test_share: float,
    seed: int,
    test_from: str = "",
) -> pd.DataFrame:
    """Add one column per scheme to `pairs`; its values are train, valid or test.

    "random" is stratified by label. "disease" holds out whole tails and "drug" whole heads: no held-out tail
    (head) has a pair in training. "area" holds out all tails with the same value in the column area_index.
    "date" holds out the pairs with the last dates (column DATES): those from `test_from` on, or from the date
    that comes nearest to test_share. Raises InputError if the shares leave no training pairs, or if a split
    has fewer than MINIMUM_POSITIVES positives.
    """
    shares = np.array([1 - valid_share - test_share, valid_share, test_share])
    if shares[0] <= 0:
        raise InputError(
            f"split.valid_share {valid_share} and split.test_share {test_share} leave no pairs for training: "
            "choose shares whose sum is below 1"
        )
    labels = pairs["label"].to_numpy()
    result, positives = pairs.copy(), {}
    for scheme in schemes:
        rng = streams.generator(seed, "split of the pairs", ALL_SCHEMES.index(scheme))
        if scheme in GROUPED_BY:
            split_indices = _split_groups(pairs[GROUPED_BY[scheme]].to_numpy(), labels, shares, rng)
        elif scheme == "date":
            split_indices = _split_dates(pairs[DATES].to_numpy(), labels, shares, rng, test_from)
        else:
            split_indices = _split_stratified(labels, shares, rng)
        positives[scheme] = np.bincount(split_indices[labels == 1], minlength=len(SPLITS))
        result[scheme] = np.array(SPLITS, object)[split_indices]
    _require_enough(pairs[labels == 1], positives, shares)
    return result


def require_others(kg: Graph, labelled: pd.DataFrame, target: Target) -> None:
    """Raise InputError if there are neither unknown pairs nor known negatives to compare treatments with."""
    heads, tails = (kg.count(node_type) for node_type in target.types)
    if len(known(kg, *target.types).heads) < heads * tails or not labelled["label"].all():
        return
    raise InputError(
        f"each {target.head_type} of the graph ({heads}) is connected to each {target.tail_type} ({tails}), "
        "so treatments can be compared with nothing: use a graph in which some of these pairs are not known, "
        "or name known negatives in target.negative"
    )


def treated(labelled: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of the known treatments, the positives among labelled pairs."""
    positive = labelled[labelled["label"] == 1]
    return positive["head_index"].to_numpy(), positive["tail_index"].to_numpy()


def save(pairs: pd.DataFrame, path: str | Path) -> None:
    """Write the pairs to pairs.parquet."""
    schemes = [scheme for scheme in ALL_SCHEMES if scheme in pairs]
    fields = [("head_index", pa.int32()), ("tail_index", pa.int32()), ("label", pa.int8())]
    fields += [("area_index", pa.int32())] if "area_index" in pairs else []
    fields += [(DATES, pa.string())] if DATES in pairs else []
    schema = pa.schema(fields + [(name, pa.string()) for name in ["relation", *schemes]])
    table = pa.Table.from_pandas(pairs, schema, preserve_index=False)
    files.write_table(path, table.replace_schema_metadata(None))


def load(path: str | Path) -> pd.DataFrame:
    """Read pairs.parquet. Raises InputError if it is unreadable."""
    return files.read_table(path).to_pandas()


def _relations_between(kg: Graph, head_type: str, tail_type: str) -> list[tuple[int, bool]]:
    """Indices of the relations between both types, each with whether it runs from tail type to head type."""
    ends = [(relation.head_type, relation.tail_type) for relation in kg.relations]
    wanted = ((head_type, tail_type), (tail_type, head_type))
    return [(index, end != wanted[0]) for index, end in enumerate(ends) if end in wanted]


def _target_relations(kg: Graph, target: Target, key: str) -> list[tuple[int, bool]]:
    relations = _relations_between(kg, *target.types)
    available = {kg.relations[index].relation for index, _ in relations}
    names = getattr(target, key)
    for name in names:
        if name not in available:
            raise InputError(
                f"target.{key} names the relation {name}, but the graph has none of that name between "
                f"{target.head_type} and {target.tail_type}; it has: "
                f"{', '.join(sorted(available)) or 'none between these types'}"
            )
    return [(index, flipped) for index, flipped in relations if kg.relations[index].relation in names]


def _distinct_pairs(
    kg: Graph, relations: Sequence[tuple[int, bool]], head_type: str, tail_type: str
) -> Known:
    empty = np.empty(0, np.int32)
    ends = [(kg.heads[i], kg.tails[i])[:: -1 if flipped else 1] for i, flipped in relations]
    heads, tails = (np.concatenate([end[side] for end in ends] + [empty]) for side in (0, 1))
    codes = tails.astype(np.int64) * kg.count(head_type) + heads
    distinct, pair_of_edge = np.unique(codes, return_inverse=True)
    has_relation = np.zeros((len(distinct), len(relations)), bool)
    has_relation[pair_of_edge, np.repeat(np.arange(len(relations)), [len(end[0]) for end in ends])] = True
    relation_sets, set_of_pair = np.unique(has_relation, axis=0, return_inverse=True)
    names = [kg.relations[index].relation for index, _ in relations]
    joined_names = ["; ".join(sorted({names[i] for i in np.flatnonzero(row)})) for row in relation_sets]
    tail, head = np.divmod(distinct, max(kg.count(head_type), 1))
    return Known(head.astype(np.int32), tail.astype(np.int32), np.array(joined_names, object)[set_of_pair])


def _split_stratified(labels: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    split_indices = np.zeros(len(labels), np.int8)
    for label in (1, 0):
        rows = rng.permutation(np.flatnonzero(labels == label))
        valid, test = np.round(shares[1:] * len(rows)).astype(int)
        split_indices[rows[:valid]] = 1
        split_indices[rows[valid : valid + test]] = 2
    return split_indices


def _split_groups(
    groups: np.ndarray, labels: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Assign each group, in random order, to the split that is furthest below its share of positives."""
    names, group_of_pair = np.unique(groups, return_inverse=True)
    sizes = np.stack([np.bincount(group_of_pair, labels == label, len(names)) for label in (1, 0)], axis=1)
    missing = np.outer(shares, sizes.sum(axis=0))
    split_of_group = np.zeros(len(names), np.int8)
    for group in rng.permutation(len(names)):
        # A group without positives goes to the split that is furthest below its share of negatives.
        split_of_group[group] = missing[:, 0 if sizes[group, 0] else 1].argmax()
        missing[split_of_group[group]] -= sizes[group]
    return split_of_group[group_of_pair]


def _split_dates(
    dates: np.ndarray, labels: np.ndarray, shares: np.ndarray, rng: np.random.Generator, test_from: str
) -> np.ndarray:
    """Assign pairs by their dates; of those without one, treatments are training pairs, others are drawn."""
    is_dated = dates != ""
    days, counts = np.unique(dates[is_dated & (labels == 1)].astype(str), return_counts=True)
    later = np.cumsum(counts[::-1])[::-1] / max(counts.sum(), 1)  # the share of each day and all later ones
    if len(days) < len(SPLITS):
        raise InputError(
            f"the scheme date needs treatments of at least {len(SPLITS)} dates, and they have {len(days)}: "
            "give dates with month or day, or leave the scheme out of split.schemes"
        )
    test = np.searchsorted(days, test_from) if test_from else 2 + np.abs(later[2:] - shares[2]).argmin()
    if not 2 <= test < len(days):
        raise InputError(
            f"split.test_from is {test_from}, but the dates of the treatments run from {days[0]} to "
            f"{days[-1]}; choose one from {days[2]} to {days[-1]}"
        )
    valid = 1 + np.abs(later[1:test] - later[test] - shares[1]).argmin()
    split_indices = np.zeros(len(labels), np.int8)
    split_indices[is_dated & (dates >= days[valid])] = 1
    split_indices[is_dated & (dates >= days[test])] = 2
    drawn = np.flatnonzero(~is_dated & (labels == 0))
    split_indices[drawn] = _split_stratified(labels[drawn], shares, rng)
    return split_indices


def _require_enough(
    treatments: pd.DataFrame, positives: Mapping[str, np.ndarray], shares: np.ndarray
) -> None:
    """Raise one InputError for all schemes with a split of too few positives (3,)."""
    needed = math.ceil(MINIMUM_POSITIVES / shares.min())
    short = {scheme: counts for scheme, counts in positives.items() if counts.min() < MINIMUM_POSITIVES}
    if not short:
        return
    if len(treatments) < needed:
        raise InputError(
            f"{len(treatments)} known treatments are too few for any split: about {needed} are needed, "
            f"{MINIMUM_POSITIVES} in each of training, validation and test (split.valid_share {shares[1]:g}, "
            f"split.test_share {shares[2]:g}); use a graph with more of them, or name further relations in "
            "target.positive"
        )
    reasons, remedies = [], []
    for scheme, counts in short.items():
        summary = ", ".join(f"{name} {count}" for name, count in zip(SPLITS, counts, strict=True))
        groups = treatments[GROUPED_BY[scheme]].nunique() if scheme in GROUPED_BY else len(treatments)
        if groups < len(treatments):
            noun = scheme if groups == 1 else f"{scheme}s"
            summary += f", because the {len(treatments)} treatments are of {groups} {noun}"
        if groups >= len(SPLITS):
            remedies = ["raise split.valid_share and split.test_share"]
        reasons.append(f"the scheme {scheme} has too few positive pairs in a split ({summary})")
    remedies.append("use a graph with more treatments")
    left = [scheme for scheme in positives if scheme not in short]
    if left:
        remedies.append(f"or leave the scheme out (split: {{schemes: [{', '.join(left)}]}})")
    remedy = ", ".join(remedies)
    raise InputError(f"{'; '.join(reasons)}; each split needs {MINIMUM_POSITIVES}: {remedy}")
