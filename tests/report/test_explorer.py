"""The page's explorer holds the lists, nodes and dossiers of a ranking."""

import numpy as np
import page_examples
import planted
import pyarrow as pa
import pytest

from repurpose.core import files
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.report import explorer

TOP = 4


@pytest.fixture(scope="module", name="folder")
def files_of_a_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    page_examples.write(folder, top=TOP)
    return folder


@pytest.fixture(scope="module", name="packs")
def unpacked_packs(folder):
    nodes = explorer.Nodes(*graph.load_nodes(folder / "graph" / "nodes.parquet"))
    treated = files.read_table(folder / "pairs.parquet").filter(explorer.IS_TREATMENT)
    sides = tuple(
        explorer.side(nodes, name, treated[f"{end}_index"].to_numpy())
        for name, end in (("drug", "head"), ("disease", "tail"))
    )
    own = folder / "candidates" / "cpu"
    names = ("candidates", "by_head", "listed", "evidence")
    candidates, by_head, listed, evidence = (own / f"{name}.parquet" for name in names)
    ranking = explorer.Ranking("cpu", candidates, [], "cpu", by_head, listed, evidence)
    relations = [r.relation for r in graph.load_relations(folder / "graph" / "relations.json")]
    texts = explorer.packs(ranking, nodes, relations, sides, TOP, None)
    drawn = explorer.packed_map(files.read_table(own / "map.parquet"), nodes, sides)
    return {name: page_examples.unpacked(text) for name, text in {**texts, "map": drawn}.items()}


def rows_of(lists, owner):
    """The columns of one owner's list."""
    part = slice(lists["start"][owner], lists["start"][owner + 1])
    return {name: values[part] for name, values in lists.items() if name != "start"}


@pytest.mark.parametrize(
    ("key", "owner", "partner", "file", "rank"),
    [
        ("of_tails", "tails", "heads", "candidates", "rank_of_drug_for_disease"),
        ("of_heads", "heads", "tails", "by_head", "rank_of_disease_for_drug"),
    ],
)
def test_a_list_has_its_best_new_pairs_and_the_known_ones_above_them(
    folder, packs, key, owner, partner, file, rank
):
    lists = packs["lists"]
    table = files.read_table(folder / "candidates" / "cpu" / f"{file}.parquet").to_pandas()
    end, other = ("tail", "head") if owner == "tails" else ("head", "tail")
    some_known = 0
    for index, node in enumerate(lists[owner]["ids"]):
        found = rows_of(lists[key], index)
        rows = table[table[f"{end}_id"] == node].sort_values(rank)
        new = rows[rows["known"] == ""].head(TOP)
        last = new[rank].max() if len(new) == TOP else np.inf
        known = rows[(rows["known"] != "") & (rows[rank] < last)].head(TOP)
        expected = pa.concat_tables([pa.Table.from_pandas(part) for part in (new, known)]).to_pandas()
        expected = expected.sort_values(rank)
        some_known += len(known)
        assert [lists[partner]["ids"][at] for at in found["partner"]] == expected[f"{other}_id"].tolist()
        assert found["rank"] == expected[rank].tolist()
        shown = np.exp(-np.array(found["probability"]) / explorer.SCALE)
        np.testing.assert_allclose(shown, expected["probability"], rtol=2e-4)
        assert [lists["texts"][at] for at in found["known"]] == expected["known"].tolist()
        assert [lists["texts"][at] for at in found["caution"]] == expected["caution"].tolist()
        flags = [bool(flag & 1) for flag in found["flags"]]
        assert flags == expected["contraindicated"].tolist()
        if end == "tail":
            assert found["low"] == expected["rank_low"].tolist()
            assert found["other_rank"] == expected["rank_of_disease_for_drug"].tolist()
    assert some_known > 20


def test_pooled_candidates_have_no_rank_in_the_lists_of_heads(folder, packs):
    table = files.read_table(folder / "candidates" / "cpu" / "candidates.parquet")
    place = table.schema.get_field_index("rank_of_disease_for_drug")
    pooled = table.set_column(place, table.schema.field(place), pa.nulls(table.num_rows, pa.int32()))
    ids = [np.array(packs["lists"][key]["ids"]) for key in ("heads", "tails")]
    sides = [explorer.Side(name, each, np.zeros(len(each))) for name, each in zip("dt", ids, strict=True)]
    found = explorer.lists_of_tails(pooled, *sides, TOP, explorer.Texts())
    assert not found["other_rank"].any() and len(found["rank"]) == len(packs["lists"]["of_tails"]["rank"])


def test_probabilities_keep_three_digits_and_extremes_stay_in_range():
    probabilities = np.array([1.0, 0.5, 1e-3, 1e-7, 0.0])
    steps = explorer._steps(probabilities)
    shown = np.exp(-steps.astype(float) / explorer.SCALE)
    np.testing.assert_allclose(shown[:4], probabilities[:4], rtol=2e-4)
    assert steps.dtype == np.uint16 and steps[4] == 65535


