"""The rules of registration a second time, by brute force over the rows of the tables, compared with the service.

Written from docs/rules.md and not from the code. Nothing here imports the rules.
"""
