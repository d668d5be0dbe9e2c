"""Two finished runs side by side."""

import pandas as pd
from report_examples import interval

from repurpose.report import comparison


def listed(**heads_of_tails):
    """Candidates: tail -> heads by rank; a head in capitals is known."""
    rows = [
        {
            "tail_id": tail,
            "tail_name": f"name of {tail}",
            "head_id": head.lower(),
            "head_name": f"name of {head.lower()}",
            "known": "treats" if head.isupper() else "",
            "rank_of_drug_for_disease": rank,
        }
        for tail, heads in heads_of_tails.items()
        for rank, head in enumerate(heads, 1)
    ]
    return pd.DataFrame(rows)


def test_configs_are_compared_key_by_key():
    first = {"seed": 7, "hgt": {"layers": 2, "heads": 4}, "devices": ["cpu"], "old": 1}
    second = {"seed": 7, "hgt": {"layers": 3, "heads": 4}, "devices": ["cpu", "mps"]}
    assert comparison.config_differences(first, second) == [
        ("devices", ["cpu"], ["cpu", "mps"]),
        ("hgt.layers", 2, 3),
        ("old", 1, "(not set)"),
    ]
    assert comparison.config_differences(first, first) == []


def test_metrics_of_both_runs_are_in_one_row_per_split_and_metric():
    one, other = ({"schemes": {"disease": {"hgt": {"ap": interval(value)}}}} for value in (0.2, 0.3))
    other["schemes"]["drug"] = {"hgt": {"auroc": interval(0.9)}}
    assert comparison.metric_rows(one, other) == [
        {"scheme": "disease", "metric": "AP", "first": interval(0.2), "second": interval(0.3)},
        {"scheme": "drug", "metric": "AUROC", "first": None, "second": interval(0.9)},
    ]


def test_lists_are_compared_by_their_best_new_heads():
    first = listed(t1=["a", "K", "b"], t2=["a", "b"], t3=["c"])
    second = listed(t1=["b", "c", "K"], t2=["b", "a"], t4=["c"])
    overlaps = comparison.list_overlaps(first, second)
    assert overlaps["overlap"].to_dict() == {"t1": 0.5, "t2": 1.0}
    assert overlaps["tail_name"].tolist() == ["name of t1", "name of t2"]


def test_only_the_ten_best_of_a_list_count():
    letters = [f"d{number:02}" for number in range(20)]
    overlaps = comparison.list_overlaps(listed(t=letters), listed(t=[*letters[:9], *letters[15:]]))
    assert overlaps["overlap"].tolist() == [0.9]


def test_two_lists_stand_side_by_side_with_missing_ranks():
    rows = comparison.side_by_side(listed(t=["a", "K", "b"]), listed(t=["c", "b"]))
    assert rows["head_id"].tolist() == ["a", "c", "b"]
    ranks = [[None if value is pd.NA else value for value in rows[side]] for side in ("first", "second")]
    assert ranks == [[1, None, 3], [None, 1, 2]]
    assert rows["head_name"].tolist() == ["name of a", "name of c", "name of b"]
