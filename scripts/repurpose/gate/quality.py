"""Measures that distinguish a learned embedding from an untrained or a collapsed one.

Every measure is per node type or per relation, and seeded. Compare it with the same measure of an untrained
model on the same graph (`encode_untrained`): alone, most of these figures mean little.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from repurpose.config.sections import ContrastiveSettings, EncoderSettings
from repurpose.core import streams
from repurpose.gate import clusters, neighbourhoods
from repurpose.graph import holdout, negatives, twins
from repurpose.graph.graph import Graph, Relation
from repurpose.hgt import hgt
from repurpose.training import losses, preparation
from repurpose.vectors import spectral

SPECTRUM_NODES = 4000  # the singular values are of at most so many nodes per type
PROBE_EDGES = 2000  # the link probe is fitted on, and checked on, at most so many edges per relation
AUROCS = ("auroc_uniform", "auroc_degree_matched")
# The AUROC of one untrained encoder varies with its weights: on the demo graph by 0.008 to 0.012 (standard
# deviation), as much as a tenth of what training gains. The mean of five varies less than half as much.
UNTRAINED_ENCODERS = 5


def encode_untrained(
    kg: Graph, settings: EncoderSettings, dim: int, valid_share: float, seed: int
) -> dict[str, np.ndarray]:
    """Vectors (nodes, dim) of an untrained model with random inputs: the null model of every measure.

    The inputs are random, and SVD and profile columns are left out, also if the trained model has them:
    they hold information about the graph, and would hide what training has learned.
    """
    held_out = holdout.split(kg, valid_share, seed)
    return _encode(kg, _untrained_model(kg, settings, dim, seed, 0), held_out)


def measure_layers(
    kg: Graph,
    vectors: Mapping[str, np.ndarray],
    settings: EncoderSettings,
    valid_share: float,
    seed: int,
    null: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Link AUROC of the encoder output alone, without SVD and profile columns: `trained` and `untrained`.

    vectors: of a training with these settings and this seed, type -> (nodes, embedding_dim). null: the
    result of `measure_untrained_layers`, if it was computed before. None if the model has learned inputs
    and no SVD or profile columns: then the null of `encode_untrained` is enough. The rows are scaled to unit
    length, because with profile columns the length of a row comes from the profile of its node.
    """
    if settings.inputs == "learned" and settings.projected == settings.embedding_dim:
        return None
    first_column = settings.embedding_dim - settings.projected
    directions = {t: _unit_rows(vectors[t][:, first_column:]) for t in kg.node_types}
    return {
        "trained": _links(kg, directions, holdout.split(kg, valid_share, seed), seed),
        "untrained": null or measure_untrained_layers(kg, settings, valid_share, seed),
    }


def measure_untrained_layers(
    kg: Graph, settings: EncoderSettings, valid_share: float, seed: int
) -> dict[str, Any]:
    """Link AUROC of the encoder output before any training step, on the inputs of these settings.

    Each AUROC is the mean of UNTRAINED_ENCODERS encoders, which differ in their initial weights.
    """
    held_out = holdout.split(kg, valid_share, seed)
    alone = replace(settings, embedding_dim=settings.projected, svd_dim=0, profile_dim=0)
    inputs, _ = preparation.start(kg, held_out.train, alone, seed)
    links_by_encoder = []
    for number in range(UNTRAINED_ENCODERS):
        model = _untrained_model(kg, settings, settings.projected, seed, number)
        if inputs is not None:
            model.start_from(inputs)
        rows = {t: _unit_rows(rows) for t, rows in _encode(kg, model, held_out).items()}
        links_by_encoder.append(_links(kg, rows, held_out, seed))
    return {
        name: {key: float(np.mean([links[name][key] for links in links_by_encoder])) for key in AUROCS}
        | {"edges": link["edges"]}
        for name, link in links_by_encoder[0].items()
    }


def _untrained_model(kg: Graph, settings: EncoderSettings, dim: int, seed: int, number: int) -> hgt.HGT:
    """An untrained model without SVD and profile columns, the `number`-th of its seed."""
    return hgt.build(
        kg,
        replace(settings, embedding_dim=dim, svd_dim=0, profile_dim=0),
        streams.seed_of(seed, "untrained encoder", number),
    ).eval()


