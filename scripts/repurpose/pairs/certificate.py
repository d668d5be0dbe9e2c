"""The leakage certificate: which relations were removed, how the pairs are split, and checks of both.

The checks count the graph's edges again, independently of the code that made the pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from repurpose.config.sections import Target
from repurpose.graph import leaks
from repurpose.graph.graph import Graph
from repurpose.pairs.pairs import ALL_SCHEMES, DATES, GROUPED_BY, SPLITS

# The observed overlaps, and those expected by chance, are in the section `overlaps`.
OVERLAP_CHECK = "no message relation repeats the pairs by id, except those of graph.keep_relations"


# With fewer tails in a test, means over tails and their intervals say little about other tails.
FEW_TAILS = 10


def certify(kg: Graph, pairs: pd.DataFrame, target: Target, kept: Sequence[str] = ()) -> dict[str, Any]:
    """Return the leakage certificate: target, removed relations, overlaps, counts of pairs, and checks.

    `cautions` are sentences on what makes the test say little. pairs: labelled and split. kept:
    graph.keep_relations. Each check counts its violations. Raises RuntimeError if a check fails: that is a
    defect of the program, not a property of the data.
    """
    overlaps = leaks.describe(leaks.find_overlaps(kg, target), kept)
    counts_by_check = [
        *_graph_violations(kg, pairs, target),
        (OVERLAP_CHECK, sum(each["leak"] and not each["kept"] for each in overlaps)),
        *_split_violations(pairs),
    ]
    checks = [{"name": name, "passed": not count, "count": count} for name, count in counts_by_check]
    failed = [f"{check['name']} ({check['count']} violations)" for check in checks if not check["passed"]]
    if failed:
        raise RuntimeError(f"the pairs leak or are wrong: {'; '.join(failed)}")
    positive, negative = (_edges(kg, target, names) for names in (target.positive, target.negative))
    conflicts = len(np.intersect1d(positive, negative))
    return {
        "target": asdict(target),
        "removed": [asdict(relation) for relation in kg.relations if relation.role != "message"],
        "overlaps": overlaps,
        "pairs": {
            "positives": int((pairs["label"] == 1).sum()),
            "negatives": int((pairs["label"] == 0).sum()),
            "conflicts": conflicts,
        },
        "cautions": [*_conflict(pairs, conflicts), *_few_tails(pairs, target.tail_type), *_undated(pairs)],
        "splits": {scheme: _summary(pairs, scheme) for scheme in ALL_SCHEMES if scheme in pairs},
        "checks": checks,
    }


def _conflict(pairs: pd.DataFrame, conflicts: int) -> Iterator[str]:
    if conflicts:
        yield (
            f"{conflicts:,} of {(pairs['label'] == 1).sum():,} treatments are known negatives too "
            "(target.negative): they count as treatments"
        )


def _few_tails(pairs: pd.DataFrame, tail_type: str) -> Iterator[str]:
    for scheme in (scheme for scheme in ALL_SCHEMES if scheme in pairs):
        tested = pairs[(pairs[scheme] == "test") & (pairs["label"] == 1)]
        tails = tested["tail_index"].nunique()
        if tails < FEW_TAILS:
            yield (
                f"the {len(tested)} test treatments of the split {scheme} are of {tails} {tail_type}"
                f"{'' if tails == 1 else 's'}: its numbers, and their intervals, say little about others"
            )


def _undated(pairs: pd.DataFrame) -> Iterator[str]:
    """When the test of the scheme date begins, and how many treatments have no date."""
    if "date" not in pairs:
        return
    positive = pairs[pairs["label"] == 1]
    begin = {name: positive[DATES][positive["date"] == name].min() for name in ("valid", "test")}
    undated = int((positive[DATES] == "").sum())
    yield (
        f"split date: treatments first known from {begin['test']} on are the test, those from "
        f"{begin['valid']} on are for validation; {undated:,} of {len(positive):,} have no date and are in "
        "training; the graph's other edges have no such limit, so the test may know some that are later"
    )


def _graph_violations(kg: Graph, pairs: pd.DataFrame, target: Target) -> Iterator[tuple[str, int]]:
    types = target.types
    roles = [r.role for r in kg.relations if (r.head_type, r.tail_type) in (types, types[::-1])]
    yield (
        f"no message relation connects {types[0]} and {types[1]} in either direction",
        roles.count("message"),
    )
    codes = _codes(kg, target, pairs["head_index"].to_numpy(), pairs["tail_index"].to_numpy())
    yield "no pair occurs twice", len(codes) - len(np.unique(codes))
    is_positive = (pairs["label"] == 1).to_numpy()
    positive, negative = (_edges(kg, target, names) for names in (target.positive, target.negative))
    yield (
        "the positives are the distinct edges of the positive relations",
        len(np.setxor1d(codes[is_positive], positive)),
    )
    yield (
        "the negatives are the distinct edges of the negative relations that are not positive",
        len(np.setxor1d(codes[~is_positive], np.setdiff1d(negative, positive))),
    )


def _split_violations(pairs: pd.DataFrame) -> Iterator[tuple[str, int]]:
    for scheme in (scheme for scheme in ALL_SCHEMES if scheme in pairs):
        yield f"{scheme}: each pair is in train, valid or test", int((~pairs[scheme].isin(SPLITS)).sum())
        if scheme in GROUPED_BY:
            splits = pairs.groupby(GROUPED_BY[scheme])[scheme].nunique()
            yield f"{scheme}: all pairs of one {scheme} are in one split", int((splits > 1).sum())
        if scheme == "date":
            dated = pairs[pairs[DATES] != ""]
            tested = dated[DATES][dated[scheme] == "test"].min()
            is_late = (dated[scheme] != "test") & (dated[DATES] >= tested)
            yield "date: no pair outside the test is as late as one of the test", int(is_late.sum())


def _edges(kg: Graph, target: Target, names: Sequence[str]) -> np.ndarray:
    """Distinct codes of the target pairs that the relations of these names connect, in either direction."""
    types = target.types
    codes = [np.empty(0, np.int64)]
    for relation, heads, tails in zip(kg.relations, kg.heads, kg.tails, strict=True):
        ends = relation.head_type, relation.tail_type
        if relation.relation in names and ends == types:
            codes.append(_codes(kg, target, heads, tails))
        if relation.relation in names and ends == types[::-1]:
            codes.append(_codes(kg, target, tails, heads))
    return np.unique(np.concatenate(codes))


def _codes(kg: Graph, target: Target, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    return heads.astype(np.int64) * kg.count(target.tail_type) + tails


def _summary(pairs: pd.DataFrame, scheme: str) -> dict[str, dict[str, int]]:
    pairs_by_split = {name: pairs[pairs[scheme] == name] for name in SPLITS}
    return {
        name: {
            "positives": int((split_pairs["label"] == 1).sum()),
            "negatives": int((split_pairs["label"] == 0).sum()),
            "heads": int(split_pairs["head_index"].nunique()),
            "tails": int(split_pairs["tail_index"].nunique()),
        }
        for name, split_pairs in pairs_by_split.items()
    }
