"""Proof that the promises hold under load and faults, and that each proof can fail: `make proof`.

Every part runs on SQLite or on a PostgreSQL that is started for it, with everything that makes them safe switched on,
and against the real server of two worker processes (but for the model, which steps through the app itself). A part
returns what it counted and what it checked. All chance comes from one seed, which is printed; threads and processes
still meet as they please.
"""
