"""Training of the encoder on one device, with a preflight, checkpoints and a watchdog.

In: the graph, the sections hgt and training, a device. Out: vectors, history, outcome.
Read first: training, preparation.
"""
