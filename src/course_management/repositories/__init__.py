"""Reads, one module per topic: each function runs one statement in autocommit and returns plain rows."""
