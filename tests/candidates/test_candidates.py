import csv
import dataclasses

import numpy as np
import planted
import pytest
from candidate_lists import annotator, ranked

from repurpose.candidates import by_head, candidates
from repurpose.core import files
from repurpose.pairs import pairs


@pytest.fixture(scope="module")
def kg():
    return planted.repurposing(30, 12)[0]


@pytest.fixture(scope="module")
def scores(kg):
    """Margins with many ties, (drugs, diseases)."""
    rng = np.random.default_rng(0)
    return rng.integers(-3, 4, (kg.count("drug"), kg.count("disease"))).astype(np.float32)


@pytest.mark.parametrize("per_tail", [0, 5])
def test_the_ranking_does_not_depend_on_the_chunks(kg, scores, per_tail):
    found = [ranked(kg, scores, per_tail=per_tail, chunk=chunk) for chunk in (7, 100, 10_000)]
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def test_at_most_a_chunk_of_pairs_is_scored_at_once(kg, scores):
    calls = []

    def score(tails):
        calls.append(len(tails))
        return np.stack([scores.T[tails]] * 2)

    ranked(kg, score, per_tail=1, chunk=100)
    assert calls == [3, 3, 3, 3]


def test_per_tail_0_keeps_every_pair_once(kg, scores):
    found = ranked(kg, scores, per_tail=0)
    assert found.schema == candidates.SCHEMA
    assert found.num_rows == scores.size
    assert (
        len(set(zip(found["head_id"].to_pylist(), found["tail_id"].to_pylist(), strict=True))) == scores.size
    )


def test_rows_are_sorted_by_tail_id_and_rank_and_ties_by_head_index(kg, scores):
    frame = ranked(kg, scores, per_tail=0, chunk=100).to_pandas()
    assert frame["tail_id"].tolist() == sorted(frame["tail_id"])
    for tail_id, part in frame.groupby("tail_id"):
        tail = int(tail_id.split(":")[1])
        expected = sorted(range(len(scores)), key=lambda head, tail=tail: (-scores[head, tail], head))
        assert part["head_id"].tolist() == [f"drug:{head}" for head in expected]
        assert part["rank_of_drug_for_disease"].tolist() == list(range(1, len(scores) + 1))
        below = [(len(scores) - rank) / len(scores) for rank in part["rank_of_drug_for_disease"]]
        assert part["quantile"].tolist() == below and below[0] == 29 / 30 and below[-1] == 0
        assert part["score"].tolist() == [scores[head, tail] for head in expected]


def test_the_best_heads_of_each_tail_are_kept(kg, scores):
    every, best = ranked(kg, scores, per_tail=0).to_pandas(), ranked(kg, scores, per_tail=4).to_pandas()
    expected = every[every["rank_of_drug_for_disease"] <= 4].reset_index(drop=True)
    assert best.equals(expected)
    assert len(ranked(kg, scores, per_tail=1000)) == scores.size


@pytest.mark.parametrize("count", [0, 1, 4, 29, 30, 31])
def test_the_best_columns_of_a_row_equal_those_of_a_stable_sort(scores, count):
    rows = np.concatenate([scores, np.full((1, scores.shape[1]), 2, np.float32)])
    expected = np.argsort(-rows, axis=1, kind="stable")
    assert np.array_equal(candidates.best(rows, count), expected[:, : count or None])


@pytest.mark.parametrize("levels", [0.5, 1e-3, 1e-39, 1e30])
def test_the_ranks_in_rows_are_the_places_in_a_stable_sort(levels):
    rows = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32)
    rows = (np.round(rows, 1) * np.float32(levels)).astype(np.float32)
    rows[0, ::3], rows[0, 1::3] = 0.0, -0.0
    rows[1, :4] = [np.inf, -np.inf, np.inf, -np.inf]
    order = np.argsort(-rows, axis=1, kind="stable")
    assert np.array_equal(np.argsort(candidates.ranks_in_rows(rows), axis=1), order)
    assert (np.sort(candidates.ranks_in_rows(rows), axis=1) == np.arange(1, 301)).all()


