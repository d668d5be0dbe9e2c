"""The formats in which people have knowledge graphs, each read by one module.

In: the paths that the config names. Out: RawTables, an edges table and a nodes table with named columns.
Read first: reading (which format it is, and what all share), then kgx. CONTRIBUTING.md says how to add one.
"""
