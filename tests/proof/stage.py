"""What all parts of the proof use: a database, the real server on it, and the checks afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, insert, text
from sqlalchemy.pool import NullPool

from course_management import create_app
from course_management.context import RequestContext
from course_management.database import db
from course_management.database.types import utcnow
from course_management.maintenance import verify
from course_management.models import Course, Student, courses, students
from course_management.services import enrollment

from ..support.databases import Databases, PostgreSQL
from ..support.grouping import MODE
from ..support.real_server import COMMAND, PATIENT, Server
from .report import Check

IMPOSSIBLE = {"40P01", "40001", "SQLITE_BUSY_SNAPSHOT"}
"""Conflicts that are impossible where all transactions lock in one order and SQLite's writers begin as writers."""


@dataclass(frozen=True, slots=True)
class Waves:
    """The waves of several statements that a server sent."""

    count: int
    of_several_writes: int
    largest: int
    """Statements of the largest."""

    def figures(self) -> dict[str, int]:
        """Return what the table says of them."""
        return {"waves": self.count, "with several writes": self.of_several_writes, "largest": self.largest}

    def check(self) -> Check:
        """Return the check that groups were tested: requests changed something together, unless groups are off."""
        return Check("changes of several requests were one wave", self.of_several_writes > 0, expected=MODE != "off")


class Skipped(Exception):
    """This part cannot run here; says why."""


class Ground:
    """Where a part of the proof makes its stage: a folder, and the databases of one kind.

    `tampering` is done to the database that all others are copied from.
    """

    def __init__(self, folder: Path, backend: str, tampering: Sequence[str] = ()) -> None:
        self.folder, self.backend = folder, backend
        folder.chmod(0o755)  # PostgreSQL runs as another user where this one is root
        # A deadlock must be detected before the service stops waiting for the lock.
        self.postgresql = PostgreSQL(deadlock_timeout="100ms") if backend == "postgresql" else None
        self.databases = Databases(backend, folder, self.postgresql.url if self.postgresql else None)
        template = create_engine(self.databases.template, poolclass=NullPool)
        with template.begin() as connection:
            for statement in tampering:
                connection.exec_driver_sql(statement)

    def close(self) -> None:
        """End PostgreSQL."""
        if self.postgresql:
            self.postgresql.end()

    @contextmanager
    def stage(self, url: URL | None = None, *, serving: bool = True) -> Iterator[Stage]:
        """Provide a migrated database with a running server, which is ended in any case.

        Its time limits are long, so that the checks do not depend on the speed of the machine.
        """
        stage = Stage(self.folder, url or self.databases.migrated(), self.postgresql)
        try:
            if serving:
                stage.serve(stage.url, **PATIENT)
            yield stage
        finally:
            stage.end()


class Stage:
    """A migrated database and, once it serves, the real server on it."""

    server: Server

    def __init__(self, folder: Path, url: URL, postgresql: PostgreSQL | None) -> None:
        self.folder, self.url, self.postgresql = folder, url, postgresql
        self.backend = url.get_backend_name()
        self.engine = create_engine(url, poolclass=NullPool)  # no connection that a fault could have ended
        self.log = folder / "server.log"
        self.log.unlink(missing_ok=True)
        self._started: list[Server] = []

    def serve(
        self, url: URL, output: int | None = None, /, *, command: Sequence[str] = COMMAND, **settings: str
    ) -> None:
        """Start the server on the database, by an address of it; see `Server`."""
        self.server = Server(self.folder, url, command, output, LOG_LEVEL="debug", LOG_FORMAT="json", **settings)
        self._started.append(self.server)
        self.server.wait()

    def end(self) -> None:
        """End the server."""
        for server in self._started:
            server.end()

    def people(self, count: int) -> list[int]:
        """Insert students as an import does, without a call of the service; return their ids."""
        made = utcnow()
        rows = [{"name": f"Student {n}", "created_at": made} for n in range(count)]
        return self._insert(students, Student.id, rows)

    def courses(self, limits: Sequence[dict[str, Any]], prefix: str = "C") -> list[int]:
        """Courses with these limits; their ids."""
        rows = [
            {"code": f"{prefix}{n}", "title": "Contested", "created_at": utcnow(), **limit}
            for n, limit in enumerate(limits)
        ]
        return self._insert(courses, Course.id, rows)

    def _insert(self, table: Any, key: Any, rows: list[dict[str, Any]]) -> list[int]:
        with self.engine.begin() as connection:
            return sorted(connection.scalars(insert(table).returning(key), rows))

    def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """Return the rows of a statement that is sent to the database directly."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), parameters).all())

    # --- checks after the load ---------------------------------------------------------------------------

    def verified(self, *, promoting: bool = False) -> list[Check]:
        """Run `course-management verify`, one check per invariant; with `promoting`, first `course-management promote`.

        After crashes and changes by hand, seats may be free although students wait for them.
        """
        app = create_app({"DATABASE_URL": self.url.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
        with app.app_context():
            if promoting:
                enrollment.promote_all(RequestContext())
            found = [Check(f"verify: {each.name}", len(each.evidence)) for each in verify.verify()]
            db.engine.dispose()
        return [*found, *self._intact()]

    def _intact(self) -> Iterator[Check]:
        if self.backend == "sqlite":
            with closing(sqlite3.connect(str(self.url.database))) as connection:
                (found,) = connection.execute("PRAGMA integrity_check").fetchone()
            yield Check("PRAGMA integrity_check", found, "ok")

    def conflicts(self) -> Counter[str]:
        """Return how many transactions and statements of waves the server ran again, by cause, from its log."""
        repeated = Counter(line["kind"] for line in self._logged("database.retry"))
        return repeated + Counter(kind for line in self._logged("database.wave") for kind in line["errors"])

    def waves(self) -> Waves:
        """Return which waves of several statements the server sent, from its log."""
        lines = [line for line in self._logged("database.wave") if line["statements"] > 1]
        return Waves(
            count=len(lines),
            of_several_writes=sum(line["writes"] > 1 for line in lines),
            largest=max((line["statements"] for line in lines), default=0),
        )

    def _logged(self, event: str) -> Iterator[dict[str, Any]]:
        with self.log.open() as lines:  # of an hour: not all of them at once
            for line in lines:
                if f'"{event}"' in line and line.endswith("\n"):  # the last one may be incomplete
                    yield json.loads(line)
