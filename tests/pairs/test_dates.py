"""The scheme date: the treatments known last are held out, by a column of the edges or by a table."""

import json
from dataclasses import replace

import numpy as np
import planted
import pyarrow.csv
import pytest
from edge_rows import COLUMNS, SETTINGS, table
from pair_models import SETTINGS as CLASSIFIER

import build_graph
import split_pairs
from repurpose.classifier import classifier, examples
from repurpose.config.sections import GraphSettings, SplitSettings, Target
from repurpose.core.errors import InputError
from repurpose.graph import graph, sources
from repurpose.graph.graph import GraphFiles
from repurpose.ingest.identifiers import Identifiers
from repurpose.pairs import certificate, dates, pairs

KG, ROWS = planted.repurposing(90, 70)
TARGET = planted.TARGET


def dated(share=0.8, seed=0):
    """The labelled pairs of the graph, most of them with a year."""
    frame = pairs.label(KG, TARGET)
    rng = np.random.default_rng(seed)
    years = rng.integers(2000, 2020, len(frame)).astype(str)
    frame[pairs.DATES] = np.where(rng.random(len(frame)) < share, years, "").astype(object)
    return frame


def split(frame, test_from="", schemes=("random", "date"), valid=0.1, test=0.2):
    return pairs.split(frame, schemes, valid, test, 0, test_from)


def test_no_treatment_of_the_test_is_earlier_than_one_of_another_split_and_shares_are_near():
    frame = split(dated())
    positive = frame[frame["label"] == 1]
    of = {name: positive[pairs.DATES][positive["date"] == name] for name in pairs.SPLITS}
    assert max(of["train"]) < min(of["valid"]) <= max(of["valid"]) < min(of["test"])
    assert set(positive["date"][positive[pairs.DATES] == ""]) == {"train"}
    with_date = (positive[pairs.DATES] != "").sum()
    # 20 years: the nearest year is at most half a year's share away.
    assert abs(len(of["test"]) / with_date - 0.2) < 0.06 and abs(len(of["valid"]) / with_date - 0.1) < 0.06
    negative = frame[(frame["label"] == 0) & (frame[pairs.DATES] == "")]
    assert set(negative["date"]) == set(pairs.SPLITS)


def test_the_test_can_begin_at_a_date_of_the_users():
    frame = split(dated(), "2018")
    positive = frame[(frame["label"] == 1) & (frame[pairs.DATES] != "")]
    assert ((positive[pairs.DATES] >= "2018") == (positive["date"] == "test")).all()
    with pytest.raises(
        InputError, match=r"split.test_from is 2031, but the dates .* run from 2000 to 2019; choose"
    ):
        split(dated(), "2031")


def test_dates_that_leave_nothing_to_split_are_one_sentence():
    frame = dated()
    with pytest.raises(InputError, match="needs treatments of at least 3 dates, and they have 1"):
        split(frame.assign(first_date="2020"))
    with pytest.raises(InputError, match=r"the scheme date has too few positive pairs in a split"):
        late = frame.assign(first_date="2001")
        late.loc[late.index[late["label"] == 1][:2], pairs.DATES] = ["2002", "2003"]
        split(late)


def test_the_certificate_says_when_the_test_begins_and_finds_a_pair_that_is_too_late():
    frame = split(dated())
    found = certificate.certify(KG, frame, TARGET)
    first = frame[pairs.DATES][(frame["label"] == 1) & (frame["date"] == "test")].min()
    assert any(f"first known from {first} on are the test" in text for text in found["cautions"])
    late = frame.index[(frame["date"] == "test") & (frame[pairs.DATES] != "")][0]
    frame.loc[late, "date"] = "train"
    with pytest.raises(
        RuntimeError, match=r"date: no pair outside the test is as late as one of the test \(1 viol"
    ):
        certificate.certify(KG, frame, TARGET)


def test_a_model_trains_on_the_earlier_pairs_and_is_tested_on_the_later_ones(tmp_path):
    frame = split(dated())
    settings = replace(CLASSIFIER, draws=1, trees=30, depth=3)
    known = pairs.known(KG, "drug", "disease")
    train, _ = examples.split_examples(frame, "date", known, 90, 70, settings, 0)
    earlier = {
        tuple(pair) for pair in frame[frame["date"] == "train"][["head_index", "tail_index"]].to_numpy()
    }
    positives = train.labels == 1
    assert {*zip(train.heads[positives].tolist(), train.tails[positives].tolist(), strict=True)} <= earlier
    vectors = classifier.Vectors(ROWS["drug"], ROWS["disease"], product=True)
    metrics = classifier.evaluate_all(classifier.Task(vectors, frame, known, settings, 0, 1))["date"].metrics
    assert metrics["positives"] == ((frame["date"] == "test") & (frame["label"] == 1)).sum()
    assert metrics["auprc"]["value"] > 2 * metrics["prevalence"]
    pairs.save(frame, tmp_path / "pairs.parquet")
    assert pairs.load(tmp_path / "pairs.parquet")[list(frame)].equals(frame)


