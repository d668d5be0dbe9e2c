"""From a table of edges to the graph, with a ledger that accounts for every row.

In: a path or URL of a table, and of a table of nodes. Out: Graph and its ledger. Read first: ingest, tables.
"""
