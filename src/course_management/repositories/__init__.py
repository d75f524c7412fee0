"""Reads, one module per topic: each function returns plain rows of one statement in autocommit, except for exports."""
