"""How well a score ranks drug-disease pairs.

In: scores of pairs and their labels. Out: metrics with intervals, calibrated probabilities, the effect of
popularity bias. Read first: evaluation, ranks.
"""
