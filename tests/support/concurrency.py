"""Requests at the same instant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from flask import Flask
from flask.testing import FlaskClient


def together(app: Flask, calls: Sequence[Callable[[FlaskClient], Any]]) -> list[Any]:
    """Send requests at the same instant; their responses."""
    start = Barrier(len(calls))

    def send(call: Callable[[FlaskClient], Any]) -> Any:
        client = app.test_client()
        start.wait()
        return call(client)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(send, calls))