@torch.no_grad()
def _encode(kg: Graph, model: hgt.HGT, held_out: holdout.Holdout) -> dict[str, np.ndarray]:
    z = model(model.prepare(held_out.train).whole).numpy()
    return {t: z[kg.span(t)] for t in kg.node_types}


def measure(
    kg: Graph,
    vectors: Mapping[str, np.ndarray],
    *,
    tail_type: str,
    contrastive: ContrastiveSettings,
    valid_share: float,
    seed: int,
) -> dict[str, Any]:
    """All measures of one embedding; vectors: type -> (nodes, d).

    `types`: per node type with edges. `links`: per relation with held-out edges. `agreement`: None if no
    two tails share enough neighbours. `clusters`: enrichment per group of tails. `neighbourhoods`: per node
    type that is large enough. An undefined value is None, never NaN.

    Types other than the tail type may have no vectors. `without_vectors`: these types, and `left_out`: the
    relations that are not measured for that. `compared`: the types of which a measure compares the vectors
    with the graph.
    """
    finite = {t: bool(np.isfinite(v).all()) for t, v in vectors.items()}
    if not all(finite.values()):
        return empty_measures(finite)
    held_out = holdout.split(kg, valid_share, seed)
    connected, is_first = kg.connected(), twins.one_of_each(kg, held_out.train)
    similar = _similar_tails(kg, held_out, contrastive, tail_type)
    sets_by_type = {t: sets for t, sets in neighbourhoods.neighbour_sets(kg).items() if t in vectors}
    result = {
        "finite": finite,
        "types": {
            t: _spread(rows[connected[t]], rows[connected[t] & is_first[kg.span(t)]], seed)
            for t, rows in vectors.items()
            if connected[t].any()
        },
        "links": _links(kg, vectors, held_out, seed),
        "agreement": _agreement(vectors[tail_type], similar) if similar else None,
        "clusters": clusters.measure(
            vectors[tail_type], clusters.neighbour_sets(kg, contrastive.relations, tail_type), seed
        ),
        "neighbourhoods": neighbourhoods.measure(vectors, sets_by_type, seed),
        "agreement_applies": similar is not None,
        "without_vectors": [t for t in kg.node_types if t not in vectors],
        "left_out": [_name(r) for r in kg.message_relations if not _has_vectors(r, vectors)],
    }
    return {**result, "compared": _compared(kg, result, tail_type)}


def empty_measures(finite: Mapping[str, bool]) -> dict[str, Any]:
    """The result of `measure` without any value, for vectors that are missing or not finite."""
    return {
        "finite": dict(finite),
        "types": {},
        "links": {},
        "agreement": None,
        "clusters": {},
        "neighbourhoods": {},
        "agreement_applies": False,
        "without_vectors": [],
        "left_out": [],
        "compared": [],
    }


