"""The routes: one module per topic.

A view calls services (to change something) or repositories (to read), and returns the response. Its decorators
declare the rest: its access row (`access/policy.py`), what it accepts and returns (`http/`).
"""

from flask import Flask

from . import (
    catalog,
    completions,
    courses,
    documents,
    enrollment,
    exports,
    groups,
    health,
    holds,
    keys,
    metrics,
    people,
    permissions,
    registration,
    students,
    terms,
)

BLUEPRINTS = tuple(
    module.endpoints
    for module in (
        enrollment,
        students,
        registration,
        courses,
        catalog,
        terms,
        groups,
        holds,
        permissions,
        completions,
        people,
        keys,
        exports,
        health,
        metrics,
    )
)
"""In the order of the OpenAPI document."""


def init_app(app: Flask) -> None:
    """Register every route."""
    for blueprint in (*BLUEPRINTS, documents.document, documents.pages, documents.swagger_ui):
        app.register_blueprint(blueprint)
