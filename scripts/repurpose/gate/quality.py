"""Measures of an embedding that tell a learned one from an untrained or a collapsed one.

Every measure is per node type or per relation, centred and seeded, and is meant to stand beside its
value for an untrained model on the same graph (`untrained`): most figures mean little alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from repurpose.gate import clusters, neighbourhoods
from repurpose.graph import holdout, negatives
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.training import losses, preparation
from repurpose.vectors import spectral

SPECTRUM_NODES = 4000  # nodes per type for the spectrum
PROBE_EDGES = 2000  # edges per relation to fit and to check the link probe


def untrained(
    kg: Graph, settings: hgt.Settings, dim: int, valid_share: float, seed: int
) -> dict[str, np.ndarray]:
    """Vectors (nodes, dim) of an untrained model with random inputs: the null of every measure.

    Its inputs are random and no part of the vectors, whatever those of the training were: a null that
    knew the graph would hide what a training has learned, and pass what it has not.
    """
    held = holdout.split(kg, valid_share, seed)
    return _encoded(kg, _model(kg, settings, dim, seed), held)


def layers(
    kg: Graph,
    vectors: Mapping[str, np.ndarray],
    settings: hgt.Settings,
    valid_share: float,
    seed: int,
    null: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Held-out links as the layers' own numbers tell them, `trained` and of the same layers `untrained`.

    vectors: of a training with these settings and this seed, type -> (nodes, embedding_dim). null: what
    `untrained_layers` gave for them, where several embeddings share it. None where linear algebra gave
    that training nothing: neither its inputs nor a part of its vectors, which would hide what the layers
    have learned. Directions are compared: lengths say how much is known of a node.
    """
    if settings.inputs == "learned" and settings.projected == settings.embedding_dim:
        return None
    first = settings.embedding_dim - settings.projected
    rows = {t: _direction(vectors[t][:, first:]) for t in kg.node_types}
    return {
        "trained": _links(kg, rows, holdout.split(kg, valid_share, seed), seed),
        "untrained": null or untrained_layers(kg, settings, valid_share, seed),
    }


def untrained_layers(kg: Graph, settings: hgt.Settings, valid_share: float, seed: int) -> dict[str, Any]:
    """Held-out links as the layers' numbers tell them before any step, on the inputs of these settings."""
    held = holdout.split(kg, valid_share, seed)
    model = _model(kg, settings, settings.projected, seed)
    inputs, _ = preparation.start(kg, held.train, model.settings, seed)
    if inputs is not None:
        model.start_from(inputs)
    return _links(kg, {t: _direction(rows) for t, rows in _encoded(kg, model, held).items()}, held, seed)


def _model(kg: Graph, settings: hgt.Settings, dim: int, seed: int) -> hgt.HGT:
    """An untrained model whose vectors are the layers' alone, with other random numbers than the training."""
    return hgt.build(kg, replace(settings, embedding_dim=dim, svd_dim=0, profile_dim=0), seed + 1).eval()


@torch.no_grad()
def _encoded(kg: Graph, model: hgt.HGT, held: holdout.Holdout) -> dict[str, np.ndarray]:
    z = model(model.prepare(held.train).whole).numpy()
    return {t: z[kg.span(t)] for t in kg.node_types}


def measure(
    kg: Graph,
    vectors: Mapping[str, np.ndarray],
    *,
    tail_type: str,
    contrastive: Mapping[str, Any],
    valid_share: float,
    seed: int,
) -> dict[str, Any]:
    """All measures of one embedding, vectors type -> (nodes, d).

    `types`: per node type with edges; `links`: per relation with held-out edges; `agreement`: None where
    no two tails share enough neighbours; `clusters`: enrichment per group of tails; `neighbourhoods`: per
    node type that is large enough. NaN never appears: what is undefined is None.
    """
    finite = {t: bool(np.isfinite(v).all()) for t, v in vectors.items()}
    if not all(finite.values()):
        return unmeasured(finite)
    held = holdout.split(kg, valid_share, seed)
    connected = kg.connected()
    similar = _similar(kg, held, contrastive, tail_type)
    return {
        "finite": finite,
        "types": {t: _spread(vectors[t][connected[t]], seed) for t in kg.node_types if connected[t].any()},
        "links": _links(kg, vectors, held, seed),
        "agreement": _agreement(vectors[tail_type], similar) if similar else None,
        "clusters": clusters.measure(
            vectors[tail_type], clusters.sets(kg, contrastive["relations"], tail_type), seed
        ),
        "neighbourhoods": neighbourhoods.measure(vectors, neighbourhoods.sets(kg), seed),
        "agreement_applies": similar is not None,
    }


def unmeasured(finite: Mapping[str, bool]) -> dict[str, Any]:
    """The measures where there are none: vectors that are not finite, or no vectors at all."""
    return {
        "finite": dict(finite),
        "types": {},
        "links": {},
        "agreement": None,
        "clusters": {},
        "neighbourhoods": {},
        "agreement_applies": False,
    }


