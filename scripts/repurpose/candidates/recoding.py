"""The vectors of a pair on a graph without the edges of a path, by the encoder that was trained with them.

Fixed stay the encoder's weights and inputs, the axes of the SVD and of the profiles, and how rare a neighbour
is; new are the messages, and what the two nodes are joined to. A state between two layers is computed anew at
the nodes of the path alone, which is exact for encoders of at most two layers.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import holdout, paths
from repurpose.graph.graph import Graph
from repurpose.graph.paths import Path
from repurpose.hgt import node_layer
from repurpose.hgt.node_layer import Neighbours
from repurpose.hgt.trained import Trained
from repurpose.vectors import profiles

TOLERANCE = 0.01  # of a vector's length, between what is computed anew and what is stored
RESOLVED = 1e-3  # of an SVD's largest eigenvalue: axes below say nothing of a single edge

Missing = Mapping[int, np.ndarray]  # node -> which of its entries in the network are left out


class Recoder:
    """An encoder and the edges that it was trained on."""

    def __init__(
        self,
        kg: Graph,
        types: Sequence[str],
        trained: Trained,
        vectors: Mapping[str, np.ndarray],
        edges: Sequence[np.ndarray],
    ) -> None:
        """types: of the ends of pairs. vectors: type -> (nodes, d), those that the training left.

        edges: of each message relation, head and tail within their types (2, E).
        """
        self.kg, self.trained, self.network = kg, trained, paths.network(kg, edges)
        self.stored = np.concatenate([vectors[t] for t in kg.node_types])
        self.bounds = np.cumsum([0, *(kg.count(t) for t in kg.node_types)])
        self.first = tuple(kg.span(node_type).start for node_type in types)
        self.kinds = _edge_types(kg)
        self.degrees = np.diff(self.network.indptr)
        self.svd_dim = 0 if trained.values is None else len(trained.values)
        self.profile_dim = self.stored.shape[1] - self.svd_dim - len(trained.output[0])
        self.profiles = {kind: self._parts(edges, kind) for kind in types} if self.profile_dim else {}

    def check(self, node: int) -> None:
        """Raises ValueError where a node does not come out as it is stored."""
        found, stored = self._vector(node, self._states((node,), (), {})[node], {}), self.stored[node]
        error = np.linalg.norm(found - stored)
        if not error <= TOLERANCE * max(np.linalg.norm(stored), 1e-6):
            raise ValueError(f"the vector of node {node} differs by {error:.2g} from the stored one")

    def without(self, path: Path) -> np.ndarray:
        """Vectors (2, d) of a path's first and last node without its edges.

        Edges that the training held out have told nothing and change nothing.
        """
        missing: dict[int, np.ndarray] = {}
        for here, there, relation, forward in _edges(path):
            for node, other, way in ((here, there, forward), (there, here, not forward)):
                span, found = self._span(node), self.network
                is_it = (found.other[span] == other) & (found.relation[span] == relation)
                is_it &= found.forward[span] == way
                if is_it.any():
                    missing[node] = missing.get(node, False) | is_it
        ends = path.nodes[0], path.nodes[-1]
        states = self._states(ends, path.nodes, missing)
        return np.stack([self._vector(node, states[node], missing) for node in ends])

    def attended(self, node: int, count: int) -> Iterator[tuple[int, int, float]]:
        """What the last layer reads most: neighbour, relation's number, weight (mean over heads)."""
        senders, layer = self._senders(node, -1, {}, {}), self.trained.layers[-1]
        row = self.trained.states[-1][node]
        weights = node_layer.attention(layer, self._type(node), row, senders).mean(axis=1)
        first = self.network.indptr[node]
        for at in np.argsort(-weights, kind="stable")[:count]:
            entry = first + at
            yield int(self.network.other[entry]), int(self.network.relation[entry]), float(weights[at])

    def _span(self, node: int) -> slice:
        return slice(*self.network.indptr[node : node + 2])

    def _type(self, nodes: int | np.ndarray) -> np.ndarray:
        return np.searchsorted(self.bounds, nodes, side="right") - 1

    def _senders(
        self, node: int, layer: int, changed: Mapping[int, np.ndarray], missing: Missing
    ) -> Neighbours:
        """Who sends to a node in a layer: what it reads, `changed` in place of the stored state."""
        span = self._span(node)
        kept = ~missing[node] if node in missing else slice(None)
        others = self.network.other[span][kept]
        rows = self.trained.states[layer][others]
        for other, row in changed.items():
            rows[others == other] = row
        ways = self.network.forward[span][kept].astype(int)
        return Neighbours(rows, self.kinds[self.network.relation[span][kept], ways], self._type(others))

    def _states(self, ends: Sequence[int], nodes: Sequence[int], missing: Missing) -> dict[int, np.ndarray]:
        """What the last layer gives at the ends, states before it computed anew at `nodes` alone."""
        changed: dict[int, np.ndarray] = {}
        for number, layer in enumerate(self.trained.layers):
            is_last = number == len(self.trained.layers) - 1
            state, before = self.trained.states[number], changed
            changed = {
                node: node_layer.output(
                    layer,
                    self._type(node),
                    before.get(node, state[node]),
                    self._senders(node, number, before, missing),
                )
                for node in (ends if is_last else nodes)
            }
        return changed

    def _vector(self, node: int, state: np.ndarray, missing: Missing) -> np.ndarray:
        """A node's vector from what the last layer gives, its other parts moved by what is missing."""
        kind = self._type(node)
        z = node_layer.projected(self.trained.output[kind], self.trained.output_bias[kind], state)
        profile = self._profiled(node, missing)
        direction = self._direction(node, missing)
        if not self.profile_dim:
            return np.concatenate([direction * np.sqrt(np.float32(len(z))), z])
        known = profiles.profile_lengths(profile[None])
        own = z / np.linalg.norm(z) * known * profiles.ENCODER_LENGTH
        return np.concatenate([profile, direction * known * profiles.SVD_LENGTH, own]).astype(np.float32)

    def _direction(self, node: int, missing: Missing) -> np.ndarray:
        """The SVD's part of a node's vector, with length 1; zeros where no edge is left."""
        row = self._unit(np.array([node]))[0]
        if node not in missing or not self.svd_dim:
            return row
        if missing[node].all():
            return np.zeros_like(row)
        values, lengths = self.trained.values, self.trained.lengths
        others = self.network.other[self._span(node)][missing[node]]
        size = np.abs(values)
        resolved = size > RESOLVED * size.max()
        share = np.divide(1, values, out=np.zeros_like(values), where=resolved)
        scale = lengths[others] / np.sqrt(self.degrees[others])
        left = row * lengths[node] * np.sqrt(self.degrees[node]) - (scale @ self._unit(others)) * share
        return left / max(np.linalg.norm(left), 1e-12)

    def _unit(self, nodes: np.ndarray) -> np.ndarray:
        rows = self.stored[nodes, self.profile_dim : self.profile_dim + self.svd_dim]
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    def _parts(self, edges: Sequence[np.ndarray], node_type: str) -> dict[profiles.Side, profiles.Part]:
        if self.trained.divisors is None:
            raise ValueError("it does not say what its profiles were divided by")
        span = self.kg.span(node_type)
        rows = profiles.Rows(self.stored[span, : self.profile_dim], self.trained.divisors[span])
        return profiles.parts(self.kg, edges, node_type, rows)

    def _profiled(self, node: int, missing: Missing) -> np.ndarray:
        """The profile's part of a node's vector."""
        row, kind = self.stored[node, : self.profile_dim], self._type(node)
        if node not in missing or not self.profile_dim:
            return row
        row = row.copy()
        span, messages = self._span(node), self.kg.of_role("message")
        gone = missing[node]
        for (number, is_head), part in self.profiles[self.kg.node_types[kind]].items():
            relation = self.kg.relations[messages[number]]
            at = gone & (self.network.relation[span] == messages[number])
            is_within = relation.head_type == relation.tail_type
            if not is_within or relation.directed:
                at &= self.network.forward[span] == is_head
            if not at.any():
                continue
            others = self.network.other[span][at]
            columns, own = others - self.bounds[self._type(others)], node - self.bounds[kind]
            weights, found = part.neighbours(own)
            left = np.where(np.isin(found, columns), np.float32(0), weights)
            # Within a type a node is among its own neighbours for as long as it has another.
            if is_within and not np.any(left[found != own]):
                left[:] = 0
            row[part.columns] = part.recompute(row[part.columns], own, left)
        return row


