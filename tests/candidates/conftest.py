"""A finished run with a trained encoder, which several modules look up."""

import edge_removals
import pytest
from script_runs import ScriptRun, record_all

from repurpose.core import files
from repurpose.hgt import trained


@pytest.fixture(name="run_with_encoder", scope="session")
def finished_run_with_an_encoder(tmp_path_factory):
    """The results folder of the run; tests that change files copy it."""
    kg, encoder = edge_removals.KG, edge_removals.scorer().encoder
    run = ScriptRun(tmp_path_factory.mktemp("run") / "results")
    run.begin(kg, {t: encoder.stored[kg.span(t)] for t in kg.node_types}, edge_removals.ORIGIN)
    trained.save(run.path("embeddings/cpu/encoder.safetensors"), encoder.trained)
    run.train_metapaths()
    run.train_baselines()
    run.train_classifier()
    run.train_contraindications()
    run.rank(per_tail=30, per_head=20)
    files.write_json(run.results / "summary.json", {"passed": ["cpu"]})
    record_all(run.results)
    return run.results
