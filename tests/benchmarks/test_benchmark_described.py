"""The benchmark of described diseases hides them from its runs, and measures both ways on the same truth."""

import json
from types import SimpleNamespace

import described as program
import numpy as np
import planted
import pyarrow as pa
import pytest

import build_graph
from repurpose.config.sections import GraphSettings
from repurpose.core import files
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import pairs

KG, _ = planted.repurposing(40, 20)


def built(path, table):
    files.write_table(path, table)
    settings = GraphSettings(max_dropped_share=1.0)
    return build_graph.read(str(path), "", settings, planted.TARGET)[0]


def ends(kg, relation):
    """The edges of a relation as pairs of ids."""
    index = next(i for i, kind in enumerate(kg.relations) if kind.relation == relation)
    kind = kg.relations[index]
    heads, tails = (
        kg.node_ids[node_type][nodes].tolist()
        for node_type, nodes in ((kind.head_type, kg.heads[index]), (kind.tail_type, kg.tails[index]))
    )
    return set(zip(heads, tails, strict=True))


def test_drawn_diseases_have_treatments_and_genes():
    drawn = program.draw(KG, planted.TARGET, 6, 7)
    _, treated = pairs.treated(pairs.label(KG, planted.TARGET))
    assert len(drawn) == 6 == len(set(drawn.tolist())) and set(drawn.tolist()) <= set(treated.tolist())
    assert np.array_equal(drawn, program.draw(KG, planted.TARGET, 6, 7))
    assert not np.array_equal(drawn, program.draw(KG, planted.TARGET, 6, 8))


def test_one_table_lacks_the_treatments_and_the_other_the_diseases(tmp_path):
    drawn = program.draw(KG, planted.TARGET, 6, 7)
    hidden = {f"disease:{tail}" for tail in drawn.tolist()}
    inside = built(tmp_path / "i.parquet", program.without_treatments(KG, planted.TARGET, drawn))
    outside = built(tmp_path / "o.parquet", program.without_nodes(KG, planted.TARGET, drawn))
    for kind in KG.relations:
        whole, within, without = (ends(kg, kind.relation) for kg in (KG, inside, outside))
        of_hidden = {edge for edge in whole if hidden & set(edge)}
        assert without == whole - of_hidden
        assert within == (whole - of_hidden if kind.role != "message" else whole)
    assert hidden <= set(inside.node_ids["disease"]) and not hidden & set(outside.node_ids["disease"])


def test_the_table_has_means_and_paired_differences_from_the_same_diseases_in_the_graph():
    rows = [
        {"disease": str(place), "way": way, **dict.fromkeys(program.MEASURES, place / 10 + more)}
        for place in range(8)
        for way, more in ((program.IN_GRAPH, 0.1), ("genes", 0.05))
    ]
    table = program.table_of(rows, 0)
    assert table["genes"]["auroc"]["value"] == pytest.approx(0.4)
    assert table["genes"]["difference"]["auroc"] == pytest.approx(
        {"value": -0.05, "low": -0.05, "high": -0.05}
    )
    assert table["genes"]["auroc"]["low"] < 0.4 < table["genes"]["auroc"]["high"]
    assert len(list(program.lines(table))) == 4


class StandIn:
    """A run that ranks the drugs of a disease by their index, or in reverse if it was described."""

    def __init__(self, kg, is_described=False):
        self.kg, self.is_described = kg, is_described

    def with_tail(self, described):
        return StandIn(graph.with_node(self.kg, "disease", "new", described.name, described.links), True)


def test_the_program_prints_a_row_for_each_way(tmp_path, monkeypatch, capsys):
    graph.save(KG, GraphFiles.in_folder(tmp_path / "results" / "graph"))
    target = {"target": dict(vars(planted.TARGET))}
    files.write_json(tmp_path / "results" / "pairs" / "certificate.json", target)
    seen = []

    def finished(folder, table, configs, cores):
        seen.append((folder.name, table.num_rows))
        return StandIn(built(tmp_path / f"{folder.name}.parquet", table))

    monkeypatch.setattr(program, "finished", finished)
    found = {name: 0.5 for name in program.MEASURES}
    monkeypatch.setattr(program, "values", lambda run, tail, true_ids: found if true_ids else None)
    arguments = ["--results", tmp_path / "results", "--work", tmp_path, "--rows", tmp_path / "rows.jsonl"]
    monkeypatch.setattr("sys.argv", ["described.py", *map(str, arguments), "--diseases", "5", "--json"])
    program.main()
    assert set(json.loads(capsys.readouterr().out)) == {
        program.IN_GRAPH,
        "genes",
        "genes and symptoms",
        "all links",
    }
    assert [name for name, _ in seen] == ["inside", "outside"] and seen[0][1] > seen[1][1]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 20 and all(row["command"].startswith("python described.py") for row in rows)


def test_a_list_is_measured_by_the_ranks_of_the_true_drugs(monkeypatch):
    ranked = pa.table(
        {
            "head_id": [f"d{n}" for n in range(100)],
            "rank_of_drug_for_disease": pa.array(range(1, 101), pa.int32()),
        }
    )
    monkeypatch.setattr(program.candidates, "rank", lambda *_, **__: iter([ranked]))
    run = SimpleNamespace(device=SimpleNamespace(score=None), annotator=None)
    assert program.values(run, 0, {"d1", "d59", "elsewhere"}) == pytest.approx(
        {
            "average_precision": (1 / 2 + 2 / 60) / 2,
            "reciprocal_rank": 0.5,
            "recall_50": 0.5,
            "auroc": 1 - (1 + 58) / (2 * 98),
        }
    )
