"""Apps beside that of the fixtures."""

from __future__ import annotations

from typing import Any

from flask import Flask

from course_management import create_app

from .contract import ContractClient


def app_on(url: str, **settings: Any) -> Flask:
    """Return an app on a database that may be unavailable."""
    app = create_app({"DATABASE_URL": url, "LOG_LEVEL": "error", **settings})
    app.test_client_class = ContractClient
    return app
