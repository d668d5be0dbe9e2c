"""The results of a finished run for notebooks and programs: candidates, metrics, evidence, vectors.

In: the folder of a finished run. Out: pandas tables. Read first: reading. With the folder scripts on Python's
path:

    from repurpose import results

    run = results.open("results")
    run.disease("Parkinson's disease")
"""

from repurpose.results.reading import Results, open

__all__ = ["Results", "open"]
