"""Read responses: where a request is not valid, which refusal it is, whether the database is unavailable."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient


def pointers(response: Any) -> list[str]:
    assert (response.status_code, response.get_json()["code"]) == (422, "validation_failed"), response.text
    return [each["pointer"] for each in response.get_json()["errors"]]


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.get_json()["code"]


def is_up(client: FlaskClient) -> bool:
    """Return whether the service is ready. It must always be alive."""
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200 or is_503(ready)
    return ready.status_code == 200


def is_503(response: Any) -> bool:
    """Return whether this is the response of a service whose database is unavailable."""
    if response.status_code != 503:
        return False
    assert response.get_json()["code"] == "database_unavailable"
    assert 0 < int(response.headers["Retry-After"]) <= 10
    return True
