"""The knowledge graph as integer arrays, and what can be asked of it or made of it.

In: the three files of results/graph. Out: Graph, parts of it, held-out edges, negatives, paths, names.
Read first: graph.
"""
