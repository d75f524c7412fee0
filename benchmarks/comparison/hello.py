"""The floor of a Python service on our server: an application that does nothing, and Flask doing nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

flask = Flask(__name__)


@flask.get("/")
def hello() -> str:
    """Say so."""
    return "hello"


def wsgi(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Say so without Flask."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
