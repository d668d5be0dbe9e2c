"""Vectors of nodes: the embedding file, given features, and what linear algebra says without training.

In: the graph, or an embedding file. Out: one row per node. Read first: embeddings, vectors.
"""
