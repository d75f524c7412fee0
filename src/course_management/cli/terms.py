"""`course-management terms`: list them, move existing courses into one, delete data of old ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

import click

from ..config import Settings
from ..database import AnyRow
from ..errors import Problem
from ..repositories import course_lookup
from ..services import adopting, retention
from . import course_arguments
from .service import REFUSED, counted, service


@click.group()
def terms() -> None:
    """Terms, in which the rules of registration apply."""


@terms.command("list")
def list_terms() -> None:
    """List the terms by their first day, with the number of their courses."""
    with service():
        for term in course_lookup.all_terms():
            click.echo(f"{term.code:20}  {term.starts_on} to {term.ends_on}  {term.courses:6} courses  {term.title}")


@terms.command()
@click.argument("code")
@click.option("--courses", "named_courses", multiple=True, metavar="COURSE...", help="Codes or ids of courses.")
@click.argument("more", nargs=-1, metavar="")
@click.option("--from", "file", type=click.File(encoding="utf-8"), help="A file with one name per line; - for stdin.")
@click.option("--all", "all_courses", is_flag=True, help="All courses that have no term.")
def adopt(
    code: str, named_courses: tuple[str, ...], more: tuple[str, ...], file: TextIO | None, *, all_courses: bool
) -> None:
    """Move courses without a term into the term CODE, with all students who are enrolled or waitlisted.

    From then on, the rules of the term apply to new enrollments; a term without registration windows is closed to all
    students. A course never leaves its term. Safe while the service is in use.

    A name that is the id of one course and the code of another is refused: write id=101 or code=101. If a name is
    unknown, nothing is changed (exit code 2). Courses are moved in batches of 50, each all or nothing; run the command
    again to continue after an interruption. A course that is in another term, or whose code the term has already,
    stays as it is and is reported (exit code 3).
    """
    course_names = [*named_courses, *more, *_lines(file)]
    if bool(course_names) == all_courses:
        raise click.UsageError("Name the courses with --courses or --from, or use --all.")
    with service("warning"):
        term_id = course_arguments.find_term(code)
        courses = {
            row.id: row for row in course_arguments.find_courses(course_names, lambda rows: _movable(rows, term_id))
        }
        results = list(adopting.adopt(term_id, course_lookup.courses_without_term() if all_courses else list(courses)))
        refused = {result.course_id: result.refusal for result in results if result.refusal}
        if all_courses:
            courses = {row.id: row for row in course_lookup.courses_by_code_or_id([], refused)}
    enrollment_counts = [result.enrollments for result in results if result.enrollments is not None]
    courses_moved, enrollments = (
        counted(len(enrollment_counts), "course"),
        counted(sum(enrollment_counts), "enrollment"),
    )
    click.echo(f"Moved {courses_moved} with {enrollments} into {code}.")
    if unchanged := len(results) - len(enrollment_counts) - len(refused):
        click.echo(f"Already in it: {counted(unchanged, 'course')}.")
    for course_id, refusal in refused.items():
        click.echo(_refusal(course_id, refusal, courses.get(course_id)), err=True)
    if refused:
        raise SystemExit(REFUSED)


def _lines(file: TextIO | None) -> Sequence[str]:
    """Return the names in a file. Raises `BadParameter`."""
    try:
        return [line.strip() for line in file or () if line.strip()]
    except ValueError:
        raise click.BadParameter("the file is not a text in UTF-8", param_hint="--from") from None


def _movable(rows: list[AnyRow], term_id: int) -> Sequence[AnyRow]:
    """Return the course that is meant by a code: the one without a term, or of this term, or one to report."""
    return sorted(rows, key=lambda row: (row.term_id is not None, row.term_id != term_id))[:1]


def _refusal(course_id: int, refusal: Problem, course: AnyRow | None) -> str:
    name = course_arguments.describe(course) if course else f"id {course_id}"
    existing = refusal.members.get("existing_id")
    return f"{name}: {refusal.code}. {refusal.detail}" + (f" existing_id: {existing}." if existing else "")


@terms.command()
@click.argument("codes", nargs=-1, metavar="[CODE]...")
@click.option("--ended-before", type=click.DateTime(["%Y-%m-%d"]), help="All terms that ended before this day.")
@click.option("--apply", "applies", is_flag=True, help="Do it. Without, only the numbers of rows are shown.")
def purge(codes: tuple[str, ...], ended_before: datetime | None, *, applies: bool) -> None:
    """Delete what old terms no longer need: shows what, and does it with --apply.

    Deleted are dropped and waitlisted enrollments, plans, permissions, registration windows and credit limits of
    students; reasons are emptied, also in the ledger. Courses, enrolled and withdrawn students, completions and the
    lines of the ledgers stay. Safe while the service is in use; run it again after an interruption.
    """
    if bool(codes) == bool(ended_before):
        raise click.UsageError("Name the terms by their codes, or use --ended-before.")
    today = datetime.now(Settings.load().time_zone).date()
    with service("warning"):
        if ended_before:
            codes = tuple(retention.ended_before(min(ended_before.date(), today)))
        for code, term_id in [(code, course_arguments.find_term(code)) for code in codes]:
            try:
                counts = retention.purge(term_id, today, _show_courses) if applies else retention.count(term_id)
            except retention.NotEnded as refusal:
                raise click.ClickException(f"{code}: {refusal}") from None
            click.echo(f"{code}")
            for what, count in counts.items():
                if count:
                    click.echo(f"  {count:>10,} {what}")
    click.echo("Done." if applies else "Nothing was changed. Add --apply to do it.")


def _show_courses(done: int) -> None:
    if sys.stdout.isatty():
        click.echo(f"  {done:>10,} courses ...\r", nl=False)
