"""The best candidates of every tail have paths and reasons, without counterfactual scores."""

import numpy as np
import page_examples
import pytest

from repurpose.candidates import evidence, listed
from repurpose.core import files
from repurpose.graph import paths
from repurpose.pairs import pairs


@pytest.fixture(scope="module", name="written")
def listed_of_a_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    page_examples.write(folder)
    return folder / "candidates" / "cpu"


def test_each_tail_has_its_best_new_pairs_and_the_known_ones_above_them(written):
    kg, _ = page_examples.example_graph()
    table = files.read_table(written / "candidates.parquet").to_pandas()
    found = files.read_table(written / "listed.parquet").to_pandas()
    for tail, node in enumerate(kg.node_ids["disease"]):
        rows = table[table["tail_id"] == node].sort_values("rank_of_drug_for_disease")
        new = rows[rows["known"] == ""].head(2)
        last = new["rank_of_drug_for_disease"].max()
        known = rows[(rows["known"] != "") & (rows["rank_of_drug_for_disease"] < last)].head(2)
        heads = found[found["tail_index"] == tail]["head_index"]
        assert set(kg.node_ids["drug"][heads]) == {*new["head_id"], *known["head_id"]}


def test_their_paths_are_those_of_an_explanation(written):
    kg, vectors = page_examples.example_graph()
    treated = pairs.treated(pairs.label(kg, page_examples.planted.TARGET))
    ends = vectors["drug"], vectors["disease"]
    explainer = evidence.Explainer(kg, page_examples.planted.TARGET, ends, treated, paths.network(kg))
    rows = files.read_table(written / "listed.parquet").to_pylist()
    heads, tails = (np.array([row[f"{end}_index"] for row in rows]) for end in ("head", "tail"))
    names = np.concatenate([kg.node_names[node_type] for node_type in kg.node_types])
    relations = [relation.relation for relation in kg.relations]
    some = 0
    for row, explained in zip(rows, explainer.explain(heads, tails, 3, 1), strict=True):
        some += len(row["paths"])
        assert [[names[node] for node in path["nodes"]] for path in row["paths"]] == [
            path["nodes"] for path in explained["paths"]
        ]
        assert [[relations[at] for at in path["relations"]] for path in row["paths"]] == [
            path["relations"] for path in explained["paths"]
        ]
        assert [path["arrows"] for path in row["paths"]] == [path["arrows"] for path in explained["paths"]]
        assert row["reasons"] == []
    assert some > 40


def test_no_pair_is_listed_if_none_is_asked_for(written, tmp_path):
    kg, vectors = page_examples.example_graph()
    treated = pairs.treated(pairs.label(kg, page_examples.planted.TARGET))
    ends = vectors["drug"], vectors["disease"]
    explainer = evidence.Explainer(kg, page_examples.planted.TARGET, ends, treated, paths.network(kg))
    table = files.read_table(written / "candidates.parquet", listed.COLUMNS)
    assert listed.write(tmp_path / "listed.parquet", explainer, table, 0, 3) == 0
    assert files.read_table(tmp_path / "listed.parquet").num_rows == 0
