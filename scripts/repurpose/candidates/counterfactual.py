"""Counterfactual scores: what a pair would score if the edges of a path were not in the graph.

The trained encoder recomputes the vectors of the path's two ends on the graph without these edges, and the
classifier scores the new vectors. Weights and inputs of the encoder, the axes of the SVD and of the relation
profiles, and the TF-IDF weight of each neighbour stay as they were trained. States between two layers are
recomputed at the nodes of the path only, which is exact for encoders of at most two layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np

from repurpose.classifier import pair_model
from repurpose.classifier.pair_model import Model
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import holdout, paths
from repurpose.graph.graph import Graph
from repurpose.graph.paths import Path
from repurpose.hgt import node_layer
from repurpose.hgt import trained as trained_encoder
from repurpose.hgt.node_layer import Neighbours
from repurpose.hgt.trained import Trained
from repurpose.vectors import profiles
from repurpose.vectors.vectors import Vectors

TOLERANCE = 0.01  # share of a stored vector's length by which the recomputed vector may differ
NEAREST = 10  # nodes whose inputs stand for that of a node that the graph lacks
RESOLVED = 1e-3  # share of the SVD's largest eigenvalue; axes below it are not changed by a removal

# Node -> mask over the node's entries in the network: which are removed.
Removed = Mapping[int, np.ndarray]


class CounterfactualEncoder:
    """A trained encoder that recomputes single vectors, with the edges that it was trained on.

    types: node types of the ends of pairs. vectors: node type -> (nodes, d), as the training wrote them.
    edges: of each message relation, head and tail indices within their types (2, E).
    """

    def __init__(
        self,
        kg: Graph,
        types: Sequence[str],
        trained: Trained,
        vectors: Mapping[str, np.ndarray],
        edges: Sequence[np.ndarray],
    ) -> None:
        self.kg, self.trained, self.network = kg, trained, paths.network(kg, edges)
        self.stored = np.concatenate([vectors[t] for t in kg.node_types])
        self.bounds = np.array(kg.bounds)
        self.first = tuple(kg.span(node_type).start for node_type in types)
        self.edge_types = _edge_types(kg)
        self.degrees = np.diff(self.network.indptr)
        self.svd_dim = 0 if trained.values is None else len(trained.values)
        self.profile_dim = self.stored.shape[1] - self.svd_dim - len(trained.output[0])
        self.profiles = {t: self._profile_parts(edges, t) for t in types} if self.profile_dim else {}

    def check(self, node: int) -> None:
        """Raise ValueError if the vector of `node`, computed with all edges, is not the stored one."""
        vector, stored = self._vector(node, self._states((node,), (), {})[node], {}), self.stored[node]
        error = np.linalg.norm(vector - stored)
        if not error <= TOLERANCE * max(np.linalg.norm(stored), 1e-6):
            raise ValueError(f"the vector of node {node} differs by {error:.2g} from the stored one")

    def without(self, path: Path) -> np.ndarray:
        """Vectors (2, d) of the path's first and last node on the graph without the path's edges.

        Edges that the training held out were never messages, so removing them changes nothing.
        """
        removed: dict[int, np.ndarray] = {}
        for head, tail, relation, forward in _edges(path):
            for node, neighbour, runs_out in ((head, tail, forward), (tail, head, not forward)):
                span = self._entries(node)
                is_edge = (self.network.other[span] == neighbour) & (self.network.relation[span] == relation)
                is_edge &= self.network.forward[span] == runs_out
                if is_edge.any():
                    removed[node] = removed.get(node, False) | is_edge
        ends = path.nodes[0], path.nodes[-1]
        states = self._states(ends, path.nodes, removed)
        return np.stack([self._vector(node, states[node], removed) for node in ends])

    def attended(self, node: int, count: int) -> Iterator[tuple[int, int, float]]:
        """The `count` neighbours with the most attention in the last layer, the most first.

        Yields neighbour, relation index, and attention weight (mean over attention heads).
        """
        senders, layer = self._senders(node, -1, {}, {}), self.trained.layers[-1]
        row = self.trained.states[-1][node]
        weights = node_layer.attention(layer, self._type(node), row, senders).mean(axis=1)
        first = self.network.indptr[node]
        for position in np.argsort(-weights, kind="stable")[:count]:
            entry = first + position
            neighbour, relation = self.network.other[entry], self.network.relation[entry]
            yield int(neighbour), int(relation), float(weights[position])

    def _entries(self, node: int) -> slice:
        """The node's entries in the network."""
        return slice(*self.network.indptr[node : node + 2])

    def _type(self, nodes: int | np.ndarray) -> np.ndarray:
        """Positions of the nodes' types in `kg.node_types`."""
        return np.searchsorted(self.bounds, nodes, side="right") - 1

    def _senders(
        self, node: int, layer: int, changed: Mapping[int, np.ndarray], removed: Removed
    ) -> Neighbours:
        """The neighbours that send to a node in a layer; `changed`: states that replace the stored ones."""
        span = self._entries(node)
        kept = ~removed[node] if node in removed else slice(None)
        neighbours = self.network.other[span][kept]
        states = self.trained.states[layer][neighbours]
        for neighbour, state in changed.items():
            states[neighbours == neighbour] = state
        directions = self.network.forward[span][kept].astype(int)
        edge_types = self.edge_types[self.network.relation[span][kept], directions]
        return Neighbours(states, edge_types, self._type(neighbours))

    def _states(self, ends: Sequence[int], nodes: Sequence[int], removed: Removed) -> dict[int, np.ndarray]:
        """Output of the last layer at `ends`; the layers before it are recomputed at `nodes` only."""
        changed: dict[int, np.ndarray] = {}
        for number, layer in enumerate(self.trained.layers):
            is_last = number == len(self.trained.layers) - 1
            stored, before = self.trained.states[number], changed
            changed = {
                node: node_layer.output(
                    layer,
                    self._type(node),
                    before.get(node, stored[node]),
                    self._senders(node, number, before, removed),
                )
                for node in (ends if is_last else nodes)
            }
        return changed

    def of_new_node(self, node_type: str, links: Mapping[int, np.ndarray]) -> np.ndarray:
        """The vector (d,) of a node that the graph lacks, from its neighbours.

        links: index of a message relation -> indices of the neighbours, as in `graph.with_node`. The input of
        the first layer, which a training learns for each node, is the mean of the nodes of the type that are
        nearest by the other parts of the vector.
        """
        number = self.kg.node_types.index(node_type)
        entries = [self._entries_of_new(node_type, *link) for link in links.items()]
        neighbours, edge_types = (np.concatenate(column) for column in zip(*entries, strict=True))
        profile, direction = self._new_profile(node_type, links), self._new_direction(neighbours)
        state = self._nearest_input(node_type, profile, direction)
        for layer, states in zip(self.trained.layers, self.trained.states, strict=True):
            senders = Neighbours(states[neighbours], edge_types, self._type(neighbours))
            state = node_layer.output(layer, number, state, senders)
        return self._composed(number, state, profile, direction)

    def _entries_of_new(
        self, node_type: str, index: int, neighbours: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Node numbers of a new node's neighbours in a relation, and the types of the edges from them."""
        relation = self.kg.relations[index]
        is_head = relation.head_type == node_type
        other = relation.tail_type if is_head else relation.head_type
        numbers = np.asarray(neighbours) + self.kg.span(other).start
        return numbers, np.full(len(numbers), self.edge_types[index, int(is_head)])

    def _new_profile(self, node_type: str, links: Mapping[int, np.ndarray]) -> np.ndarray:
        row, messages = np.zeros(self.profile_dim, np.float32), self.kg.of_role("message")
        for (number, is_head), part in self.profiles.get(node_type, {}).items():
            relation = self.kg.relations[messages[number]]
            if messages[number] in links and is_head == (relation.head_type == node_type):
                row[part.columns] = part.of_new(np.asarray(links[messages[number]]))
        return row

    def _new_direction(self, neighbours: np.ndarray) -> np.ndarray:
        if not self.svd_dim:
            return np.zeros(0, np.float32)
        scale = self.trained.lengths[neighbours] / np.sqrt(np.maximum(self.degrees[neighbours], 1))
        row = (scale @ self._unit(neighbours)) * self._inverse_values()
        return row / max(np.linalg.norm(row), 1e-12)

    def _nearest_input(self, node_type: str, profile: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """The mean first-layer input of the nearest nodes of the type, as long as theirs are on average."""
        span = self.kg.span(node_type)
        rows = self.stored[span, : self.profile_dim + self.svd_dim]
        row = np.concatenate([profile, direction * np.float32(profiles.SVD_LENGTH)])
        inputs = self.trained.states[0][span]
        lengths = np.maximum(np.linalg.norm(rows, axis=1) * np.linalg.norm(row), 1e-12)
        near = np.argsort(-(rows @ row) / lengths, kind="stable")[:NEAREST] if len(row) else slice(None)
        mean = inputs[near].mean(axis=0)
        length = np.linalg.norm(inputs[near], axis=1).mean()
        return (mean * (length / max(np.linalg.norm(mean), 1e-12))).astype(np.float32)

    def _vector(self, node: int, state: np.ndarray, removed: Removed) -> np.ndarray:
        """The node's vector: relation profile, SVD direction, and the encoder output from its last state."""
        profile, direction = self._profile(node, removed), self._direction(node, removed)
        return self._composed(int(self._type(node)), state, profile, direction)

    def _composed(
        self, node_type: int, state: np.ndarray, profile: np.ndarray, direction: np.ndarray
    ) -> np.ndarray:
        """A vector of its three parts; node_type: number of the type."""
        z = node_layer.projected(self.trained.output[node_type], self.trained.output_bias[node_type], state)
        if not self.profile_dim:
            return np.concatenate([direction * np.sqrt(np.float32(len(z))), z])
        known = profiles.profile_lengths(profile[None])
        output = z / np.linalg.norm(z) * known * profiles.ENCODER_LENGTH
        return np.concatenate([profile, direction * known * profiles.SVD_LENGTH, output]).astype(np.float32)

    def _direction(self, node: int, removed: Removed) -> np.ndarray:
        """The SVD part of the node's vector, scaled to length 1; zeros if no edge is left."""
        row = self._unit(np.array([node]))[0]
        if node not in removed or not self.svd_dim:
            return row
        if removed[node].all():
            return np.zeros_like(row)
        lengths = self.trained.lengths
        neighbours = self.network.other[self._entries(node)][removed[node]]
        scale = lengths[neighbours] / np.sqrt(self.degrees[neighbours])
        lost = (scale @ self._unit(neighbours)) * self._inverse_values()
        remaining = row * lengths[node] * np.sqrt(self.degrees[node]) - lost
        return remaining / max(np.linalg.norm(remaining), 1e-12)

    def _inverse_values(self) -> np.ndarray:
        """1 / the SVD's eigenvalues, 0 for those that are noise."""
        values = self.trained.values
        resolved = np.abs(values) > RESOLVED * np.abs(values).max()
        return np.divide(1, values, out=np.zeros_like(values), where=resolved)

    def _unit(self, nodes: np.ndarray) -> np.ndarray:
        """The SVD part of stored vectors, scaled to length 1."""
        rows = self.stored[nodes, self.profile_dim : self.profile_dim + self.svd_dim]
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    def _profile_parts(
        self, edges: Sequence[np.ndarray], node_type: str
    ) -> dict[profiles.Side, profiles.Part]:
        if self.trained.divisors is None:
            raise ValueError("it does not record the divisors of its profiles")
        span = self.kg.span(node_type)
        rows = profiles.Rows(self.stored[span, : self.profile_dim], self.trained.divisors[span])
        return profiles.parts(self.kg, edges, node_type, rows)

    def _profile(self, node: int, removed: Removed) -> np.ndarray:
        """The relation profile of the node, the first part of its vector."""
        row, node_type = self.stored[node, : self.profile_dim], self._type(node)
        if node not in removed or not self.profile_dim:
            return row
        row = row.copy()
        span, messages = self._entries(node), self.kg.of_role("message")
        for (number, is_head), part in self.profiles[self.kg.node_types[node_type]].items():
            relation = self.kg.relations[messages[number]]
            is_removed = removed[node] & (self.network.relation[span] == messages[number])
            is_within = relation.head_type == relation.tail_type
            if not is_within or relation.directed:
                is_removed &= self.network.forward[span] == is_head
            if not is_removed.any():
                continue
            neighbours = self.network.other[span][is_removed]
            lost, index = neighbours - self.bounds[self._type(neighbours)], node - self.bounds[node_type]
            weights, indices = part.neighbours(index)
            remaining = np.where(np.isin(indices, lost), np.float32(0), weights)
            # In a relation within a type a node counts as its own neighbour while it has another one.
            if is_within and not np.any(remaining[indices != index]):
                remaining[:] = 0
            row[part.columns] = part.recompute(row[part.columns], index, remaining)
        return row


@dataclass(frozen=True)
class CounterfactualScorer:
    """Scores pairs of nodes by recomputed vectors; model: the classifier, trained on `vectors`."""

    encoder: CounterfactualEncoder
    model: Model
    vectors: Vectors
    threads: int

    def changes(self, ways: Sequence[Path]) -> list[float]:
        """The change of the score (log-odds) of each path's ends if the path's edges are removed."""
        if not ways:
            return []
        ends = tuple(np.array([way.nodes[at] for way in ways]) - self.encoder.first[at] for at in (0, -1))
        counterfactual = np.stack([self.encoder.without(way) for way in ways])
        stored = self.vectors.heads[ends[0]], self.vectors.tails[ends[1]]
        after, before = (
            pair_model.replaced(self.model, self.vectors, ends, rows, self.threads)
            for rows in ((counterfactual[:, 0], counterfactual[:, 1]), stored)
        )
        return [float(change) for change in after - before]


def read(
    encoder_path: str | FilePath,
    kg: Graph,
    types: Sequence[str],
    vectors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
) -> CounterfactualEncoder:
    """Read the encoder behind `vectors`, node type -> (nodes, d); metadata: of their embedding file.

    Raises InputError that names the file if it holds no encoder, or not the encoder of these vectors.
    """
    trained = trained_encoder.load(encoder_path)
    edges = holdout.split(kg, float(metadata["valid_share"]), int(metadata["seed"])).train
    try:
        encoder = CounterfactualEncoder(kg, types, trained, vectors, edges)
        encoder.check(int(np.argmax(encoder.degrees)))
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{encoder_path} is not the encoder of the embeddings in its folder ({error}); "
            f"{files.rebuild_hint(encoder_path)}"
        ) from error
    return encoder


def _edges(path: Path) -> Iterator[tuple[int, int, int, bool]]:
    """First node, second node, relation and direction of each edge of a path."""
    return zip(path.nodes, path.nodes[1:], path.relations, path.forward, strict=False)


def _edge_types(kg: Graph) -> np.ndarray:
    """Number of the edge type by which a node receives messages: (relations, 2); -1 for other roles.

    Second axis: 1 if the edge runs from the receiving node to its neighbour, else 0.
    """
    result, count = np.full((len(kg.relations), 2), -1), 0
    for index in kg.of_role("message"):
        is_symmetric = kg.relations[index].is_symmetric
        result[index] = (count, count) if is_symmetric else (count, count + 1)
        count += 1 if is_symmetric else 2
    return result
