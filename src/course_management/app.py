"""The app factory: settings, extensions, blueprints, handlers; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask

from . import database, logs
from .api import documents, errors, requests
from .config import Settings


class Service(Flask):
    """Flask, except that it does not ask of each function, ten times a request, whether it is asynchronous."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """None of ours is."""
        return func


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the app. `config` overrides settings by their names; see `config.Settings`.

    Raises `ConfigurationError` with a sentence for each setting that is wrong. Does not touch the database:
    a service whose database is down starts, answers 503, and recovers by itself.
    """
    settings = Settings.load(config)
    app = Service("course_management", static_folder=None)
    app.config.from_mapping(config or {})
    logs.configure(settings)
    logs.init_app(app)
    requests.init_app(app, settings.max_body_bytes)
    database.init_app(app, settings)
    documents.init_app(app)
    errors.init_app(app)
    return app
