"""The classifier of drug-disease pairs: boosted trees and kernel ridge regression on node vectors.

In: node vectors, labelled pairs. Out: a model, its metrics on every split, its probabilities.
Read first: classifier, pair_model.
"""
