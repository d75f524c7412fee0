"""The app factory: settings, database, one ordered list of hooks, routes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import structlog
from flask import Flask
from sqlalchemy.pool import QueuePool

from . import api, background, database, logs, metrics, web
from .access import policy
from .access.authentication import Authentication
from .config import ConfigurationError, Settings
from .http import hooks, problems
from .server.application import Application
from .services.enrollment.rules.installed import INSTALLED
from .web.plain_errors import with_pages

log = structlog.get_logger(__name__)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the app. `config` overrides settings by their names; see `config.Settings`.

    Raises `ConfigurationError` with a sentence for each setting or installed rule that is wrong. Does not touch the
    database: a service whose database is down starts, responds 503, and recovers automatically.
    """
    settings = Settings.load(config)
    if INSTALLED.problems:
        raise ConfigurationError([*INSTALLED.problems])
    app = Flask("course_management", static_folder=None)
    app.config.from_mapping(config or {})
    logs.configure(settings)
    for sentence in Settings.misspelled():
        log.warning("setting_without_effect", problem=sentence)
    database.init_app(app, settings)
    app.extensions["settings"] = settings
    app.extensions["time_zone"] = settings.time_zone
    authentication = app.extensions["authentication"] = Authentication(settings)
    hooks.init_app(app, settings)

    # In the order in which they run.
    for before in (hooks.begin_request, authentication.authenticate, hooks.refuse_malformed):
        app.before_request(before)
    for after in reversed((hooks.add_headers, hooks.record_request)):  # Flask runs the last one first
        app.after_request(after)
    app.teardown_request(hooks.end_request)

    api.init_app(app)
    problems.init_app(app)
    web.init_app(app, settings)
    list(policy.rows(app))  # a route without an access row stops the start
    return app


def create_worker_application(settings: Settings) -> Application:
    """Make the application for a worker process of the server, and start its background work."""
    app = create_app()
    app.extensions["authentication"].start()
    worker = background.start(settings)
    with app.app_context():
        pool = cast(QueuePool, database.db.engine.pool)
    metrics.watch("database_connections", lambda: settings.threads)
    metrics.watch("database_connections_in_use", pool.checkedout)
    return Application(
        app,
        "/healthz",
        "/readyz",
        with_pages(settings, problems.problem_response),
        problems.as_problem,
        partial(database.run_group, on_wave=metrics.wave_sent),
        on_stop=worker.stop if worker else None,
    )