def _spread(rows: np.ndarray, different: np.ndarray, seed: int) -> dict[str, float | int | None]:
    """Spread of the vectors (n, d) of one type; different (m, d): those of one of each set of twins.

    distinct_share: share of the different neighbourhoods that have vectors of their own; twins may share
    theirs (see `twins`). effective_rank: exponential of the entropy of the normalised singular values of the
    centred rows (Roy and Vetterli, EUSIPCO 2007). components_at_90: number of principal components that hold
    90 % of the variance, None if there is no variance.
    """
    generator = streams.generator(seed, "nodes of the spread")
    distinct = len(np.unique(different, axis=0)) / max(1, len(different))
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
    """Mean cosine over all pairs of rows; None if fewer than two rows are not zero.

    The squared length of the sum of n unit vectors is n plus twice the sum of the cosines of all pairs.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows[length[:, 0] > 0] / length[length[:, 0] > 0]
    count = len(units)
    if count < 2:
        return None
    return float((np.square(units.sum(axis=0)).sum() - count) / (count * (count - 1)))


def _links(
    kg: Graph, vectors: Mapping[str, np.ndarray], held_out: holdout.Holdout, seed: int
) -> dict[str, dict[str, Any]]:
    """Per relation: AUROC of held-out edges against uniform and against degree-matched negatives.

    A logistic probe on head * tail, fitted on training edges, scores the pairs, so that embeddings of any
    origin and any decoder are measured in the same way.
    """
    all_edges = holdout.merge(held_out.train, held_out.valid, held_out.check)
    sources = negatives.candidates(kg, held_out.train, all_edges)
    result = {}
    for position, (relation_index, candidates) in enumerate(zip(kg.of_role("message"), sources, strict=True)):
        relation = kg.relations[relation_index]
        if not _has_vectors(relation, vectors):
            continue
        generator = streams.generator(seed, "edges of the link probe", relation_index)
        heads, tails = vectors[relation.head_type], vectors[relation.tail_type]
        fit_edges, check_edges = (
            edges[position][:, generator.permutation(edges[position].shape[1])[:PROBE_EDGES]]
            for edges in (held_out.train, held_out.check)
        )
        samples = [(fit_edges, negatives.corrupt(candidates, fit_edges, 0.5, generator))]
        samples += [
            (check_edges, negatives.corrupt(candidates, check_edges, matched, generator))
            for matched in (0.0, 1.0)
        ]
        if any(positive.shape[1] == 0 or negative.shape[1] == 0 for positive, negative in samples):
            continue
        (features, labels), *checks = [_pair_features(heads, tails, *pair) for pair in samples]
        scale = StandardScaler().fit(features)
        probe = LogisticRegression(C=0.1, max_iter=200).fit(scale.transform(features), labels)
        uniform, matched = (
            float(roc_auc_score(y, probe.decision_function(scale.transform(x)))) for x, y in checks
        )
        result[_name(relation)] = {
            "edges": check_edges.shape[1],
            "auroc_uniform": uniform,
            "auroc_degree_matched": matched,
        }
    return {name: link for name, link in result.items() if link["edges"] >= holdout.FEW_EDGES} or result


def _name(relation: Relation) -> str:
    return f"{relation.head_type} - {relation.relation} - {relation.tail_type}"


def _has_vectors(relation: Relation, vectors: Mapping[str, np.ndarray]) -> bool:
    return relation.head_type in vectors and relation.tail_type in vectors


def _compared(kg: Graph, measured: Mapping[str, Any], tail_type: str) -> list[str]:
    """The node types whose vectors are compared with the graph: by links, neighbourhoods or clusters."""
    ends = [(r.head_type, r.tail_type) for r in kg.message_relations if _name(r) in measured["links"]]
    has_clusters = measured["clusters"] or measured["agreement_applies"]
    return sorted({*sum(ends, ()), *measured["neighbourhoods"], *([tail_type] if has_clusters else [])})


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _pair_features(
    heads: np.ndarray, tails: np.ndarray, positive: np.ndarray, negative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    head, tail = np.concatenate([positive, negative], axis=1)
    return heads[head] * tails[tail], np.repeat([1, 0], [positive.shape[1], negative.shape[1]])


def _similar_tails(
    kg: Graph, held_out: holdout.Holdout, options: ContrastiveSettings, tail_type: str
) -> losses.SimilarTails | None:
    if not options.relations:
        return None
    similar = losses.similar_tails(
        kg, held_out.train, options.relations, tail_type, options.similarity_threshold
    )
    return similar if len(similar.anchors) else None


def _agreement(rows: np.ndarray, similar: losses.SimilarTails) -> float:
    """Mean share of a tail's nearest rows (centred cosine) that are similar tails (`losses.similar_tails`).

    The mean is over tails with at least one similar tail; a share of 1 is the most that is possible.
    """
    nearest, shares = clusters.nearest_rows(rows, similar.anchors), []
    for batch in np.array_split(np.arange(len(nearest)), max(1, len(nearest) // 512)):
        partners = similar.similar[similar.anchors[batch]].toarray()
        hits = np.take_along_axis(partners, nearest[batch], axis=1).sum(axis=1)
        shares.append(hits / np.minimum(partners.sum(axis=1), nearest.shape[1]))
    return float(np.concatenate(shares).mean())
