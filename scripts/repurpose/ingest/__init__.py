"""From a table of edges in any format to the graph, with an account of every row.

In: a path or URL of a table, and of a table of nodes. Out: Graph and its ledger. Read first: ingest, tables.
"""
