"""`course-management students`: the data of one student, exported or erased."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import orjson

from ..config import Settings
from ..database import db, snapshot
from ..database.types import utcnow
from ..errors import StudentNotFound
from ..maintenance import archives
from ..models.personal import TREATMENTS
from ..repositories import student_data
from ..services import erasure
from .service import REFUSED, counted, service

FORMAT = "course-management student 1"
_STUDENT = click.argument("student", type=click.IntRange(1))


@click.group()
def students() -> None:
    """All data about one student, who is named by the id."""


@students.command()
@_STUDENT
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def export(student: int, file: Path, *, force: bool) -> None:
    """Write all data about the student with the id STUDENT to FILE, as JSON that only you can read.

    It has the rows of all tables that name the student, with notes for staff. Log files and backups are not part of it.
    """
    with service():
        with snapshot() as connection:
            rows = dict(student_data.rows_about(connection, student))
            if "students" not in rows:
                raise click.BadParameter(f"there is no student {student}")
            document = {
                "format": FORMAT,
                "student_id": student,
                "exported_at": utcnow(),
                "data": rows,
                "named": student_data.titles_of_references(connection, rows),
            }
        try:
            with archives.new_file(file, replace=force) as temporary:
                temporary.write_bytes(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2) + b"\n")
        except archives.ArchiveError as error:
            raise click.ClickException(str(error)) from None
    total = sum(map(len, rows.values()))
    click.echo(f"Wrote {counted(total, 'row')} of {counted(len(rows), 'table')} to {file}.")


@students.command()
@_STUDENT
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(student: int, *, yes: bool) -> None:
    """Erase what identifies the student with the id STUDENT. This cannot be undone.

    The name, address, external id, accounts, groups, plans, notes and reasons are erased, also in the ledgers and in
    rows of imports. The number stays, with enrollments, completions and the ledger. Refused (exit code 3) while the
    student is enrolled or waitlisted in a course that has not ended. Backups, log files and the system that students
    are imported from keep what they have.
    """
    settings = Settings.load()
    if not yes:
        click.confirm(f"Erase student {student}? This cannot be undone.", abort=True)
    with service("warning"):
        try:
            counts = erasure.erase(student, datetime.now(settings.time_zone).date())
        except StudentNotFound:
            raise click.BadParameter(f"there is no student {student}") from None
        except erasure.StillEnrolled as refusal:
            click.echo(str(refusal), err=True)
            raise SystemExit(REFUSED) from None
        _empty_old_log()
    for table, count in counts.items():
        if count:
            click.echo(f"{table:20} {counted(count, 'row')} {'deleted' if TREATMENTS[table].is_deleted else 'emptied'}")
    click.echo(f"Erased student {student}. Delete old backups and log files when their time is over.")


def _empty_old_log() -> None:
    """Empty the write-ahead log of SQLite, which has the old pages until then."""
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect().execution_options(autocommit=True) as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
