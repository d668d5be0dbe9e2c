"""A small trained encoder whose edges are removed path by path, and a pair model on its vectors."""

import dataclasses
from functools import cache

import numpy as np
import planted
import pytest
import small_trainings
import xgboost

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
    """Drugs, genes and diseases, with relations between and within types, one of them directed."""
    rng = np.random.default_rng(seed)

    def drawn(heads, tails, count):
        codes = rng.permutation(heads * tails)[:count]
        return np.stack([codes // tails, codes % tails], axis=1)

    def apart(count):
        edges = np.sort(drawn(40, 40, count), axis=1)
        return np.unique(edges[edges[:, 0] < edges[:, 1]], axis=0)

    known = drawn(40, 40, 90)
    kg = planted.graph(
        {"drug": 40, "gene": 40, "disease": 40},
        [
            ("drug", "binds", "gene", "message", drawn(40, 40, 160)),
            ("drug", "resembles", "drug", "message", apart(120)),
            ("disease", "disease_gene", "gene", "message", drawn(40, 40, 200)),
            ("disease", "follows", "disease", "message", apart(120)),
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
    """A trained encoder, the model itself, and the edges that it was trained on."""
    seen = []
    monkeypatch.setattr(
        training.Run, "trained", lambda run, plain=training.Run.trained: seen.append(run) or plain(run)
    )
    shaped = dataclasses.replace(ENCODER, **SHAPES[shape])
    settings = dataclasses.replace(SETTINGS, fanout=[8] * shaped.layers, **changes)
    job = training.Job(KG, shaped, settings, "disease", "cpu", batching, seed=3)
    result = training.fit(job, on_step=lambda row, steps: None)
    edges = holdout.split(KG, settings.valid_share, 3).train
    encoder = CounterfactualEncoder(KG, TYPES, result.trained, result.vectors, edges)
    return encoder, seen[0].steps.model, edges


def some_paths(count=12):
    """Paths from the drugs to the disease numbered 1, at most `count`."""
    found = paths.network(KG)
    span = KG.span("drug")
    ends = KG.span("disease")
    ways = paths.best(found, np.arange(span.start, span.stop), ends.start + 1, 3)
    return [way for each in ways for way in each][:count]


def model(heads, tails, labelled):
    """Trees and a kernel that tell treatments from some other pairs."""
    vectors = Vectors(heads, tails, product=True)
    treated = pairs.treated(labelled)
    rng = np.random.default_rng(0)
    others = rng.integers(len(heads), size=300), rng.integers(len(tails), size=300)
    ends = [np.concatenate(each) for each in zip(treated, others, strict=True)]
    labels = np.arange(len(ends[0])) < len(treated[0])
    data = xgboost.DMatrix(vectors.features(*ends), labels)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4}, data, 20)
    return pair_model.Model(booster, kernel.fit(heads, tails, treated, rng), 2.0)


def save(fitted_model, device_files):
    """Write the files that the classifier's rule leaves of a model, as far as explanations read them."""
    pair_model.save(fitted_model, device_files.model, device_files.kernel)
    digests = [files.digest(path) for path in (device_files.model, device_files.kernel)]
    files.write_json(device_files.metrics, {"model_digests": digests, "kernel_weight": fitted_model.weight})


@cache
def scorer():
    """The counterfactual scorer of a small training and a model on its vectors."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        encoder, _, _ = fitted(monkeypatch, "all parts")
    heads, tails = (encoder.stored[KG.span(t)] for t in TYPES)
    made = model(heads, tails, pairs.label(KG, planted.TARGET))
    return CounterfactualScorer(encoder, made, Vectors(heads, tails, product=True), 1)
