"""Reads, one module per subject: each function runs one statement in autocommit and returns plain rows."""
