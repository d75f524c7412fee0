"""Count the files and jumps of one enrollment request: how much of this code a reader crosses to follow a request.

`python benchmarks/trace.py` enrolls a student through the WSGI application, on an SQLite file of its own; with
`--term`, in a course of a term, by the rules of registration. It draws each call that goes from one file of the package
into another, indented below its caller, and the calls within the use case (`WITHIN`); a call that is repeated directly,
as in a loop, is drawn once. Calls into another file are counted as jumps; one that passes through a library on its way
counts as one. With `--sql`, the SQL of the two statements that enroll is printed instead.

The last line counts what is crossed from the entry of the application to the row: `N files, M jumps`. The line before
it counts the whole request.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, cast

from alembic import command
from alembic.config import Config
from flask import Flask
from sqlalchemy import ClauseElement
from sqlalchemy.dialects import postgresql
from werkzeug.test import EnvironBuilder, run_wsgi_app

import course_management
from course_management import create_app
from course_management.services.enrollment.decided_statements import ENROLL_AS_DECIDED
from course_management.services.enrollment.statements import ENROLL_BY_SEATS

ROOT = Path(__file__).parent.parent
PACKAGE = str(Path(course_management.__file__).parent)
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
WARM_UP = 5
"""Enrolls before the one that is counted, so that compiled statements and caches are as in production."""


WITHIN = "services/enrollment/enrolling.py"
"""The file of which the calls of its own functions are drawn too."""
NOT_DRAWN = {"logs.py", "log_output.py", "metrics/__init__.py"}
"""The log and the metrics, which every part calls. Their jumps are counted."""


class Jump(NamedTuple):
    """A call: below how many others that are drawn, which file, which function, and whether it is in another file."""

    depth: int
    file: str
    function: str
    is_counted: bool = True

    def __str__(self) -> str:
        return f"{'  ' * self.depth}{self.file} {self.function}"


def trace(app: Flask, environ: dict[str, Any]) -> list[Jump]:
    """Return the jumps of one request, in order."""
    jumps: list[Jump] = []
    stack: list[tuple[str, int]] = []
    """The calls that have not returned: their files, and how many of them are jumps."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            return
        if event == "call":
            caller, depth = stack[-1] if stack else ("", 0)
            is_counted, function = caller != file, frame.f_code.co_name
            if is_counted or (file.endswith(WITHIN) and not function.startswith("<")):
                jumps.append(Jump(depth, file.removeprefix(PACKAGE + os.sep), function, is_counted))
                depth += 1
            stack.append((file, depth))
        elif event == "return" and stack:
            stack.pop()

    sys.setprofile(profile)
    try:
        run_wsgi_app(app, environ)
    finally:
        sys.setprofile(None)
    return jumps


def drawn(jumps: Iterable[Jump]) -> Iterator[Jump]:
    """Yield the jumps to draw: of repeated calls the first, with each call that any of them makes; not `NOT_DRAWN`."""
    latest: dict[int, Jump] = {}
    """By depth, the jump that was drawn last below the same caller."""
    for jump in jumps:
        if jump.file not in NOT_DRAWN and latest.get(jump.depth) != jump:
            latest = {depth: above for depth, above in latest.items() if depth < jump.depth}
            latest[jump.depth] = jump
            yield jump


def totals(jumps: Sequence[Jump]) -> str:
    """Return how many files these jumps cross, and how many jumps they are."""
    return f"{len({jump.file for jump in jumps})} files, {sum(jump.is_counted for jump in jumps)} jumps"


def to_the_row(jumps: Sequence[Jump]) -> Sequence[Jump]:
    """Return the jumps until the last statement was handed to the driver, which has written the row."""
    last = max(index for index, jump in enumerate(jumps) if jump.function == "cursor")
    return jumps[: last + 1]


def trace_enroll(app: Flask, *, in_term: bool = False) -> list[Jump]:
    """Return the jumps of one enrollment request, on a migrated database without courses of these codes."""
    client = app.test_client()
    values: dict[str, Any] = {}
    if in_term:
        term = {"code": "2026-fall", "title": "Fall", "starts_on": "2026-09-01", "ends_on": "2999-12-18"}
        values = {"term_id": client.post("/terms", json=term).get_json()["id"]}
        always = {"opens_at": "2026-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}
        client.put(f"/terms/{values['term_id']}/windows", json=[always])
    student = client.post("/students", json={"name": "Ada Lovelace", "email": "ada@example.edu"}).get_json()["id"]
    jumps: list[Jump] = []
    for number in range(WARM_UP + 1):
        body = {"code": f"CS10{number}", "title": "Programming", **values}
        course = client.post("/courses", json=body).get_json()["id"]
        # As on registration day: the process has seen already whether the course has a term.
        client.post(f"/students/{student}/enroll?dry_run=true", json={"course_ids": [course]})
        request = EnvironBuilder(
            f"/students/{student}/enroll",
            method="POST",
            json={"course_ids": [course]},
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
        )
        jumps = trace(app, request.get_environ())
    return jumps


def print_statements() -> None:
    """Print the SQL that takes seats, and the SQL that takes what the rules have decided, as PostgreSQL gets it."""
    for title, statements in (("by seats", ENROLL_BY_SEATS), ("as decided by the rules", ENROLL_AS_DECIDED)):
        statement = cast(ClauseElement, statements["postgresql"])
        print(f"-- {title}\n{statement.compile(dialect=DIALECT)}\n")


def main() -> None:
    """Print the trace of one enrollment request on a new database, or the statements."""
    if "--sql" in sys.argv[1:]:
        print_statements()
        return
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/trace.db"
        command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
        with redirect_stdout(io.StringIO()):  # log lines are written, but not between those of the trace
            app = create_app({"LOG_LEVEL": "info", "LOG_FORMAT": "json"})
            jumps = trace_enroll(app, in_term="--term" in sys.argv[1:])
    print(*drawn(jumps), sep="\n")
    print(f"The whole request: {totals(jumps)}. From the entry of the application to the row:")
    print(totals(to_the_row(jumps)))


if __name__ == "__main__":
    main()
