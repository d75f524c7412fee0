"""The guards of the service, each removed in turn: a proof that does not notice proves nothing.

A mutant is a copy of the package in which one piece of text is another, or a database in which one rule is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import course_management

from ..databases import ROOT
from .parts import BACKENDS

STATEMENTS, DATABASE = "services/enrollment/statements.py", "database.py"
DROP_CAPACITY = {
    "postgresql": ["ALTER TABLE courses DROP CONSTRAINT ck_courses_seats_within_capacity"],
    "sqlite": [
        "PRAGMA writable_schema = ON",
        (
            "UPDATE sqlite_schema SET sql = replace(sql,"
            " 'CHECK (seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity))', 'CHECK (1)')"
            " WHERE name = 'courses'"
        ),
    ],
}
DROP_LEDGER = {
    "postgresql": ["DROP TRIGGER student_courses_updated ON student_courses"],
    "sqlite": ["DROP TRIGGER student_courses_updated"],
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard, the part that must notice that it is missing, and what removes it.

    `edits` are a file of the package, a text in it and what stands there instead; `statements` change the database.
    """

    part: str
    sizes: Mapping[str, int]
    edits: tuple[tuple[str, str, str], ...] = ()
    statements: Mapping[str, list[str]] = field(default_factory=dict)
    databases: tuple[str, ...] = BACKENDS


MUTANTS = {
    "the capacity constraint": Mutant("random operations", {"operations": 1000}, statements=DROP_CAPACITY),
    "the capacity constraint and the condition of a seat": Mutant(
        "last seats",
        {"connections": 300, "rounds": 1},
        ((STATEMENTS, "course.c.seats_taken < course.c.capacity", "course.c.id > 0"),),
        DROP_CAPACITY,
    ),
    "the queue rule: a free seat is for the head of the queue": Mutant(
        "random operations",
        {"operations": 1500},
        ((STATEMENTS, "and_(courses.c.waiting == 0, seat_free(courses))", "seat_free(courses)"),),
    ),
    "the order of promotion": Mutant(
        "model",
        {"examples": 30, "steps": 30, "shrink": False},
        (
            (
                "services/enrollment/promotion.py",
                ".order_by(enrollments.c.queue_number)",
                ".order_by(enrollments.c.student_id)",
            ),
        ),
    ),
    "all or nothing": Mutant(
        "model",
        {"examples": 30, "steps": 30, "shrink": False},
        ((STATEMENTS, ".where(counted.c.claimed == asked)", ".where(counted.c.claimed <= asked)"),),
    ),
    "a held seat is left alone": Mutant(
        "model",
        {"examples": 30, "steps": 30, "shrink": False},
        (
            (
                STATEMENTS,
                "where=enrollments.c.status == literal(UNENROLLED, String),\n    ).returning",
                "where=enrollments.c.status.is_not(None),\n    ).returning",
            ),
        ),
    ),
    "the lock order": Mutant(
        "random operations",
        {"operations": 3000},
        ((STATEMENTS, ".order_by(courses.c.id)", ".order_by(func.random())"),),
        databases=("postgresql",),
    ),
    "BEGIN IMMEDIATE": Mutant(
        "random operations",
        {"operations": 1500},
        ((DATABASE, '"BEGIN IMMEDIATE"', '"BEGIN"'),),
        databases=("sqlite",),
    ),
    "the retry": Mutant(
        "random operations",
        {"operations": 4000},
        ((DATABASE, "if not helps or tries > MAX_RETRIES or", "if tries or"),),
    ),
    "the retry of a lost connection": Mutant(
        "cut",
        {"cuts": 6},
        ((DATABASE, "helps = repeatable and lost == 1", "helps = False"),),
        databases=("postgresql",),
    ),
    "the commit that waits for the disk": Mutant(
        "kill",
        {"kills": 4},
        ((DATABASE, '"timezone": "UTC",', '"timezone": "UTC", "synchronous_commit": "off",'),),
        databases=("postgresql",),
    ),
    "the transaction": Mutant(
        "kill",
        {"kills": 4},
        ((DATABASE, '"BEGIN IMMEDIATE"', '"SELECT 1"'),),
        databases=("sqlite",),
    ),
    "a full disk is an outage": Mutant(
        "full disk",
        {},
        ((DATABASE, '"SQLITE_FULL",', ""), (DATABASE, "^(08|53|57|58)", "^(08|57|58)")),
    ),
    "the triggers that count and keep the ledger": Mutant(
        "random operations", {"operations": 500}, statements=DROP_LEDGER
    ),
}


def noticed(name: str, backend: str, seed: int) -> list[str]:
    """Run the part that must notice, on the mutant, as a process of its own; the checks that did not hold."""
    with tempfile.TemporaryDirectory() as folder:
        mutate(MUTANTS[name], Path(folder))
        found = Path(folder, "found.json")
        arguments = {"--mutant": name, "--database": backend, "--seed": str(seed), "--json": str(found)}
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", "tests.proof", *chain.from_iterable(arguments.items())],
            env={**os.environ, "PYTHONPATH": folder},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"without {name}, nothing could be run on {backend}: {done.stderr[-2000:]}")
        outcome = json.loads(found.read_text())
    if not Path(outcome["package"]).is_relative_to(folder):
        raise RuntimeError(f"without {name}: that was not the mutant, but {outcome['package']}")
    return list(dict.fromkeys(check["name"] for check in outcome["checks"] if not check["holds"]))


def mutate(mutant: Mutant, folder: Path) -> None:
    """A copy of the package with the guard removed."""
    package = folder / "course_management"
    shutil.copytree(Path(course_management.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in mutant.edits:
        text = (package / file).read_text()
        if old not in text:
            raise LookupError(f"{file} has no {old!r} any more: say what the guard looks like now")
        (package / file).write_text(text.replace(old, new))