def _spread(rows: np.ndarray, seed: int) -> dict[str, float | int | None]:
    """How much of its space a type uses, (n, d).

    Effective rank is the exponential of the entropy of the normalised singular values (Roy and
    Vetterli, EUSIPCO 2007) of the centred rows; components at 90 % counts those that hold 90 % of the
    variance, None where there is no variance to hold.
    """
    generator = np.random.default_rng(seed)
    distinct = len(np.unique(rows, axis=0)) / len(rows)
    sample = rows[generator.permutation(len(rows))[:SPECTRUM_NODES]].astype(np.float64)
    cosine = _mean_cosine(sample)
    values = np.linalg.svd(sample - sample.mean(axis=0), compute_uv=False)
    rank, components = spectral.effective_rank(values, np.abs(rows).max() * np.sqrt(len(sample))), None
    if rank:
        components = int(np.searchsorted(np.cumsum(values**2) / (values**2).sum(), 0.9) + 1)
    return {
        "nodes": len(rows),
        "distinct_share": distinct,
        "effective_rank": rank,
        "components_at_90": components,
        "mean_cosine": cosine,
    }


def _mean_cosine(rows: np.ndarray) -> float | None:
    """Mean cosine over all pairs of different rows; None where no two rows have a direction.

    The squared length of a sum of n unit vectors is n and, twice, the cosines of all pairs.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows[length[:, 0] > 0] / length[length[:, 0] > 0]
    count = len(units)
    if count < 2:
        return None
    return float((np.square(units.sum(axis=0)).sum() - count) / (count * (count - 1)))


def _links(
    kg: Graph, vectors: Mapping[str, np.ndarray], held: holdout.Holdout, seed: int
) -> dict[str, dict[str, Any]]:
    """Per relation: AUROC of held-out edges against uniform and against degree-matched negatives.

    A logistic probe on head * tail, fitted on training edges, scores the pairs: embeddings of any
    origin, with whatever decoder, are read alike.
    """
    everything = holdout.merge(held.train, held.valid, held.check)
    sources = negatives.candidates(kg, held.train, everything)
    result = {}
    for at, (index, source) in enumerate(zip(kg.of_role("message"), sources, strict=True)):
        relation = kg.relations[index]
        generator = np.random.default_rng([seed, index])
        heads, tails = vectors[relation.head_type], vectors[relation.tail_type]
        fit, check = (
            part[at][:, generator.permutation(part[at].shape[1])[:PROBE_EDGES]]
            for part in (held.train, held.check)
        )
        sets = [(fit, negatives.corrupt(source, fit, 0.5, generator))]
        sets += [(check, negatives.corrupt(source, check, matched, generator)) for matched in (0.0, 1.0)]
        if any(positive.shape[1] == 0 or negative.shape[1] == 0 for positive, negative in sets):
            continue
        (features, labels), *checks = [_pairs(heads, tails, *pair) for pair in sets]
        scale = StandardScaler().fit(features)
        probe = LogisticRegression(C=0.1, max_iter=200).fit(scale.transform(features), labels)
        uniform, matched = (
            float(roc_auc_score(y, probe.decision_function(scale.transform(x)))) for x, y in checks
        )
        name = f"{relation.head_type} - {relation.relation} - {relation.tail_type}"
        result[name] = {"edges": check.shape[1], "auroc_uniform": uniform, "auroc_degree_matched": matched}
    return {name: link for name, link in result.items() if link["edges"] >= holdout.FEW_EDGES} or result


def _direction(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _pairs(
    heads: np.ndarray, tails: np.ndarray, positive: np.ndarray, negative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    head, tail = np.concatenate([positive, negative], axis=1)
    return heads[head] * tails[tail], np.repeat([1, 0], [positive.shape[1], negative.shape[1]])


def _similar(
    kg: Graph, held: holdout.Holdout, options: Mapping[str, Any], tail_type: str
) -> losses.SimilarTails | None:
    if not options["relations"]:
        return None
    similar = losses.similar_tails(
        kg, held.train, options["relations"], tail_type, options["similarity_threshold"]
    )
    return similar if len(similar.anchors) else None


def _agreement(rows: np.ndarray, similar: losses.SimilarTails) -> float:
    """Mean share of a tail's nearest neighbours (centred cosine) whose neighbour sets overlap with its own.

    Over tails with at least one such partner; the share is of the most that were possible.
    """
    nearest, shares = clusters.nearest_rows(rows, similar.anchors), []
    for part in np.array_split(np.arange(len(nearest)), max(1, len(nearest) // 512)):
        partners = similar.similar[similar.anchors[part]].toarray()
        hits = np.take_along_axis(partners, nearest[part], axis=1).sum(axis=1)
        shares.append(hits / np.minimum(partners.sum(axis=1), nearest.shape[1]))
    return float(np.concatenate(shares).mean())
