"""The score of drug-disease pairs: models of node vectors and of metapaths, summed with chosen weights.

In: node vectors, metapaths and votes, labelled pairs. Out: a model, its metrics on every split, its
probabilities. Read first: classifier, pair_model, metapath_model.
"""
