"""The benchmark of probabilities: predicted and observed shares agree, and untreated tails are right."""

from dataclasses import asdict, replace

import numpy as np
import pair_models
import planted
import probabilities
import pyarrow as pa
import pytest
from pair_models import SETTINGS
from planted import TARGET

from repurpose.classifier import classifier, metapath_fits
from repurpose.classifier.list_weights import PARTS, ListWeights
from repurpose.core import files
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles


@pytest.fixture(name="task", scope="module")
def planted_task():
    return classifier.Task(*pair_models.make(shuffled=False), SETTINGS, 0, 1)


def test_predicted_and_observed_shares_of_hidden_treatments_agree(task):
    weights = pair_models.weights(1, 3)
    tested = probabilities.tested(task, [14, 9], weights)
    rows = {(row["what"], row.get("tails")): row for row in tested}
    whole, treated = rows["disease", None], rows["disease, best", "treated"]
    assert whole["predicted"] == pytest.approx(whole["found"], rel=0.4)
    test = task.pairs[(task.pairs["disease"] == "test") & (task.pairs["label"] == 1)]
    assert sum(row["positives"] for row in whole["bins"]) == len(test)
    assert treated["count"] == test["tail_index"].nunique()
    best = rows["disease, best", "all"]
    assert best["low"] <= best["predicted"] <= best["high"] < 1


def test_curves_with_and_without_support_are_compared_on_the_same_pairs(task):
    kg, _ = planted.repurposing(90, 70)
    options = {"longest": 4, "kept": 8, "seed": 0, "threads": 1}
    fits = metapath_fits.fit_all(kg, TARGET.types, task.pairs, task.known, **options)
    with_metapaths = replace(task, metapaths=fits)
    values = np.array([1, 1, 1, 1], np.float32)
    weights = ListWeights.of_lists(PARTS, values, values, task.sizes)
    first, second = probabilities.supported(with_metapaths, [14, 9], weights)
    assert (first["what"], second["what"]) == ("with support", "without support")
    assert first["log_loss"] != second["log_loss"]
    assert first["treated"]["count"] == second["treated"]["count"]
    # Without metapaths in the score there is no support to learn from.
    same = list(probabilities.supported(task, [14, 9], pair_models.weights(1, 3)))
    assert same[0] == {**same[1], "what": "with support"}


def test_untreated_tails_have_no_treatment_and_only_their_best_new_head_counts(tmp_path):
    kg = planted.graph({"drug": 3, "disease": 3}, [("drug", "indication", "disease", "target", [(0, 1)])])
    folder = tmp_path / "results"
    for name in ("graph", "pairs", "candidates/cpu"):
        (folder / name).mkdir(parents=True)
    graph.save(kg, GraphFiles.in_folder(folder / "graph"))
    files.write_json(folder / "pairs" / "certificate.json", {"target": asdict(TARGET) | {"negative": []}})
    tails = np.repeat([f"disease:{number}" for number in range(3)], 2)
    columns = {
        "tail_id": tails,
        "rank_of_drug_for_disease": [2, 1, 1, 2, 1, 2],
        "probability": [0.1, 0.2, 0.9, 0.8, 0.6, 0.4],
    }
    table = pa.table(columns | {"known": ["", "", "", "", "palliates", ""]})
    files.write_table(folder / "candidates" / "cpu" / "candidates.parquet", table)
    row = probabilities.untreated(folder, "cpu")
    assert row["tails"] == 2 and row["predicted"] == pytest.approx((0.2 + 0.4) / 2)
    assert row["highest"] == 0.4
