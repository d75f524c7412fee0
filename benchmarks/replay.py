"""Replay a Toronto course file on a running service, over HTTP only, then check every seat.

    python benchmarks/replay.py yor-f-83.stu --url http://127.0.0.1:8000 --threads 16 --capacity 0.9 --churn

A line of the file is a student, its numbers are that student's courses. The final state of the service is compared with
the file, not with the responses during the run, so that a lost or doubled seat is always found. Each run creates new
courses and students, so the database need not be empty. With `--timetable`, the courses are those of a term, and the
rules of registration decide (`timetable.py`).
"""

from __future__ import annotations

import json
import random
import re
import secrets
import sys
from collections import Counter
from contextlib import closing
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TextIO

import click

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that this script finds the modules beside it as `benchmarks`

from benchmarks.client import Json, Service, Unusable, create
from benchmarks.enrollments import Seen, check, enroll, look, unenroll
from benchmarks.timetable import replay_in_term

# --- from the file to enrollments -------------------------------------------------------------------------


def read(path: Path) -> list[list[int]]:
    """Return the course numbers of each student. A repeated number counts once, an empty line is ignored."""
    students = []
    for line, text in enumerate(path.read_text(encoding="ascii", errors="replace").split("\n"), start=1):
        words = text.split()
        for word in words:
            if not re.fullmatch(r"[0-9]{1,9}", word):
                raise Unusable(f"{path}, line {line}: {word!r} is not a course number.")
        if words:
            students.append(list(dict.fromkeys(int(word) for word in words)))
    if not students:
        raise Unusable(f"There is no student in {path}.")
    return students


def capacity_for(demand: int, fraction: float | None) -> int | None:
    """Return the seats of a course with this demand; None without a fraction.

    The product is decimal, because 0.29 * 100 is 28.999… in binary.
    """
    return None if fraction is None else max(1, int(Decimal(str(fraction)) * demand))


def choose_to_unenroll(seen: Seen, seed: int) -> dict[int, list[str]]:
    """Choose a random third of all seats to unenroll from: student id to course codes."""
    seats = [(student, row["code"]) for student, rows in seen.lists.items() for row in rows if row["position"] is None]
    dropped: dict[int, list[str]] = {}
    for student, code in random.Random(seed).sample(seats, len(seats) // 3):  # noqa: S311 - no secret, a choice
        dropped.setdefault(student, []).append(code)
    return dropped


# --- the command ------------------------------------------------------------------------------------------


def replay(service: Service, students: list[list[int]], fraction: float | None, seed: int | None) -> tuple[Json, Json]:
    """Enroll all students and check; with a seed, unenroll some and check again. Return the figures and the faults."""
    prefix = secrets.token_hex(3)
    requested = [[f"{prefix}-{number:04}" for number in numbers] for numbers in students]
    demand = Counter(chain.from_iterable(requested))
    limits = {code: capacity_for(demand[code], fraction) for code in sorted(demand)}
    courses = {c: {"code": c, "title": c, "capacity": n, "waitlist_capacity": None} for c, n in limits.items()}
    people = {n: {"name": f"Student {n}", "email": f"{prefix}-{n}@example.edu"} for n in range(len(requested))}
    ids = create(service, "/courses", courses)
    requests = dict(zip(create(service, "/students", people).values(), requested, strict=True))
    figures: Json = {"students": len(requests), "courses": len(ids), "enrollments": demand.total()}
    figures |= enroll(service, ids, requests, waitlist=fraction is not None)
    seen = look(service, ids, requests)
    wrong = check(limits, requests, seen, seen)
    if seed is not None:
        dropped = choose_to_unenroll(seen, seed)
        figures["failures"] += unenroll(service, ids, dropped)
        requests = {student: sorted(set(codes) - set(dropped.get(student, ()))) for student, codes in requests.items()}
        after = look(service, ids, requests)
        wrong = {kind: wrong[kind] + more for kind, more in check(limits, requests, after, seen).items()}
        waited, waiting = (sum(course["waiting"] for course in each.courses.values()) for each in (seen, after))
        figures |= {"seed": seed, "seats_freed": sum(map(len, dropped.values())), "seats_retaken": waited - waiting}
    return figures | {kind: len(found) for kind, found in wrong.items()}, wrong


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", required=True, help="The running service, as in http://127.0.0.1:8000.")
@click.option("--threads", type=click.IntRange(1, 256), default=4, show_default=True, help="Number of connections.")
@click.option("--capacity", type=click.FloatRange(0, 1, min_open=True), help="Seats for this share of the demand.")
@click.option("--churn", is_flag=True, help="Afterwards, unenroll a random third of the enrolled students.")
@click.option(
    "--timetable", "in_term", is_flag=True, help="By the rules of a term: a timetable, time conflicts, a credit limit."
)
@click.option("--seed", type=int, default=lambda: secrets.randbelow(10**6), help="Random seed, to repeat a run.")
@click.option("--json", "out", type=click.File("w", lazy=False), help="Write the figures as JSON too; - is stdout.")
def main(  # noqa: PLR0913 - click hands over each option as an argument
    *,
    file: Path,
    url: str,
    threads: int,
    capacity: float | None,
    churn: bool,
    in_term: bool,
    seed: int,
    out: TextIO | None,
) -> None:
    """Enroll all students of FILE.stu at a running service and check every seat; exit 1 when something is wrong."""
    if in_term and (churn or capacity):
        raise click.UsageError("--timetable has seats for all, so give neither --capacity nor --churn.")
    students = read(file)
    with closing(Service(url, threads)) as service:
        if in_term:
            measured, wrong = replay_in_term(service, students, seed)
        else:
            measured, wrong = replay(service, students, capacity, seed if churn else None)
    figures = {"file": file.name, "threads": threads, "capacity": capacity, **measured}
    width = max(map(len, figures))
    for name, value in figures.items():
        where = ", ".join(map(str, wrong.get(name, [])[:5]))
        line = f"{name.replace('_', ' '):{width}}  {value}  {where}".rstrip()
        click.echo(line, err=out is not None and out.name == "<stdout>")
    if out:
        print(json.dumps(figures, indent=2), file=out)
    sys.exit(1 if figures["failures"] or any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
