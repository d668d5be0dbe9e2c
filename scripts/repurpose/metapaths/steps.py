"""Steps over message relations, and metapaths, which are sequences of steps from a head to a tail.

A step follows one relation in one direction. A metapath is a tuple of step numbers, from the head to the
tail. No metapath contains a relation between the two types of the target, because such relations carry no
messages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.graph.names import in_words, shown

# Exponent of the degrees in a walk's weight, as in the degree-weighted path count of Himmelstein & Baranzini,
# "Heterogeneous network edge prediction", PLoS Comput. Biol. 2015.
DAMPING = 0.4

Metapath = tuple[int, ...]


@dataclass(frozen=True)
class Steps:
    """All steps of a graph; step i leads from nodes of the type starts[i] to nodes of the type ends[i].

    matrices: float32 (start nodes, end nodes); an edge has the weight (degree of one end x degree of the
    other end) ^ -DAMPING, with degrees within the relation. reverse: number of the step in the other
    direction; a symmetric relation has one step, which is its own reverse. names: the relation, with "<" in
    front if the step follows it from tail to head. sizes: node type -> number of nodes.
    """

    names: tuple[str, ...]
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    matrices: tuple[sparse.csr_array, ...]
    reverse: tuple[int, ...]
    sizes: dict[str, int]

    def starting_at(self, node_type: str) -> list[int]:
        """Numbers of the steps that start at nodes of a type."""
        return [number for number, start in enumerate(self.starts) if start == node_type]

    def cost(self, number: int) -> int:
        """Multiplications of a product of the step's matrix with a vector."""
        return self.matrices[number].nnz


def of_graph(kg: Graph) -> Steps:
    """The steps of all message relations that have an edge."""
    names, starts, ends, weighted, reverse = [], [], [], [], []
    for relation, edges in zip(kg.message_relations, kg.message_edges(), strict=True):
        if not edges.shape[1]:
            continue
        matrix = damped(matrices.binarize(matrices.relation_matrix(kg, relation, edges)))
        number = len(names)
        names.append(relation.relation)
        starts.append(relation.head_type)
        ends.append(relation.tail_type)
        weighted.append(matrix)
        reverse.append(number if relation.is_symmetric else number + 1)
        if not relation.is_symmetric:
            names.append(f"<{relation.relation}")
            starts.append(relation.tail_type)
            ends.append(relation.head_type)
            weighted.append(sparse.csr_array(matrix.T))
            reverse.append(number)
    sizes = {node_type: kg.count(node_type) for node_type in kg.node_types}
    return Steps(tuple(names), tuple(starts), tuple(ends), tuple(weighted), tuple(reverse), sizes)


def damped(matrix: sparse.csr_array) -> sparse.csr_array:
    """A matrix of ones (m, n) with each entry multiplied by its row's and its column's degree ^ -DAMPING."""
    factors = [np.maximum(matrix.sum(axis=axis), 1).astype(np.float64) ** -DAMPING for axis in (1, 0)]
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    values = (factors[0][rows] * factors[1][matrix.indices]).astype(np.float32)
    return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def metapaths(steps: Steps, head_type: str, tail_type: str, longest: int, most: int) -> list[Metapath]:
    """All metapaths of 1 to `longest` steps from the head type to the tail type, short ones first.

    A graph with many relations has very many long metapaths: lengths that would give more than `most`
    metapaths in all are left out.
    """
    arriving = {tail_type: [()]}
    result: list[Metapath] = []
    for length in range(1, longest + 1):
        # Metapaths that end at the tail type, extended by one step at their start.
        extended: dict[str, list[Metapath]] = {}
        for number, (start, end) in enumerate(zip(steps.starts, steps.ends, strict=True)):
            extended.setdefault(start, []).extend((number, *rest) for rest in arriving.get(end, []))
        found = sorted(extended.get(head_type, []))
        if len(result) + len(found) > most:
            break
        result += found
        # What no further step can bring to the head type within the limit is not extended.
        left = longest - length
        arriving = {t: rest for t, rest in extended.items() if _distance(steps, head_type, t, left) <= left}
        if sum(map(len, arriving.values())) > most * max(1, len(steps.names)):
            break
    return result


def connects(steps: Steps, metapath: Sequence[int], head_type: str, tail_type: str) -> bool:
    """Whether the numbers are those of steps that lead from the head type to the tail type."""
    if not metapath or not all(0 <= number < len(steps.names) for number in metapath):
        return False
    stops = [head_type, *(steps.ends[number] for number in metapath)]
    return stops[-1] == tail_type and stops[:-1] == [steps.starts[number] for number in metapath]


def text(steps: Steps, metapath: Sequence[int]) -> str:
    """A metapath as text, such as "drug -binds- gene -associates- disease"."""
    words = [shown(steps.starts[metapath[0]])] if metapath else []
    for number in metapath:
        relation = relation_in_words(steps, number)
        words.append(f"{f'-{relation}-' if relation else '-'} {shown(steps.ends[number])}")
    return " ".join(words)


def relation_in_words(steps: Steps, number: int) -> str:
    """The relation that a step follows, as people read it; "" if it says no more than its two types."""
    types = steps.starts[number], steps.ends[number]
    words = in_words(steps.names[number].removeprefix("<"), *types)
    of_types = {word for node_type in types for word in re.split(r"[_/ ]", shown(node_type).casefold())}
    return "" if set(words.casefold().split()) <= of_types else words


def _distance(steps: Steps, first: str, last: str, most: int) -> int:
    """Number of steps of the shortest way from one node type to another; most + 1 if it is longer."""
    reached, distance = {first}, 0
    while last not in reached and distance <= most:
        reached |= {end for start, end in zip(steps.starts, steps.ends, strict=True) if start in reached}
        distance += 1
    return distance
