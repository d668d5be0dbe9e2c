"""Compiled loops and vector code for the CPU, independent of graphs.

In: numpy arrays. Out: loops that numba compiles once per environment, and ranges to run them on threads.
Read first: compiled.
"""
