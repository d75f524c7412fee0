"""What an operator does about an error that the database names, by SQLSTATE or by SQLite's symbol."""

from __future__ import annotations

REMEDIES = {
    ("53100", "SQLITE_FULL"): "The disk of the database is full. Make room on it.",
    ("25006", "SQLITE_READONLY"): "The database is read-only. Name the primary server, or a file that may be written.",
    ("53300",): "The database server has no connection left. Raise its max_connections, or lower WORKERS or THREADS.",
    ("42501", "SQLITE_PERM", "SQLITE_AUTH"): "The database role lacks a permission. Make it the owner of the database.",
    ("55P03", "SQLITE_BUSY", "SQLITE_LOCKED"): "Another session holds a lock for too long. Try again, or end it.",
    (
        "SQLITE_NOTADB",
        "SQLITE_CORRUPT",
        "XX001",
        "XX002",
    ): "The database is damaged or not a database. Restore a backup.",
}


def remedy(kind: str) -> str | None:
    """Return the sentence for an error that `kind_of` calls `kind`; None when nothing better can be said."""
    for kinds, sentence in REMEDIES.items():
        if kind.startswith(kinds):  # SQLite appends details, as in SQLITE_READONLY_DBMOVED
            return f"{sentence} ({kind})"
    return None
