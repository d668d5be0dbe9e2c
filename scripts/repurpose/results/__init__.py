"""The results of a finished run as pandas tables, for notebooks and programs.

In: the folder of a finished run. Out: candidates, metrics, evidence, vectors. Read first: reading.
"""

from repurpose.results.reading import Results, open

__all__ = ["Results", "open"]
