"""Reads. Named questions, one module a subject; each is one statement in autocommit that returns plain rows."""
