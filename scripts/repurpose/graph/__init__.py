"""The knowledge graph as integer arrays, and operations on it.

In: the three files of results/graph. Out: Graph, subgraphs, held-out edges, negatives, paths, name look-up.
Read first: graph.
"""