def rows_of(kg):
    """The pairs of the graph as text, each with a year that its position gives."""
    labelled = pairs.label(kg, TARGET)
    heads, tails = kg.node_ids["drug"][labelled["head_index"]], kg.node_ids["disease"][labelled["tail_index"]]
    return [
        (head, tail, str(1990 + place % 30))
        for place, (head, tail) in enumerate(zip(heads, tails, strict=True))
    ]


def test_a_table_gives_dates_and_of_several_the_first_counts(tmp_path):
    lines = [",".join(row) for row in rows_of(KG)]
    lines += [f"{lines[0].rsplit(',', 1)[0]},1950-12", "DB1,MONDO:1,2000", f"X,{lines[1].split(',')[1]},1940"]
    (tmp_path / "dates.csv").write_text("\n".join(["head_id,tail_id,date", *lines, ""]))
    first = lines[1].split(",")[0]
    same = Identifiers("same.csv", {"": {"X": first}})
    labelled = pairs.label(KG, TARGET)
    found = dates.of_pairs(labelled, dates.from_table(tmp_path / "dates.csv", KG, TARGET.types, same))
    assert found[0] == "1950-12" and found[1] == "1940" and found[2] == "1992" and (found != "").all()
    (tmp_path / "dates.csv").write_text(f"head_id,tail_id,date\n{lines[0].rsplit(',', 1)[0]},30.4.2019\n")
    with pytest.raises(
        InputError, match=r"dates.csv \(split.dates\) has the date '30.4.2019'; write dates as 2019"
    ):
        dates.from_table(tmp_path / "dates.csv", KG, TARGET.types)
    (tmp_path / "dates.csv").write_text("head_id,tail_id,date\nDB1,MONDO:1,2000\n")
    with pytest.raises(InputError, match="no treatment has one: name a column of dates"):
        dates.of_pairs(labelled, dates.from_table(tmp_path / "dates.csv", KG, TARGET.types))


def test_a_column_of_the_edges_gives_dates_from_the_table_to_the_split(tmp_path):
    treatments = [
        ("indication", "drug", f"d{drug}", "disease", f"s{disease}")
        for drug in range(12)
        for disease in range(drug % 2, 12, 2)
    ]
    genes = [("binds", "drug", f"d{drug}", "gene", f"g{drug % 3}") for drug in range(12)]
    years = [str(1990 + place % 30) for place in range(len(treatments))]
    edges = table(
        [*treatments, *genes, treatments[0], (*treatments[1][:1], *treatments[1][3:], *treatments[1][1:3])]
    )
    whole = edges.append_column("year", [[*years, *[""] * len(genes), "1901", "1902"]])
    pyarrow.csv.write_csv(whole, tmp_path / "kg.csv")
    out = GraphFiles.in_folder(tmp_path)
    target = Target(head_type="drug", tail_type="disease", positive=["indication"], negative=[])
    build_graph.main(
        edges=str(tmp_path / "kg.csv"),
        nodes="",
        graph_out=out,
        ledger_out=tmp_path / "ledger.json",
        sources_out=tmp_path / "sources.parquet",
        settings=GraphSettings(**{**SETTINGS, "columns": {**COLUMNS, "date": "year"}}),
        target=target,
    )
    assert sources.load(tmp_path / "sources.parquet") is None  # no edge says where it comes from
    split_pairs.main(
        graph_files=out,
        pairs_out=tmp_path / "pairs.parquet",
        certificate_out=tmp_path / "certificate.json",
        target=target,
        split=SplitSettings(["random", "date"], "", "", "2015", 0.1, 0.2),
        seed=0,
        sources_in=tmp_path / "sources.parquet",
    )
    frame, kg = pairs.load(tmp_path / "pairs.parquet"), graph.load(out)
    first = {(row[2], row[4]): year for row, year in zip(treatments, years, strict=True)}
    first |= {("d0", "s0"): "1901", ("d0", "s2"): "1902"}
    ids = zip(
        kg.node_ids["drug"][frame["head_index"]], kg.node_ids["disease"][frame["tail_index"]], strict=True
    )
    assert frame[pairs.DATES].tolist() == [first[pair] for pair in ids]
    assert ((frame[pairs.DATES] >= "2015") == (frame["date"] == "test")).all()
    assert "date" in json.loads((tmp_path / "certificate.json").read_text())["splits"]
