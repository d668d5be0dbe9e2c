"""Basics that every stage uses: errors for users, safe writing of result files, logs, threads, code digests.

In: nothing of this library. Out: errors.InputError, files.replacing, source.digest.
Read first: errors, files.
"""