@pytest.mark.parametrize("chunk", [1, 70, 10_000])
@pytest.mark.parametrize("count", [1, 5, 11, 12, 40])
def test_the_best_tails_of_each_head_are_kept(kg, scores, count, chunk):
    of_heads = by_head.HeadCollector(len(scores), count)
    # The scores for lists of heads, which order a head's list, are others, and many are equal.
    head_scores = np.round(np.random.default_rng(1).normal(size=scores.shape), 1).astype(np.float32)
    both = np.stack([scores, head_scores]).swapaxes(1, 2)
    options = {"per_tail": 0, "collectors": [of_heads], "chunk": chunk}
    every = ranked(kg, lambda tails: both[:, tails], **options).to_pandas()
    every["head_score"] = [
        head_scores[int(head.split(":")[1]), int(tail.split(":")[1])]
        for head, tail in zip(every["head_id"], every["tail_id"], strict=True)
    ]
    found = of_heads.table(annotator(kg)).to_pandas()
    # Equal scores in the order of tail ids.
    expected = every.sort_values(["head_id", "head_score", "tail_id"], ascending=[True, False, True])
    expected["rank_of_disease_for_drug"] = (expected.groupby("head_id").cumcount() + 1).astype("int32")
    expected = expected[expected["rank_of_disease_for_drug"] <= count].reset_index(drop=True)
    assert found.equals(expected[found.columns])


@pytest.mark.parametrize("chunk", [31, 10_000])
def test_chosen_heads_and_tails_are_ranked_among_themselves(kg, scores, chunk):
    heads, tails = np.array([2, 7, 8, 20]), np.array([0, 3, 10, 11])
    of_heads = by_head.HeadCollector(len(scores), 3)
    options = {"heads": heads, "tails": tails, "collectors": [of_heads], "chunk": chunk}
    found = ranked(kg, scores, per_tail=3, **options).to_pandas()
    for tail_id, part in found.groupby("tail_id"):
        tail = int(tail_id.split(":")[1])
        expected = sorted(heads, key=lambda head, tail=tail: (-scores[head, tail], head))[:3]
        assert part["head_id"].tolist() == [f"drug:{head}" for head in expected]
        assert part["rank_of_drug_for_disease"].tolist() == [1, 2, 3] and part["quantile"].tolist() == [
            3 / 4,
            2 / 4,
            1 / 4,
        ]
    assert set(found["tail_id"]) == {f"disease:{tail}" for tail in tails}
    kept = of_heads.table(annotator(kg)).to_pandas()
    assert set(kept["head_id"]) == {f"drug:{head}" for head in heads}
    assert (kept.groupby("head_id").size() == 3).all()


def test_the_range_of_ranks_covers_all_members(kg, scores):
    rng = np.random.default_rng(0)
    members = [rng.normal(size=scores.shape).astype(np.float32) for _ in range(3)]
    frame = ranked(kg, np.stack([scores, *members]), per_tail=4, chunk=100).to_pandas()
    heads, tails = (frame[f"{side}_id"].str.split(":").str[1].astype(int) for side in ("head", "tail"))
    for head, tail, low, high in zip(heads, tails, frame["rank_low"], frame["rank_high"], strict=True):
        ranks = [1 + (member[:, tail] > member[head, tail]).sum() for member in members]
        assert (low, high) == (min(ranks), max(ranks))
    alone = ranked(kg, scores, per_tail=4).to_pandas()
    assert (alone["rank_low"] == alone["rank_of_drug_for_disease"]).all() and (
        alone["rank_high"] == alone["rank_of_drug_for_disease"]
    ).all()


def test_cautions_on_head_and_tail_are_joined(kg, scores):
    cautions = [np.full(kg.count(node_type), "", object) for node_type in ("drug", "disease")]
    cautions[0][3], cautions[1][2] = "no binds", "like no disease with a known treatment"
    frame = ranked(kg, scores, tuple(cautions), per_tail=0).to_pandas()
    said = dict(zip(zip(frame["head_id"], frame["tail_id"], strict=True), frame["caution"], strict=True))
    assert said["drug:3", "disease:2"] == "no binds; like no disease with a known treatment"
    assert said["drug:3", "disease:1"] == "no binds" and said["drug:1", "disease:1"] == ""
    assert said["drug:1", "disease:2"] == "like no disease with a known treatment"


def test_names_belong_to_their_ids(kg, scores):
    frame = ranked(kg, scores, per_tail=3).to_pandas()
    for kind in ("head", "tail"):
        node_type = {"head": "drug", "tail": "disease"}[kind]
        assert (
            frame[f"{kind}_name"] == node_type + " number " + frame[f"{kind}_id"].str.split(":").str[1]
        ).all()


