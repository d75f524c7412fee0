"""How requests run in a test run: the environment variable `TEST_GROUPS` is `off`, `on` (the default) or `always`.

With `always`, each request is a group, also a single one, and each statement that may travel is a wave, also a single
one. So the whole suite goes through the code of groups, without a second request that waits. Run as a program, this
file is `course-management` with `always`; it imports nothing of the tests.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from greenlet import getcurrent

PROGRAM = "course-management"
MODE = os.environ.get("TEST_GROUPS", "on")


def server_settings() -> dict[str, str]:
    """Return the settings of the servers that tests start."""
    return {"GROUP_SIZE": "1"} if MODE == "off" else {}


def command(*arguments: str) -> list[str]:
    """Return a command line of the service."""
    if MODE == "always":
        return [sys.executable, "-P", __file__, *arguments]
    return [str(Path(sys.executable).parent / PROGRAM), *arguments]


def group_always() -> None:
    """Run each request as a group, and send each statement that may travel in a wave."""
    # Imported here: `conftest.py` removes the settings of the shell first.
    from course_management.database import groups, hub, waves  # noqa: PLC0415

    waves.SMALLEST = 1
    respond = Flask.wsgi_app

    def wsgi_app(app: Flask, environ: Any, start_response: Any) -> Any:
        if isinstance(getcurrent(), groups.Member):
            return respond(app, environ, start_response)
        outcome: list[Callable[[], Any]] = []

        def work() -> None:
            try:
                body = respond(app, environ, start_response)
                outcome.append(lambda: body)
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                outcome.append(_raising(error))

        hub.Hub().run([work])
        return outcome[0]()

    Flask.wsgi_app = wsgi_app  # type: ignore[method-assign, assignment]


def _raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


if __name__ == "__main__":
    from course_management.__main__ import main

    group_always()
    sys.argv[0] = PROGRAM
    main()
