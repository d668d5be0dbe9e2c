"""A small trained encoder and a pair model on its vectors, for the tests that remove edges of paths."""

import dataclasses
from functools import cache

import numpy as np
import planted
import pytest
import small_trainings
import xgboost
from pair_models import weights

from repurpose.candidates.counterfactual import CounterfactualEncoder, CounterfactualScorer
from repurpose.classifier import kernel, pair_model
from repurpose.core import files
from repurpose.graph import holdout, paths
from repurpose.pairs import pairs
from repurpose.training import training
from repurpose.vectors.vectors import Vectors

SHAPES = {
    "all parts": {"svd_dim": 8, "profile_dim": 12},
    "layers alone": {},
    "with an SVD": {"svd_dim": 8},
    "one layer": {"layers": 1},
}
ENCODER = dataclasses.replace(
    small_trainings.ENCODER, hidden_dim=16, heads=2, embedding_dim=40, inputs="spectral", svd_dim=0
)


def typed(seed=0):
    """A graph of drugs, genes and diseases, with relations between and within types, one of them directed."""
    generator = np.random.default_rng(seed)

    def draw_edges(heads, tails, count):
        codes = generator.permutation(heads * tails)[:count]
        return np.stack([codes // tails, codes % tails], axis=1)

    def draw_within_type(count):
        edges = np.sort(draw_edges(40, 40, count), axis=1)
        return np.unique(edges[edges[:, 0] < edges[:, 1]], axis=0)

    known = draw_edges(40, 40, 90)
    kg = planted.graph(
        {"drug": 40, "gene": 40, "disease": 40},
        [
            ("drug", "binds", "gene", "message", draw_edges(40, 40, 160)),
            ("drug", "resembles", "drug", "message", draw_within_type(120)),
            ("disease", "disease_gene", "gene", "message", draw_edges(40, 40, 200)),
            ("disease", "follows", "disease", "message", draw_within_type(120)),
            ("drug", "indication", "disease", "target", known[:60]),
            ("drug", "contraindication", "disease", "target", known[60:]),
        ],
    )
    relations = list(kg.relations)
    relations[3] = dataclasses.replace(relations[3], directed=True)
    return dataclasses.replace(kg, relations=tuple(relations))


KG = typed()
SETTINGS = dataclasses.replace(small_trainings.SETTINGS, epochs=12)
TYPES = ("drug", "disease")
ORIGIN = {"valid_share": str(SETTINGS.valid_share), "seed": "3"}


def fitted(monkeypatch, shape, batching="full", **changes):
    """Train an encoder: its counterfactual encoder, the model, and the edges that it was trained on."""
    runs = []
    monkeypatch.setattr(
        training.Run, "trained", lambda run, plain=training.Run.trained: runs.append(run) or plain(run)
    )
    shaped = dataclasses.replace(ENCODER, **SHAPES[shape])
    settings = dataclasses.replace(SETTINGS, fanout=[8] * shaped.layers, **changes)
    job = training.Job(KG, shaped, settings, "disease", "cpu", batching, seed=3)
    result = training.fit(job, on_step=lambda row, steps: None)
    edges = holdout.split(KG, settings.valid_share, 3).train
    encoder = CounterfactualEncoder(KG, TYPES, result.trained, result.vectors, edges)
    return encoder, runs[0].steps.model, edges


def some_paths(count=12):
    """At most `count` paths from drugs to the disease with index 1."""
    network = paths.network(KG)
    drugs = KG.span("drug")
    diseases = KG.span("disease")
    paths_by_drug = paths.best(network, np.arange(drugs.start, drugs.stop), diseases.start + 1, 3)
    return [path for paths_of_drug in paths_by_drug for path in paths_of_drug][:count]


def model(heads, tails, labelled):
    """Trees and a kernel, fitted to distinguish treatments from random other pairs."""
    vectors = Vectors(heads, tails, product=True)
    treatments = pairs.treated(labelled)
    generator = np.random.default_rng(0)
    random_pairs = generator.integers(len(heads), size=300), generator.integers(len(tails), size=300)
    pair_indices = [np.concatenate(arrays) for arrays in zip(treatments, random_pairs, strict=True)]
    labels = np.arange(len(pair_indices[0])) < len(treatments[0])
    data = xgboost.DMatrix(vectors.features(*pair_indices), labels)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4}, data, 20)
    sizes = len(heads), len(tails)
    return pair_model.Model(
        booster, kernel.fit(heads, tails, treatments, generator), None, weights(1, 2, sizes)
    )


def save(fitted_model, device_files):
    """Write the files of the classifier's rule that the explanations read."""
    pair_model.save(fitted_model, device_files.model, device_files.kernel)
    digests = [files.digest(path) for path in (device_files.model, device_files.kernel)]
    metrics = {"model_digests": digests, "weights": fitted_model.weights.described(), "question": "each"}
    files.write_json(device_files.metrics, metrics)


@cache
def scorer():
    """A counterfactual scorer of a small training and a pair model on its vectors; it is made once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        encoder, _, _ = fitted(monkeypatch, "all parts")
    heads, tails = (encoder.stored[KG.span(t)] for t in TYPES)
    fitted_model = model(heads, tails, pairs.label(KG, planted.TARGET))
    return CounterfactualScorer(encoder, fitted_model, Vectors(heads, tails, product=True), 1)
