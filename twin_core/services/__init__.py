"""The use cases: what the pages and the scenarios call."""
