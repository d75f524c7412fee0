"""The app factory: settings, extensions, blueprints, handlers; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from . import background, database, logs
from .access import policy
from .api import browsers, documents, errors, gate, requests
from .config import Settings
from .server.application import Application

log = structlog.get_logger(__name__)


class NoSessions(SessionInterface):
    """Nobody is recognised by a cookie here."""

    nothing = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002 - Flask names them
        """The one session that everybody has, and nobody can write to."""
        return self.nothing


class Service(Flask):
    """Flask without three things it does for every request and nobody here needs (decision 12)."""

    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No function of ours is asynchronous; Flask asks ten times a request."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Routes go by the path alone. Flask takes the host apart and encodes it twice, for routes that go by it."""
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name="/",
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=environ["PATH_INFO"].encode("latin1").decode(errors="replace"),
            default_method=environ["REQUEST_METHOD"],
        )


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the app. `config` overrides settings by their names; see `config.Settings`.

    Raises `ConfigurationError` with a sentence for each setting that is wrong. Does not touch the database:
    a service whose database is down starts, answers 503, and recovers by itself.
    """
    settings = Settings.load(config)
    app = Service("course_management", static_folder=None)
    app.config.from_mapping(config or {})
    logs.configure(settings)
    for sentence in Settings.misspelled():
        log.warning("setting_without_effect", problem=sentence)
    logs.init_app(app)
    database.init_app(app, settings)
    gate.init_app(app, settings)
    requests.init_app(app, settings.max_body_bytes)
    browsers.init_app(app, settings)
    documents.init_app(app)
    errors.init_app(app)
    policy.stop_unless_complete(rule.endpoint for rule in app.url_map.iter_rules())
    return app


def create_worker_application(settings: Settings) -> Application:
    """Make the application for a worker process of the server, and start its background work."""
    app = create_app()
    app.extensions["gate"].start()
    worker = background.start(settings)
    return Application(
        app, "/healthz", "/readyz", errors.problem_response, errors.as_problem, on_stop=worker.stop if worker else None
    )
