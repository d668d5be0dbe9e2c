"""Two finished runs side by side: what differs in their configs, their metrics, and their lists."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.report import explorer
from repurpose.report.metric_tables import LIST_METRICS, POOLED_METRICS

TOP = 10  # best new heads of a list that are compared
NAMED = 10  # lists that differ most, which are named
ABSENT = "(not set)"
COLUMNS = ["tail_id", "tail_name", "head_id", "head_name", "known", "rank_of_drug_for_disease"]


def read_best(path: str | Path) -> pd.DataFrame:
    """The best candidates of each tail, enough for `list_overlaps`, from candidates.parquet."""
    return explorer.read_best(path, "tail", COLUMNS, TOP).to_pandas()


def read_list(path: str | Path, tail: str) -> pd.DataFrame:
    """All candidates of one tail."""
    return files.read_table(path, COLUMNS, where=pc.field("tail_id") == tail).to_pandas()


def find_tail(lists: Sequence[pd.DataFrame], text: str) -> str:
    """The id of the tail with this id or name; raises InputError if no list is of such a tail."""
    for rows in lists:
        found = rows[(rows["tail_id"] == text) | (rows["tail_name"].str.casefold() == text.casefold())]
        if len(found):
            return str(found["tail_id"].iloc[0])
    raise InputError(f"no list of these runs is that of {text}; give the name or the id as in candidates.csv")


def config_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys whose values differ, with both values; a section is compared key by key."""
    values = dict(_flat(first)), dict(_flat(second))
    keys = dict.fromkeys(key for each in values for key in each)
    rows = [(key, *(each.get(key, ABSENT) for each in values)) for key in keys]
    return sorted(row for row in rows if row[1] != row[2])


def metric_rows(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics of both runs, from metrics.json: `scheme`, `metric`, and the `first` and `second` estimate.

    An estimate is value, low and high, or None. Whether a difference is one is not said: the runs may rank
    other test pairs.
    """
    metrics = LIST_METRICS | POOLED_METRICS
    schemes = [each.get("schemes", {}) for each in (first, second)]
    rows = []
    for scheme in dict.fromkeys(name for each in schemes for name in each):
        for key, label in metrics.items():
            estimates = [((each.get(scheme) or {}).get("hgt") or {}).get(key) for each in schemes]
            if any(estimates):
                rows.append(
                    {"scheme": scheme, "metric": label, "first": estimates[0], "second": estimates[1]}
                )
    return rows


def list_overlaps(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """For each tail of both runs the share of its TOP best new heads that both lists have, lowest first.

    first, second: candidates with tail_id, tail_name, head_id, known and rank_of_drug_for_disease.
    """
    tops = [_best_new(each) for each in (first, second)]
    common = tops[0].index.intersection(tops[1].index)
    shares = [
        len(tops[0][tail] & tops[1][tail]) / max(len(tops[0][tail]), len(tops[1][tail])) for tail in common
    ]
    names = first.drop_duplicates("tail_id").set_index("tail_id")["tail_name"]
    frame = pd.DataFrame({"tail_name": names.reindex(common), "overlap": shares}, index=common)
    return frame.sort_values("overlap", kind="stable")


def side_by_side(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The best new heads of one tail in either run, with the rank in each: head_id, head_name, first, second.

    first, second: all candidates of this tail. The rank is missing where a run does not list the pair. Sorted
    by the better of both ranks.
    """
    ranks = []
    for rows, name in ((first, "first"), (second, "second")):
        new = rows[rows["known"] == ""].set_index("head_id")
        columns = new[["head_name", "rank_of_drug_for_disease"]]
        ranks.append(columns.set_axis([f"name_in_{name}", name], axis=1))
    joined = ranks[0].join(ranks[1], how="outer")
    joined["head_name"] = joined["name_in_first"].fillna(joined["name_in_second"])
    best = joined[["first", "second"]].min(axis=1)
    kept = joined.loc[best.sort_values(kind="stable").index[:TOP], ["head_name", "first", "second"]]
    return kept.astype({"first": "Int64", "second": "Int64"}).reset_index(names="head_id")


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _best_new(rows: pd.DataFrame) -> pd.Series:
    """The set of the TOP best new heads of each tail."""
    new = rows[rows["known"] == ""].sort_values("rank_of_drug_for_disease", kind="stable")
    return new.groupby("tail_id").head(TOP).groupby("tail_id")["head_id"].agg(set)
