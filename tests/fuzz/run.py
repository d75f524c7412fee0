"""One run: a real server with authentication, a small campus, and Schemathesis as one kind of caller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from course_management import create_app
from course_management.database import db
from course_management.services import people

from ..access.issuer import LocalIssuer
from ..support.databases import ROOT
from ..support.keys import create_key
from ..support.real_server import Server

HERE = Path(__file__).parent
CALLERS = ("nobody", "student", "advisor", "registrar", "reader", "admin")
STUDENTS, COURSES = 5, 5


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a caller, and its description for `hooks`."""

    header: str | None
    described: Any


class Campus:
    """A server on a migrated database, with students, courses and one caller of each kind."""

    def __init__(self, folder: Path, database: URL, issuer: LocalIssuer) -> None:
        self.folder = folder
        self.callers = _people_it(database, issuer)
        settings = {name.upper(): value for name, value in issuer.settings.items()}
        unlimited = {"RATELIMIT_READS": "none", "RATELIMIT_WRITES": "none"}
        self.server = Server(folder, database, **settings, **unlimited, LOG_LEVEL="warning")
        self.server.wait()

    def fuzz(self, caller: str, examples: int, seed: int, phases: str = "examples,coverage,fuzzing,stateful") -> str:
        """Let Schemathesis ask as `caller`; its report, empty if it found nothing."""
        credentials = self.callers[caller]
        header = ["--header", f"Authorization: {credentials.header}"] if credentials.header else []
        command = [
            *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")),
            *("--no-color", "run"),
            f"http://127.0.0.1:{self.server.port}/openapi.json",
            *header,
            *("--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--phases", phases),
            *("--continue-on-failure", "--generation-with-security-parameters", "false"),
            *("--request-timeout", "20", "--warnings", "off", "--generation-database", "none"),
        ]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            "FUZZ_CALLER": json.dumps(credentials.described),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, check=False, cwd=self.folder, env=environment
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr


def _people_it(database: URL, issuer: LocalIssuer) -> dict[str, Credentials]:
    engine = create_engine(database)
    with engine.begin() as connection:
        for number in range(1, STUDENTS + 1):
            connection.execute(
                text("INSERT INTO students (name, email, created_at) VALUES (:name, :email, CURRENT_TIMESTAMP)"),
                {"name": f"Student {number}", "email": f"student{number}@example.edu"},
            )
        for number in range(1, COURSES + 1):
            connection.execute(
                text(
                    "INSERT INTO courses (code, title, capacity, created_at) VALUES (:code, 'C', 2, CURRENT_TIMESTAMP)"
                ),
                {"code": f"CS{number}"},
            )
    engine.dispose()
    app = create_app({"DATABASE_URL": database.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    with app.app_context():
        people.link_student(issuer.name, "ada", 1)
        people.appoint(issuer.name, "grace", "advisor")
        people.advise(issuer.name, "grace", 1)
        people.advise(issuer.name, "grace", 2)
        people.appoint(issuer.name, "emmy", "registrar")
        reads = ["enrollments:read", "students:read", "courses:read"]
        reader, admin = create_key("reader", reads), create_key("admin", ["admin"])
        db.engine.dispose()
    hour = {"exp": issuer.claims()["exp"] + 36_000}
    return {
        "nobody": Credentials(None, None),
        "student": Credentials(f"Bearer {issuer.token('ada', **hour)}", {"role": "student", "students": [1]}),
        "advisor": Credentials(f"Bearer {issuer.token('grace', **hour)}", {"role": "advisor", "students": [1, 2]}),
        "registrar": Credentials(f"Bearer {issuer.token('emmy', **hour)}", {"role": "registrar", "students": []}),
        "reader": Credentials(f"Bearer {reader}", {"scopes": reads}),
        "admin": Credentials(f"Bearer {admin}", {"scopes": ["admin"]}),
    }
