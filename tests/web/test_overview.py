"""The overview of registrars: what it counts is what its links show, and it says what needs attention."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access.sessions import Owner
from course_management.database import db
from course_management.database.types import utcnow
from course_management.models import Verification

from ..support.fixture_types import Make
from .checking import Element, parse
from .school import visit
from .test_registrar import text_of


@pytest.fixture
def registrar(app: Flask, client: FlaskClient) -> FlaskClient:
    person = client.post("/people", json={"name": "Registrar", "roles": ["registrar"]}).get_json()
    return visit(app, Owner(person_id=person["id"]))


@pytest.fixture
def verified(app: Flask) -> Callable[..., None]:
    """Return a function that stores the result of a verification."""

    def store(ended_ago: timedelta = timedelta(0), error: str | None = None, **finding: Any) -> None:
        at = utcnow() - ended_ago
        findings = [{"name": "Seats", "checked": 1, "evidence": [], "seconds": 0.1, "note": False, **finding}]
        with app.app_context():
            db.session.add(Verification(started_at=at, ended_at=at, error=error, findings=findings))
            db.session.commit()

    return store


def cells(page: Any) -> dict[str, Element]:
    """Return the cells of the first row of the terms by their headings."""
    root, _ = parse(page.text)
    return {
        str(element.attributes["data-label"]): element
        for element in root.walk()
        if element.tag == "td" and "data-label" in element.attributes
    }


def rows_at(registrar: FlaskClient, cell: Element) -> int:
    """Return how many courses the page has to which a cell leads."""
    (link,) = (element for element in cell.walk() if element.tag == "a")
    root, _ = parse(registrar.get(str(link.attributes["href"])).text)
    return sum(element.tag == "th" and element.attributes.get("scope") == "row" for element in root.walk())


def test_the_numbers_of_a_term_are_those_of_the_courses_behind_the_links(
    registrar: FlaskClient, student: Make, course: Make, enroll: Any, open_term: Make
) -> None:
    term_id = open_term(code="FALL")
    full, nearly = course(term_id=term_id, capacity=1, waitlist_capacity=5), course(term_id=term_id, capacity=11)
    course(term_id=term_id, capacity=9)
    course()
    enroll(student(), full)
    for _ in range(2):
        enroll(student(), full, waitlist=True)
    for _ in range(10):
        enroll(student(), nearly)

    page = registrar.get("/app/registrar")

    shown = {heading: cell.text for heading, cell in cells(page).items()}
    assert {heading: shown[heading] for heading in ("Courses", "Full", "More than 90 % full", "With a waitlist")} == {
        "Courses": "3",
        "Full": "1",
        "More than 90 % full": "2",
        "With a waitlist": "1",
    }
    assert shown["Students waiting"] == "2"
    for heading in ("Courses", "Full", "More than 90 % full", "With a waitlist"):
        assert rows_at(registrar, cells(page)[heading]) == int(shown[heading])
    assert "Open until" in " ".join(shown["Registration"].split())
    assert "Nothing at the moment." in text_of(page)
    assert "1 course belongs to no term" in text_of(page)


def test_a_term_that_is_over_is_left_out_and_one_without_windows_needs_attention(
    registrar: FlaskClient, term: Make
) -> None:
    term(code="PAST", starts_on="2001-01-01", ends_on="2001-06-30")
    term(code="NEXT", starts_on="2999-01-01", ends_on="2999-06-30")

    text = text_of(registrar.get("/app/registrar"))

    assert "NEXT has no registration window, so nobody can register." in text
    assert "PAST" not in text


def test_a_student_whom_rules_stop_needs_attention(
    registrar: FlaskClient, client: FlaskClient, student: Make, course: Make, enroll: Any, open_term: Make
) -> None:
    term_id = open_term(code="FALL", credit_limit=3)
    ada, alan = student(), student()
    wanted = course(term_id=term_id, capacity=1, waitlist_capacity=5, credits=3)
    enroll(alan, wanted)
    enroll(ada, wanted, waitlist=True)
    enroll(ada, course(term_id=term_id, credits=3))
    client.delete(f"/students/{alan}/unenroll", json={"course_id": wanted})

    assert "rules stop the promotion of 1 student" in text_of(registrar.get("/app/registrar"))


def test_the_last_verification_is_shown_and_a_bad_one_needs_attention(
    registrar: FlaskClient, verified: Callable[..., None]
) -> None:
    texts = [text_of(registrar.get("/app/registrar"))]
    for result in (
        {},
        {"evidence": [{"course_id": 1}]},
        {"error": "OperationalError"},
        {"ended_ago": timedelta(days=3)},
    ):
        verified(**result)
        texts.append(text_of(registrar.get("/app/registrar")))

    for text, sentence in zip(
        texts,
        [
            "not yet",
            "passed",
            "1 guarantee about the data is broken.",
            "could not be finished.",
            "The data was not verified for two days.",
        ],
        strict=True,
    ):
        assert sentence in text
    assert [("Nothing at the moment." in text) for text in texts] == [True, True, False, False, False]
