"""A school with authentication, and browsers of its visitors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ..support.keys import create_key
from .school import School, build, visit


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the API with all permissions; its key ends protected mode."""
    client = app.test_client()
    with app.app_context():
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {create_key('test', ['admin'])}"
    return client


@pytest.fixture
def school(client: FlaskClient) -> School:
    return build(client)


@pytest.fixture
def browser(app: Flask, school: School) -> Callable[[str], FlaskClient]:
    """Return a function that makes the browser of a kind of visitor."""
    return lambda kind: visit(app, school.owners[kind])