def test_known_pairs_are_flagged_with_their_relations(kg, scores):
    frame = ranked(kg, scores, per_tail=0, chunk=60).to_pandas()
    known = pairs.known(kg, "drug", "disease")
    expected = {
        (f"drug:{head}", f"disease:{tail}"): name
        for head, tail, name in zip(known.heads, known.tails, known.names, strict=True)
    }
    flagged = frame[frame["known"] != ""]
    assert (
        dict(zip(zip(flagged["head_id"], flagged["tail_id"], strict=True), flagged["known"], strict=True))
        == expected
    )
    assert set(flagged["known"]) == {"indication", "contraindication", "palliates"}


def test_without_known_pairs_nothing_is_flagged(scores):
    kg = planted.graph({"drug": 30, "disease": 12}, [])
    assert set(ranked(kg, scores, per_tail=2)["known"].to_pylist()) == {""}


def test_probabilities_are_the_calibrated_scores(kg, scores):
    frame = ranked(kg, scores, per_tail=0).to_pandas()
    assert np.allclose(frame["probability"], 1 / (1 + np.exp(2 - 0.5 * frame["score"])))


def test_csv_and_parquet_hold_the_same_rows_whatever_the_names(kg, scores, tmp_path):
    names = kg.node_names["drug"].copy()
    names[:5] = ['a "quoted" name', "commas, many", "two\nlines", "1 = 1", "ünïcode \u03b1-tocopherol"]
    awkward = dataclasses.replace(kg, node_names={**kg.node_names, "drug": names})
    tables = iter([ranked(awkward, scores, per_tail=0, chunk=100)])
    assert candidates.save(tables, tmp_path / "c.parquet", tmp_path / "c.csv") == scores.size
    rows = files.read_table(tmp_path / "c.parquet").to_pylist()
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        texts = list(csv.DictReader(file))
    assert set(names[:5]) <= {row["head_name"] for row in texts}
    for row, text in zip(rows, texts, strict=True):
        assert [row[key] for key in ("head_id", "head_name", "tail_id", "tail_name", "known")] == [
            text[key] for key in ("head_id", "head_name", "tail_id", "tail_name", "known")
        ]
        assert (row["rank_of_drug_for_disease"], row["score"]) == (
            int(text["rank_of_drug_for_disease"]),
            float(text["score"]),
        )


