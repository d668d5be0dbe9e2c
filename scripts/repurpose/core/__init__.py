"""What every stage uses: errors for people, whole files or none, logs, threads, digests of code.

In: nothing of this library. Out: errors.InputError, files.replacing, source.digest.
Read first: errors, files.
"""
