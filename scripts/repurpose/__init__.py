"""Drug repurposing on knowledge graphs: the library behind the workflow's scripts."""