def test_ranges_of_ranks_take_in_other_devices(folder):
    table = files.read_table(folder / "candidates" / "cpu" / "candidates.parquet")
    pairs = table.select(["head_id", "tail_id", "rank_of_drug_for_disease"])
    assert explorer.with_other_runs(table, []) is table
    kept = pairs.filter(explorer.pc.field("rank_of_drug_for_disease") <= 3)
    others = [pairs.to_batches(max_chunksize=7), kept.to_batches(max_chunksize=7)]
    assert len(others[0]) > 3
    ranged = explorer.with_other_runs(table, others).to_pandas()
    first, last = ranged["rank_of_drug_for_disease"] <= 3, ranged["rank_of_drug_for_disease"] > 3
    assert (ranged["listed_by"][first] == 3).all() and (ranged["listed_by"][last] == 2).all()
    # A pair that a device does not list stands behind those that it lists.
    assert (ranged["rank_low"][last] <= 4).all()
    before = table.to_pandas()
    assert (ranged["rank_low"][first] == before["rank_low"][first]).all()
    assert (ranged["rank_high"] >= before["rank_high"]).all()


def dossier_of(packs, head, tail):
    """Paths (change, texts of relations, numbers of inner nodes) and reasons of a pair's dossier."""
    data = packs["dossiers"]
    number = list(zip(data["head"], data["tail"], strict=True)).index((head, tail))
    first = sum(data["paths"][:number])
    paths = []
    for path in range(first, first + data["paths"][number]):
        edge = sum(data["edges"][:path])
        edges = slice(edge, edge + data["edges"][path])
        inner = data["inner"][edge - path : edges.stop - path - 1]
        relations = [data["texts"][at] for at in data["relation"][edges]]
        paths.append((data["change"][path], relations, inner, data["arrow"][edges]))
    return paths


def test_a_dossier_has_the_paths_of_its_pair(folder, packs):
    evidence = files.read_table(folder / "candidates" / "cpu" / "evidence.parquet").to_pylist()
    listed = files.read_table(folder / "candidates" / "cpu" / "listed.parquet").to_pylist()
    lists, nodes = packs["lists"], [name for kind in packs["nodes"]["types"] for name in kind.get("ids", [])]
    explained = set()
    for row in evidence:
        head, tail = (
            lists[key]["ids"].index(row[f"{end}_id"]) for key, end in (("heads", "head"), ("tails", "tail"))
        )
        explained.add((head, tail))
        found = dossier_of(packs, head, tail)
        assert [relations for _, relations, _, _ in found] == [path["relations"] for path in row["paths"]]
        assert [arrows for *_, arrows in found] == [
            [at % 3 for at in path["arrows"]] for path in row["paths"]
        ]
        assert all(np.isnan(change) for change, *_ in found)
    others = [row for row in listed if (row["head_index"], row["tail_index"]) not in explained]
    assert len(others) > 50 and nodes
    for row in others:
        found = dossier_of(packs, row["head_index"], row["tail_index"])
        assert [inner for *_, inner, _ in found] == [path["nodes"][1:-1] for path in row["paths"]]


def test_nodes_of_heads_and_tails_are_kept_once(packs):
    kinds = {kind["type"]: kind for kind in packs["nodes"]["types"]}
    assert list(kinds) == ["disease", "drug", "gene"]
    assert kinds["disease"]["of"] == "tails" and kinds["drug"]["of"] == "heads"
    assert len(kinds["gene"]["ids"]) == 80 and kinds["gene"]["names"][0].endswith("gene")


def test_the_map_has_all_nodes_and_the_nearest_of_heads_and_tails(packs):
    drawn = packs["map"]
    assert len(drawn["x"]) == len(drawn["y"]) == sum(drawn["is_placed"]) == 190
    assert min(drawn["x"]) == 0 and max(drawn["x"]) == explorer.COORDINATES
    assert [(part["type"], part["count"], len(part["node"])) for part in drawn["nearest"]] == [
        (1, 3, 180),
        (0, 3, 150),
    ]


def test_a_node_without_a_vector_is_not_on_the_map(folder):
    nodes = explorer.Nodes(*graph.load_nodes(folder / "graph" / "nodes.parquet"))
    sides = tuple(explorer.side(nodes, name, np.zeros(0, int)) for name in ("drug", "disease"))
    drawn = files.read_table(folder / "candidates" / "cpu" / "map.parquet")
    first = drawn.slice(0, 1).set_column(2, "x", pa.nulls(1, pa.float32()))
    found = page_examples.unpacked(
        explorer.packed_map(pa.concat_tables([first, drawn.slice(1, 60)]), nodes, sides)
    )
    assert found["is_placed"][0] == 0 and sum(found["is_placed"]) == 60


def test_bins_of_the_calibration_are_apart_for_treated_tails():
    found = explorer.reliability(page_examples.CALIBRATION)
    assert [row["observed"] for row in found["untreated"]] == [0.002, 0.03]
    assert [row["observed"] for row in found["treated"]] == [0.4]
    assert explorer.reliability(None) == {"untreated": [], "treated": []}


def test_graph_files_of_the_example_are_those_of_a_graph(folder):
    assert graph.load(GraphFiles.in_folder(folder / "graph")).count(planted.TARGET.head_type) == 60
