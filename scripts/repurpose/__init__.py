"""Drug repurposing on knowledge graphs: the library that the workflow's scripts call."""
