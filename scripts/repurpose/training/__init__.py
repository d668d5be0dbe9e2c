"""The training of the encoder on one device: watched, resumed after a kill, or refused with a reason.

In: the graph, the sections hgt and training, a device. Out: vectors, history, outcome.
Read first: training, preparation.
"""
