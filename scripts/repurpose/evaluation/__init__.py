"""How good a ranking of pairs is.

In: scores of pairs and their labels. Out: metrics with intervals, calibrated probabilities, popularity.
Read first: evaluation, ranks.
"""
