"""Compiled loops and dense vector code of the CPU, without any knowledge of graphs.

In: numpy arrays. Out: loops that numba compiled once per environment, and their ranges over threads.
Read first: compiled.
"""
