"""Metapaths and neighbour votes: what the graph itself, without embeddings, says about a pair.

In: message relations, known pairs. Out: numbers of each pair of some tails with all heads.
Read first: steps, features.
"""
