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
from course_management.database.base import migrations_folder

from ..support.databases import ROOT
from ..support.removed_guards import without_revision
from .parts import BACKENDS
from .report import Outcome
from .rules import OVER_LIMIT
from .schedules import OVER_CREDITS, WITHOUT_LAB

PACKAGE = Path(course_management.__file__).parent
TIMEOUT_S = 600
"""When a mutant is given up; it then proves nothing."""
STATEMENTS, SQLITE = "services/enrollment/statements.py", "database/sqlite.py"
DECIDED, EXCHANGING = "services/enrollment/decided_statements.py", "services/enrollment/exchanging.py"
RETRYING, FAILURES, SESSIONS = "database/execute.py", "database/failures.py", "database/session_settings.py"
WAVES, GROUPS, HUB, CONTEXT = "database/waves.py", "database/groups.py", "database/hub.py", "context.py"
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
LOSE_LINES = {
    "postgresql": [
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        (
            "CREATE TRIGGER lose BEFORE INSERT ON enrollment_events"
            " FOR EACH ROW WHEN (NEW.to_status = 'unenrolled') EXECUTE FUNCTION lose()"
        ),
    ],
    "sqlite": [
        "PRAGMA writable_schema = ON",
        (
            "UPDATE sqlite_schema SET sql = replace(sql,"
            " 'WHERE OLD.status <> NEW.status OR ',"
            " 'WHERE OLD.status <> NEW.status AND NEW.status <> ''unenrolled'' OR ')"
            " WHERE name = 'student_courses_updated'"
        ),
    ],
}
OVERSOLD = "verify: no course is oversold"
MODEL = {"examples": 30, "steps": 30, "shrink": False}
DISAGREE = "steps where the service and the model disagree"
CONFLICTS = "deadlocks and stale snapshots"
LOST = "acknowledged changes that are missing in the ledger"
IN_A_CIRCLE = "test_waves_of_two_threads_never_wait_for_each_other_in_a_circle[True]"
RAN = "the part ran to its end"
"""Any response 500 ends a part."""
RACE = {"seconds": 20}
"""Of the part "rules". Guards whose absence shows too seldom are removed in lock-step, by tests/races."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard, the part that must notice that it is missing, and what removes it.

    `check` is the one that must not hold any more, whatever else does not. `edits` are a file of the package, a text
    in it and what stands there instead; `statements` change the database.
    """

    part: str
    sizes: Mapping[str, int]
    check: str
    edits: tuple[tuple[str, str, str], ...] = ()
    statements: Mapping[str, list[str]] = field(default_factory=dict)
    databases: tuple[str, ...] = BACKENDS


