"""`course-management recheck`: which enrollments of a term the rules would refuse today."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TextIO

import click

from ..config import Settings
from ..context import RequestContext
from ..repositories.enrolled_students import students_of_term
from ..services.enrollment import rechecking
from ..transfer import spreadsheets
from . import course_arguments
from .service import REFUSED, counted, service

COLUMNS = ("student_id", "course_id", "course_code", "rule", "detail", "facts")


@click.command()
@click.option("--term", required=True, help="The code of the term.")
@click.option(
    "--report",
    type=click.File("w", encoding="utf-8", lazy=True, atomic=True),
    metavar="FILE.csv",
    help="Write the findings to a file, which is replaced, instead of printing them.",
)
def recheck(term: str, report: TextIO | None) -> None:
    """List the students of a term whose enrollments the rules would refuse today.

    They are over the credit limit, have a time conflict, or lack a prerequisite or a linked course: for instance, a
    limit was lowered, a meeting moved or a completion removed since they enrolled. What a permission waives is not
    listed. Changes nothing; safe while the service is in use. Exit code 3 if there are findings.
    """
    context = RequestContext(time_zone=Settings.load().time_zone)
    counts: Counter[str] = Counter()
    students, enrollments, concerned = 0, 0, 0
    with service():
        term_id = course_arguments.find_term(term)
        writer = csv.writer(report, lineterminator="\n") if report else None
        if writer:
            writer.writerow(COLUMNS)
        for student_id, codes in students_of_term(term_id):
            reasons = rechecking.recheck(student_id, list(codes), context)
            students, enrollments, concerned = students + 1, enrollments + len(codes), concerned + bool(reasons)
            for course_id, reason in reasons:
                counts[reason.code] += 1
                facts = json.dumps(reason.facts, default=str)
                row = (student_id, course_id, codes[course_id], reason.code, reason.describe(), facts)
                if writer:
                    writer.writerow([spreadsheets.escaped(str(value)) for value in row])
                else:
                    click.echo("Student {}, course {} ({}): {}. {} {}".format(*row))
    click.echo(f"Rechecked {counted(students, 'student')} with {counted(enrollments, 'enrollment')} in {term}.")
    if not counts:
        click.echo("The rules refuse none of them.")
        return
    listed = ", ".join(f"{code} {count:,}" for code, count in counts.most_common())
    click.echo(f"Findings about {counted(concerned, 'student')}: {listed}.")
    raise SystemExit(REFUSED)
