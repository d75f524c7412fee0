"""Health: the verification of the database, whose result every process knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.background import verification as daily
from course_management.database import db
from course_management.database.types import utcnow
from course_management.maintenance import verification_runs
from course_management.maintenance.verify import INVARIANTS
from course_management.models import Verification

from ..support.databases import PATIENCE_S
from .test_registrar import Browser, send, text_of


@pytest.fixture
def registrar(browser: Browser) -> FlaskClient:
    return browser("registrar")


def join() -> None:
    """Wait for the end of the verification that is going on."""
    for thread in threading.enumerate():
        if thread.name == "verification":
            thread.join(PATIENCE_S)


def verify_now(registrar: FlaskClient) -> None:
    """Verify the data from the page, and wait for the end."""
    send(registrar, "/app/registrar/health/verify")
    join()


def test_the_data_is_verified_in_the_background_and_every_process_shows_the_result(
    registrar: FlaskClient, sql: Callable[..., Any]
) -> None:
    assert "was not verified yet" in text_of(registrar.get("/app/registrar/health"))

    verify_now(registrar)
    sound = text_of(registrar.get("/app/registrar/health"))
    sql("UPDATE courses SET last_queue_number = 0, seats_taken = 0 WHERE id = 1")
    verify_now(registrar)

    broken = text_of(registrar.get("/app/registrar/health"))
    assert "Every guarantee holds." in sound
    assert all(each.name in sound for each in INVARIANTS)
    assert "1 guarantee is broken." in broken
    assert "course_id 1" in registrar.get("/app/registrar/health").text


def test_a_verification_goes_on_once_and_one_that_was_interrupted_stops_no_other(
    app: Flask, registrar: FlaskClient, sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_runs, "verify", lambda: iter([]))
    with app.app_context():
        db.session.add(Verification(started_at=utcnow()))  # by another process
        db.session.commit()
    going_on = send(registrar, "/app/registrar/health/verify")

    monkeypatch.setattr(verification_runs, "GIVEN_UP_AFTER", timedelta(0))
    ended = send(registrar, "/app/registrar/health/verify")

    assert [response.status_code for response in (going_on, ended)] == [303, 303]
    assert sql("SELECT id, error FROM verifications WHERE ended_at IS NOT NULL") == [(2, None)]


def test_an_error_during_a_verification_is_its_result(registrar: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification_runs, "verify", lambda: 1 // 0)

    verify_now(registrar)

    assert "could not be finished (ZeroDivisionError)" in text_of(registrar.get("/app/registrar/health"))


def test_the_background_work_verifies_once_a_day(
    app: Flask, sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_runs, "verify", lambda: iter([]))
    settings, started_at = app.extensions["settings"], utcnow()

    def run() -> int:
        with app.app_context():
            list(daily.verify_daily(settings, started_at))
        join()
        (rows,) = sql("SELECT count(*) FROM verifications")
        return int(rows[0])

    assert run() == 0
    monkeypatch.setattr(daily, "FIRST_AFTER", timedelta(0))
    assert [run(), run()] == [1, 1]
    monkeypatch.setattr(daily, "EVERY", timedelta(0))
    monkeypatch.setattr(verification_runs, "GIVEN_UP_AFTER", timedelta(0))
    assert run() == 2