MUTANTS = {
    "the capacity constraint": Mutant("random operations", {"operations": 1000}, OVERSOLD, statements=DROP_CAPACITY),
    "the capacity constraint and the condition of a seat": Mutant(
        "last seats",
        {"connections": 300, "rounds": 1},
        "rounds with other than 100 seats sold",
        ((STATEMENTS, "course.c.seats_taken < course.c.capacity", "course.c.id > 0"),),
        DROP_CAPACITY,
    ),
    "the waitlist rule: a free seat is for the head of the waitlist": Mutant(
        "random operations",
        {"operations": 1500},
        "positions on a waitlist out of order",
        ((STATEMENTS, "and_(courses.c.waiting == 0, seat_free(courses))", "seat_free(courses)"),),
    ),
    "the order of promotion": Mutant(
        "random operations",
        {"operations": 1500},
        "positions on a waitlist out of order",
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
        MODEL,
        DISAGREE,
        (
            (
                STATEMENTS,
                "counted.c.claimed == parameters.requested, known",
                "counted.c.claimed <= parameters.requested, known",
            ),
        ),
    ),
    "a held seat is left alone": Mutant(
        "model",
        MODEL,
        DISAGREE,
        (
            (
                STATEMENTS,
                "where=not_(is_held(enrollments))\n    ).returning",
                "where=enrollments.c.status.is_not(None)\n    ).returning",
            ),
        ),
    ),
    "the rules of registration": Mutant(
        "model",
        MODEL,
        DISAGREE,
        (("services/enrollment/rules/holds.py", 'in {blocked, "both"}', 'in {"both"}'),),
    ),
    "the lock order": Mutant(
        "random operations",
        {"operations": 3000},
        CONFLICTS,
        ((STATEMENTS, ".order_by(courses.c.id)", ".order_by(func.random())"),),
        databases=("postgresql",),
    ),
    "the comparison of the schedule revision": Mutant(
        "rules", RACE, OVER_LIMIT, ((DECIDED, "            students.c.schedule_revision == judged_revision,\n", ""),)
    ),
    "the trigger that raises the schedule revision": Mutant(
        "rules", RACE, OVER_LIMIT, statements={backend: without_revision(backend) for backend in BACKENDS}
    ),
    "the comparison of the schedule revision, for credits": Mutant(
        "schedules",
        RACE,
        OVER_CREDITS,
        ((DECIDED, "            students.c.schedule_revision == judged_revision,\n", ""),),
    ),
    "the trigger that raises the schedule revision, for credits": Mutant(
        "schedules", RACE, OVER_CREDITS, statements={backend: without_revision(backend) for backend in BACKENDS}
    ),
    "the comparison of the schedule revision, when unenrolling": Mutant(
        "schedule of one student",
        RACE,
        WITHOUT_LAB,
        (
            (
                DECIDED,
                "unenroll_statement(backend, _is_of_the_judged_kind(), _student)",
                (
                    "unenroll_statement(backend, _is_of_the_judged_kind(), lambda claims: select(students.c.id).where("
                    "students.c.id == student_id, or_(true(), students.c.schedule_revision == judged_revision),"
                    " select(func.count()).select_from(claims).scalar_subquery() == requested)"
                    ".with_for_update(key_share=True, of=students).cte('student'))"
                ),
            ),
        ),
    ),
    "the action that was judged": Mutant(
        "rules",
        RACE,
        OVER_LIMIT,
        (
            (DECIDED, "(is_seat, literal(ENROLLED, String)),", "(offers_seat, literal(ENROLLED, String)),"),
            (
                DECIDED,
                "(is_place, literal(WAITLISTED, String)),",
                "(or_(is_seat, is_place), literal(WAITLISTED, String)),",
            ),
            (
                DECIDED,
                "and_(is_seat, offers_seat),",
                "and_(or_(is_seat, is_place), or_(offers_seat, place_free(courses))),",
            ),
        ),
    ),
    "the student locked after the courses": Mutant(
        "rules",
        RACE,
        CONFLICTS,
        (
            (
                EXCHANGING,
                '    locked = execute(LOCK_COURSES, {"course_ids": sorted(course_ids)})\n',
                '    execute(LOCK_STUDENT, {"student": student_id}); locked = execute(LOCK_COURSES, {"course_ids": course_ids})\n',  # noqa: E501
            ),
        ),
        databases=("postgresql",),
    ),
    "BEGIN IMMEDIATE": Mutant(
        "random operations",
        {"operations": 1500},
        CONFLICTS,
        ((SQLITE, '"BEGIN IMMEDIATE"', '"BEGIN"'),),
        databases=("sqlite",),
    ),
    "the retry": Mutant(
        "random operations",
        {"operations": 4000},
        "503 responses",
        ((RETRYING, "if not helps or tries > MAX_RETRIES or", "if tries or"),),
    ),
    "the retry of a lost connection": Mutant(
        "cut",
        {"cuts": 6},
        "single cuts that a client saw",
        ((RETRYING, "helps = lost == 1 and", "helps = False and"),),
        databases=("postgresql",),
    ),
    "the commit that waits for the disk": Mutant(
        "kill",
        {"kills": 4},
        LOST,
        ((SESSIONS, '"synchronous_commit": "on"', '"synchronous_commit": "off"'),),
        databases=("postgresql",),
    ),
    "the transaction": Mutant(
        "kill",
        {"kills": 4},
        "students whose courses are not those of their last response",
        ((SQLITE, 'exec_driver_sql("BEGIN IMMEDIATE")', 'exec_driver_sql("SELECT 1")'),),
        databases=("sqlite",),
    ),
    "a wave's responses after its commit, on SQLite": Mutant(
        "kill",
        {"kills": 4},
        LOST,
        (
            (
                WAVES,
                '                driver.execute("COMMIT")\n',
                (
                    "                for call, rows in results.items():\n"
                    "                    call.rows = rows\n"
                    "                    yield call\n"
                    '                time.sleep(0.2); driver.execute("COMMIT"); return\n'
                ),
            ),
        ),
        databases=("sqlite",),
    ),
    "a wave's responses after its commit, on PostgreSQL": Mutant(
        "kill",
        {"kills": 4},
        LOST,
        (
            (
                WAVES,
                "                    prepared[call].send(pgconn)\n                pgconn.pipeline_sync()\n",
                (
                    "                    prepared[call].send(pgconn)\n"
                    "                pgconn.send_flush_request(); pgconn.flush()\n"
                ),
            ),
            (WAVES, "        results.sync()\n", "        calls is self._reads and results.sync()\n"),
            (
                WAVES,
                "                if guard := connection.info",
                (
                    "                time.sleep(0.2); pgconn.pipeline_sync(); results.sync()\n"
                    "                if guard := connection.info"
                ),
            ),
        ),
        databases=("postgresql",),
    ),
    "the results of a wave in the order of its statements": Mutant(
        "random operations",
        {"operations": 500},
        RAN,
        (
            (
                WAVES,
                "in successes.items():",
                "in zip(successes, list(successes.values())[:: -1 if calls is self._writes else 1]):",
            ),
        ),
        databases=("postgresql",),
    ),
    "a context for each request of a group": Mutant(
        "random operations",
        {"operations": 500},
        RAN,
        ((GROUPS, "= contextvars.Context()", "= globals().setdefault('_SHARED', contextvars.Context())"),),
    ),
    "the context of a request, for the requests of a group": Mutant(
        "tests of waves",
        {},
        "test_each_request_of_a_group_changes_courses_under_its_own_id_and_caller",
        (
            (
                CONTEXT,
                'current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)\n',
                (
                    "class _OfThread(__import__('threading').local):\n"
                    "    value = None\n"
                    "    def get(self): return self.value\n"
                    "    def set(self, value): before, self.value = self.value, value; return before\n"
                    "    def reset(self, before): self.value = before\n"
                    "current = _OfThread()\n"
                ),
            ),
        ),
    ),
    "the time limit of each request of a group": Mutant(
        "tests of waves",
        {},
        "test_a_wave_has_the_earliest_time_limit_and_a_single_statement_that_of_its_request",
        ((GROUPS, "RequestContext(deadline=self.deadline)", "RequestContext(deadline=_deadline())"),),
    ),
    "the error of a wave for the request that caused it": Mutant(
        "tests of waves",
        {},
        "test_an_error_reaches_its_request_only",
        (
            (
                WAVES,
                "                call.error = translated(result, self._engine, connection, call.compiled.text)\n",
                "                [*results][-1].error = translated(result, self._engine, connection, '')\n",
            ),
            (
                WAVES,
                "            except psycopg.Error as error:\n                self._blame(call, error)\n",
                (
                    "            except psycopg.Error as error:\n"
                    "                self._blame(call, error)\n"
                    "                calls[-1].error = translated(error, self._engine, None, '')\n"
                ),
            ),
        ),
    ),
    "the result for the request that waits for it": Mutant(
        "random operations",
        {"operations": 500},
        RAN,
        ((HUB, "running = calls.pop(call)\n", "running = calls.pop([*calls][-1])\n"),),
        databases=("postgresql",),  # on SQLite, all results are there before the first request goes on
    ),
    "the order of the courses of a wave": Mutant(
        "tests of waves",
        {},
        IN_A_CIRCLE,
        (
            (
                WAVES,
                "sorted((call for call in calls if call.compiled.writes), key=lambda call: call.course_id)",
                "[call for call in calls if call.compiled.writes]",
            ),
        ),
        databases=("postgresql",),
    ),
    "a full disk is an outage": Mutant(
        "full disk",
        {},
        "writes without free space",
        ((FAILURES, '"SQLITE_FULL",', ""), (FAILURES, "^(08|53|57|58)", "^(08|57|58)")),
    ),
    "a line of the ledger for every change": Mutant(
        "random operations", {"operations": 500}, "verify: the ledger alone rebuilds the present", statements=LOSE_LINES
    ),
}


