"""Target pairs: which drugs treat which diseases, and how these pairs are split without leakage.

In: the graph with its target relations. Out: labelled pairs with a split per scheme, the certificate.
Read first: pairs.
"""