@pytest.mark.parametrize("name", ["=1+1", "+1", "-beta-estradiol", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(kg, scores, tmp_path, name):
    ids, names = (columns["drug"].copy() for columns in (kg.node_ids, kg.node_names))
    ids[3] = names[3] = name
    awkward = dataclasses.replace(
        kg, node_names={**kg.node_names, "drug": names}, node_ids={**kg.node_ids, "drug": ids}
    )
    tables = [ranked(awkward, scores, per_tail=0)]
    candidates.save(iter(tables), tmp_path / "c.parquet", tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for column in ("head_id", "head_name"):
        texts = {row[column] for row in rows}
        assert f"'{name}" in texts and name not in texts
        # Only the csv has the apostrophe, and negative scores none.
        assert name in files.read_table(tmp_path / "c.parquet")[column].to_pylist()
    assert min(float(row["score"]) for row in rows) < 0


@pytest.mark.parametrize("complete", [None, lambda table: table], ids=["at once", "when ranks are collected"])
def test_a_ranking_that_fails_leaves_the_old_files(kg, scores, tmp_path, complete):
    paths = tmp_path / "c.parquet", tmp_path / "c.csv"
    for path in paths:
        path.write_text("old")

    def breaking():
        yield ranked(kg, scores, per_tail=1)
        raise RuntimeError("out of power")

    with pytest.raises(RuntimeError, match="out of power"):
        candidates.save(breaking(), *paths, complete=complete)
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert len(list(tmp_path.iterdir())) == 2


def saved(kg, scores, folder, penalties=None, heads=None, tails=None, **options):
    """The rows of candidates.parquet and of by_head.parquet, as rank_candidates writes them."""
    chosen, described = {"heads": heads, "tails": tails}, annotator(kg, penalties=penalties)
    of_heads = by_head.HeadCollector(len(kg.node_ids["drug"]), 100, penalties)
    ranks = by_head.HeadRanks(described, **chosen)
    tables = candidates.rank(scores, described, collectors=[of_heads, ranks], **options, **chosen)
    paths = folder / "c.parquet", folder / "c.csv"
    candidates.save(tables, *paths, {"key": "value"}, ranks.complete)
    assert sorted(folder.iterdir()) == sorted(paths)
    return files.read_table(paths[0]), of_heads.table(described)


@pytest.mark.parametrize("chunk", [31, 10_000])
@pytest.mark.parametrize("is_restricted", [False, True])
def test_both_ranks_of_a_pair_are_the_places_in_the_two_lists(kg, scores, tmp_path, chunk, is_restricted):
    chosen = {"heads": np.array([2, 7, 8, 20]), "tails": np.array([0, 3, 10, 11])} if is_restricted else {}
    # The scores for lists of heads are others; many are equal. Penalties count in lists of tails only.
    head_scores = np.round(np.random.default_rng(1).normal(size=scores.shape), 1).astype(np.float32)
    penalties = np.random.default_rng(2).random(len(scores)).astype(np.float32)
    both = np.stack([scores, head_scores]).swapaxes(1, 2)
    rows, of_heads = saved(
        kg, lambda tails: both[:, tails], tmp_path, penalties, per_tail=0, chunk=chunk, **chosen
    )
    heads, tails = (
        chosen.get(side, np.arange(n)) for side, n in zip(("heads", "tails"), scores.shape, strict=True)
    )
    # Equal scores: heads in the order of indices, tails in that of ids.
    tails = sorted(tails, key=lambda tail: kg.node_ids["disease"][tail])
    expected = {}
    for head in heads:
        for tail in tails:
            in_tail = sorted(heads, key=lambda h, t=tail: (-(scores[h, t] - penalties[h]), h)).index(head) + 1
            in_head = sorted(tails, key=lambda t, h=head: -head_scores[h, t]).index(tail) + 1
            expected[f"drug:{head}", f"disease:{tail}"] = (
                in_tail,
                (len(heads) - in_tail) / len(heads),
                in_head,
            )
    for table in (rows, of_heads):
        found = {
            (row["head_id"], row["tail_id"]): (
                row["rank_of_drug_for_disease"],
                row["quantile"],
                row["rank_of_disease_for_drug"],
            )
            for row in table.to_pylist()
        }
        assert found == expected
    assert rows.schema.metadata[b"key"] == b'"value"'


def test_the_best_of_each_disease_keep_their_ranks_among_all_diseases(kg, scores, tmp_path):
    score = lambda tails: np.stack([scores.T[tails]] * 2)  # noqa: E731
    every, best = (saved(kg, score, tmp_path, per_tail=n, chunk=100)[0].to_pandas() for n in (0, 4))
    assert best.equals(every[every["rank_of_drug_for_disease"] <= 4].reset_index(drop=True))
    assert best["rank_of_disease_for_drug"].max() > 4
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        texts = [int(row["rank_of_disease_for_drug"]) for row in csv.DictReader(file)]
    assert texts == best["rank_of_disease_for_drug"].tolist()


def test_contraindicated_pairs_and_those_of_other_relations_are_flagged(kg, scores):
    counts = {"drug": 3, "disease": 2}
    relations = [
        ("drug", "indication", "disease", "target", [(0, 0), (1, 0)]),
        ("drug", "contraindication", "disease", "target", [(1, 0), (2, 0)]),
        ("disease", "off-label; rare", "drug", "excluded", [(1, 0), (0, 2)]),
    ]
    small = planted.graph(counts, relations)
    rows = ranked(small, np.zeros((3, 2), np.float32), per_tail=0).to_pylist()
    flags = {
        (row["head_id"], row["tail_id"]): (row["known"], row["contraindicated"], row["other_relation"])
        for row in rows
    }
    assert flags == {
        ("drug:0", "disease:0"): ("indication", False, False),
        ("drug:1", "disease:0"): ("contraindication; indication", True, False),
        ("drug:2", "disease:0"): ("contraindication; off-label; rare", True, True),
        ("drug:0", "disease:1"): ("off-label; rare", False, True),
        ("drug:1", "disease:1"): ("", False, False),
        ("drug:2", "disease:1"): ("", False, False),
    }
