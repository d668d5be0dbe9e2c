"""Node vectors: the embedding file, the user's node features, and baselines from linear algebra.

In: the graph, or an embedding file. Out: one vector per node. Read first: embeddings, vectors.
"""
