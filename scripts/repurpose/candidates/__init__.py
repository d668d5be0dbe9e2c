"""The ranking of all drugs for all diseases, its explanations, and questions about it.

In: a device's model and vectors. Out: candidates, evidence, answers. Read first: candidates, evidence.
"""
