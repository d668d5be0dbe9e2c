"""The encoder, a Heterogeneous Graph Transformer, on the CPU's own kernels or on PyG's layer.

In: the graph's message edges. Out: an embedding of every node, scores of triples.
Read first: hgt, backends.
"""
