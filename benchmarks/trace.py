"""Count the files and jumps of one enroll: how much of this code a reader crosses to follow a request.

`python benchmarks/trace.py` enrolls a student through the WSGI application, on an SQLite file of its own, and prints
each call that goes from one file of the package into another, indented by its depth. The last line has the totals:
`N files, M jumps`. A call that passes through a library on its way counts as one jump.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

import course_management
from course_management import create_app

ROOT = Path(__file__).parent.parent
PACKAGE = str(Path(course_management.__file__).parent)
WARM_UP = 5
"""Enrolls before the one that is counted, so that compiled statements and caches are as in production."""


class Jump(NamedTuple):
    """A call into another file: how deep, which file, which function."""

    depth: int
    file: str
    function: str


def trace(app: Flask, environ: dict[str, Any]) -> list[Jump]:
    """Run one request; its jumps in order."""
    jumps: list[Jump] = []
    stack: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            return
        if event == "call":
            if not stack or stack[-1] != file:
                jumps.append(Jump(len(stack), file.removeprefix(PACKAGE + os.sep), frame.f_code.co_name))
            stack.append(file)
        elif event == "return" and stack:
            stack.pop()

    sys.setprofile(profile)
    try:
        run_wsgi_app(app, environ)
    finally:
        sys.setprofile(None)
    return jumps


def main() -> None:
    """Create a school of one student, enroll, and print the trace."""
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/trace.db"
        command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
        app = create_app({"LOG_LEVEL": "info", "LOG_FORMAT": "json"})
        client = app.test_client()
        student = client.post("/students", json={"name": "Ada Lovelace", "email": "ada@example.edu"}).get_json()["id"]
        courses = [
            client.post("/courses", json={"code": f"CS10{n}", "title": "Programming"}).get_json()["id"]
            for n in range(WARM_UP + 1)
        ]
        jumps: list[Jump] = []
        for course in courses:
            request = EnvironBuilder(
                f"/students/{student}/enroll",
                method="POST",
                json={"course_ids": [course]},
                environ_base={"REMOTE_ADDR": "127.0.0.1"},
            )
            jumps = trace(app, request.get_environ())
    for jump in jumps:
        print(f"{'  ' * jump.depth}{jump.file} {jump.function}")
    print(f"{len({jump.file for jump in jumps})} files, {len(jumps)} jumps")


if __name__ == "__main__":
    main()