def run_without(name: str, backend: str, seed: int) -> Outcome:
    """Run the part that must notice, on the mutant, as a process of its own; the outcome as that process saw it."""
    with tempfile.TemporaryDirectory() as folder:
        mutate(MUTANTS[name], Path(folder))
        found = Path(folder, "found.json")
        arguments = {"--mutant": name, "--database": backend, "--seed": str(seed), "--json": str(found)}
        command = [sys.executable, "-m", "tests.proof", *chain.from_iterable(arguments.items())]
        environment = {**os.environ, "PYTHONPATH": folder}
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as child:  # noqa: S603
            try:
                child.wait(TIMEOUT_S)
            except BaseException:
                child.terminate()  # it has a server and a database to end
                raise
        outcome = json.loads(found.read_text())
    if not Path(outcome.pop("package")).is_relative_to(folder):
        raise RuntimeError("that was not the mutant")
    return Outcome.from_dict(outcome)


def mutate(mutant: Mutant, folder: Path) -> None:
    """Return a copy of the package with the guard removed."""
    package = folder / "course_management"
    for source, target in ((PACKAGE, package), (migrations_folder(), package / "migrations")):  # as a wheel has them
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for file, text in edited(mutant).items():
        (package / file).write_text(text)


def edited(mutant: Mutant) -> dict[str, str]:
    """Return the text of each file that the mutant changes. Raises `LookupError` where the guard is not found."""
    found: dict[str, str] = {}
    for file, old, new in mutant.edits:
        text = found.get(file) or (PACKAGE / file).read_text()
        if old not in text:
            raise LookupError(f"{file} does not contain {old!r} any more: write here what the guard looks like now")
        found[file] = text.replace(old, new)
    return found