def read(
    kg: Graph,
    types: Sequence[str],
    trained: Trained,
    vectors: Mapping[str, np.ndarray],
    origin: Mapping[str, str],
    path: object,
) -> Recoder:
    """The encoder of an embedding file, whose metadata are `origin`.

    Raises InputError that names the encoder's file where it is not of these vectors.
    """
    edges = holdout.split(kg, float(origin["valid_share"]), int(origin["seed"])).train
    try:
        recoder = Recoder(kg, types, trained, vectors, edges)
        recoder.check(int(np.argmax(recoder.degrees)))
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path} is not the encoder of the embeddings beside it ({error}); {files.remade(path)}"
        ) from error
    return recoder


def _edges(path: Path) -> Iterator[tuple[int, int, int, bool]]:
    return zip(path.nodes, path.nodes[1:], path.relations, path.forward, strict=False)


def _edge_types(kg: Graph) -> np.ndarray:
    """Number of the edge type by which a node hears from another, (relations, 2).

    Second: whether the edge runs from the node that hears to the other; -1 where a relation sends nothing.
    """
    result, count = np.full((len(kg.relations), 2), -1), 0
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        is_symmetric = relation.is_symmetric
        result[index] = (count, count) if is_symmetric else (count, count + 1)
        count += 1 if is_symmetric else 2
    return result
