"""The routes: one module per subject.

A view calls services (to change something) or repositories (to read), and returns the response. Its decorators
declare the rest: its access row (`access/policy.py`), what it accepts and returns (`http/`).
"""

from flask import Flask

from . import courses as courses  # with the rules of registration, whose codes the document lists
from . import documents


def init_app(app: Flask) -> None:
    """Register every route."""
    for blueprint in (*documents.SUBJECTS, documents.pages, documents.swagger_ui):
        app.register_blueprint(blueprint)
