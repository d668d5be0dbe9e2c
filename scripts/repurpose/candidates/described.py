"""A tail that the graph lacks, such as a new disease, described by nodes that it would be linked to.

Nothing is trained again. The graph gets the node with its links, so paths, votes and explanations are those
of any other node. Its vector is computed by the trained encoder from the vectors of its neighbours (see
`CounterfactualEncoder.of_new_node`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from repurpose.candidates.finished import FinishedDevice
from repurpose.classifier import classifier
from repurpose.core.errors import InputError
from repurpose.graph import graph, names
from repurpose.graph.graph import Graph, Relation
from repurpose.graph.names import shown
from repurpose.metapaths import steps

ID = "described"
# The node types that a word of the command line stands for; `similar` are nodes of the tail's own type.
WORDS = {"genes": re.compile("gene|protein", re.I), "symptoms": re.compile("symptom|phenotyp|sign", re.I)}
SIMILAR = "similar"
NAMED = 5  # names that a message lists


@dataclass(frozen=True)
class Description:
    """What is known of the new tail.

    links: relation index -> indices of neighbours within their type. unknown: names that the graph lacks.
    """

    name: str
    links: Mapping[int, np.ndarray]
    unknown: tuple[str, ...]

    def summary(self, kg: Graph) -> str:
        """How many links of which relations there are, and what was left out, as a sentence."""
        counts = [
            f"{len(nodes)} {shown(kg.relations[index].relation)}" for index, nodes in self.links.items()
        ]
        left_out = f"; left out, because the graph lacks them: {_some(self.unknown)}" if self.unknown else ""
        return f"Links of {self.name}: {', '.join(counts)}{left_out}"


def describe(
    kg: Graph,
    tail_type: str,
    name: str,
    by_word: Mapping[str, Sequence[str]],
    by_relation: Mapping[str, Sequence[str]],
) -> Description:
    """The links of a tail to the nodes with these ids or names.

    by_word: a word of WORDS, or SIMILAR -> names. Of the relations between the tail type and a type that
    the word stands for, the one with the most edges that knows the name counts. by_relation: relation ->
    names. Raises InputError if the graph has no such relation, or none of the names.
    """
    links: dict[int, set[int]] = {}
    unknown = []
    for asked, texts, indices in [
        *((word, texts, _of_word(kg, tail_type, word)) for word, texts in by_word.items()),
        *((relation, texts, _of_name(kg, tail_type, relation)) for relation, texts in by_relation.items()),
    ]:
        if not indices:
            raise InputError(_no_relation(kg, tail_type, asked))
        for text in texts:
            found = _find(kg, tail_type, text, indices)
            if found:
                links.setdefault(found[0], set()).add(found[1])
            else:
                unknown.append(text)
    if not links:
        raise InputError(f"the graph has none of the nodes that describe {name}: {_some(unknown)}")
    return Description(
        name, {index: np.array(sorted(links[index])) for index in sorted(links)}, tuple(unknown)
    )


def with_tail(device: FinishedDevice, described: Description) -> FinishedDevice:
    """The device with the described node as its last tail, which has no known pair.

    Raises InputError if the vectors are those of another tool, whose encoder is not known.
    """
    if device.counterfactuals is None:
        raise InputError(
            "a disease that is not in the graph needs the trained encoder, and these embeddings come without "
            "one: ask a device that was trained (--device)"
        )
    tail_type, kg = device.target.tail_type, device.kg
    larger = graph.with_node(kg, tail_type, ID, described.name, described.links)
    vector = device.counterfactuals.encoder.of_new_node(tail_type, described.links)
    rows = np.concatenate([device.vectors.tails, vector[None].astype(np.float32)])
    vectors = replace(device.vectors, tails=rows)
    model = device.model
    sizes = len(vectors.heads), len(vectors.tails)
    treated = classifier.treated_masks(device.treated, sizes, device.metrics["question"])
    metapaths = model.metapaths
    if metapaths:
        metapaths = metapaths.on_graph(steps.of_graph(larger), larger.count(tail_type))
    return replace(
        device,
        # Counterfactual scores need states of all nodes, which the new one has none of.
        source=device.source._replace(encoder=None),
        kg=larger,
        vectors_by_type={**device.vectors_by_type, tail_type: rows},
        vectors=vectors,
        model=model._replace(metapaths=metapaths, weights=replace(model.weights, treated=treated)),
    )


def linked(kg: Graph, tail_type: str, tail: int, word: str) -> list[str]:
    """The ids by which a word (see `describe`) would describe a tail of the graph."""
    indices = _of_word(kg, tail_type, word)
    return _neighbours(kg, tail_type, tail, indices[0]) if indices else []


def links_of(kg: Graph, tail_type: str, tail: int) -> dict[str, list[str]]:
    """All links of a tail of the graph, as `by_relation` of `describe`."""
    found = {}
    for index in kg.of_role("message"):
        if _other(kg.relations[index], tail_type):
            found[kg.relations[index].relation] = _neighbours(kg, tail_type, tail, index)
    return {relation: ids for relation, ids in found.items() if ids}


def _neighbours(kg: Graph, tail_type: str, tail: int, index: int) -> list[str]:
    """The ids of a tail's neighbours in a relation."""
    relation, heads, tails = kg.relations[index], kg.heads[index], kg.tails[index]
    found = [tails[heads == tail]] if relation.head_type == tail_type else []
    found += [heads[tails == tail]] if relation.tail_type == tail_type else []
    other = _other(relation, tail_type)
    return kg.node_ids[other][np.unique(np.concatenate(found))].tolist()


def _of_word(kg: Graph, tail_type: str, word: str) -> list[int]:
    """Message relations of the tail type with types that the word stands for, those with most edges first."""
    found = []
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        other = _other(relation, tail_type)
        is_meant = other == tail_type if word == SIMILAR else other and WORDS[word].search(shown(other))
        if is_meant and (word == SIMILAR or other != tail_type):
            found.append(index)
    return sorted(found, key=lambda index: -kg.relations[index].edges)


def _of_name(kg: Graph, tail_type: str, name: str) -> list[int]:
    """Message relations of the tail type with this name."""
    return [
        index
        for index in kg.of_role("message")
        if _other(kg.relations[index], tail_type)
        and name in (kg.relations[index].relation, shown(kg.relations[index].relation))
    ]


def _other(relation: Relation, tail_type: str) -> str:
    """The type at the other end of a relation of the tail type; "" if it has no end there."""
    if relation.head_type == tail_type:
        return relation.tail_type
    return relation.head_type if relation.tail_type == tail_type else ""


def _find(kg: Graph, tail_type: str, text: str, indices: Sequence[int]) -> tuple[int, int] | None:
    """The first relation that leads to a node with this id or name, and the node; None if there is none."""
    for index in indices:
        other = _other(kg.relations[index], tail_type)
        if kg.relations[index].edges and names.has(kg, other, text):
            return index, names.find(kg, other, text)
    return None


def _no_relation(kg: Graph, tail_type: str, asked: str) -> str:
    known = {kg.relations[i].relation for i in kg.of_role("message") if _other(kg.relations[i], tail_type)}
    return (
        f"no relation of {shown(tail_type)} nodes leads to what {asked} stands for: give the relation with "
        f"--linked RELATION NAME ..., one of {', '.join(sorted(known)) or 'none'}"
    )


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - NAMED
    return ", ".join(texts[:NAMED]) + (f" and {more} more" if more > 0 else "")
