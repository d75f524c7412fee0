"""Triggers that count seats, write the ledger, raise the schedule revision of students, and protect all of it.

They hold for every program that writes enrollments, psql and imports included: no course is oversold, every change has
a line in the ledger, and the counters are exact. A change whose `revision` did not rise was made by hand: its ledger
line has the actor `database` and the time of the database's clock, but no earlier than the line before it in the
course. The same holds for a row inserted without a date, which is recognized by the default (the start of the
transaction; on SQLite the present second).

A ledger refuses every change of a line but one (`erasure`): what it says about a student can be erased.

One gap: on SQLite, INSERT OR REPLACE over an enrolled or waitlisted row fires no trigger on a connection that has not
set `recursive_triggers` (the service's connections have). The ledger refuses REPLACE everywhere. The statements are
those of the present schema; each migration has its own frozen copy, and a test compares the two.

The schedule revision of a student rises with each change of status or credits in a course of a term, and when a course
in which the student is enrolled or waitlisted is moved into a term; the enrolled students then get the credits of the
course. A change of credits alone writes a line of the ledger with the same status before and after, at the time of the
database's clock. A transaction that moves several courses must lock all of
them and then all of their students, ascending by id, because the trigger raises the students of one course at a time.

PostgreSQL has statement-level triggers that loop over the transition tables: one update per course, so that a bulk load
does not update a course once per row, then one ledger line per change. The courses are updated in ascending order, then
the students, which is the order of all locks. The ledger is written last, so that the ids of its lines about one course
are in the order of the changes. An INSERT ... ON CONFLICT DO UPDATE fires both triggers, one of them with no rows.
SQLite has row-level triggers only, with the same effect.

The guard of a course's term comes after the update on PostgreSQL: for a trigger before it, PostgreSQL locks the row
first, whatever columns change.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, text

from .postgresql import POSTGRESQL
from .sqlite import SQLITE

__all__ = ["POSTGRESQL", "SQLITE", "STATEMENTS", "create"]

STATEMENTS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def create(_: MetaData, connection: Connection, **__: Any) -> None:
    """Create the triggers. Listens to `after_create` of the models, so that `create_all` creates the whole database."""
    for statement in STATEMENTS[connection.dialect.name]:
        connection.execute(text(statement))
