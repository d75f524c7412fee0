"""The pages of registrars about terms and the catalog, and the picture of seats over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from course_management.repositories import seat_history
from course_management.repositories.seat_history import INTERVALS, Counts
from course_management.web.plots import plotted

from ..support.fixture_types import Make
from .test_registrar_courses import fields_of, listed, main_of, person, post, registrar

__all__ = ["person", "registrar"]
START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def test_a_term_is_created_changed_and_gets_windows(
    registrar: FlaskClient,
    client: FlaskClient,
    group: Make,
) -> None:
    group_id = group(title="Seniors")
    form = fields_of(registrar.get("/app/registrar/terms/new"))
    dates = {"starts_on": ["2026-09-01"], "ends_on": ["2026-12-18"]}
    values = {
        "code": ["2026"],
        "title": ["Fall"],
        "credit_limit": ["18,5"],
        "drop_until": ["2026-09-15T18:00"],
        **dates,
    }

    wrong = post(registrar, "/registrar/terms/new", **form | values | dates | {"ends_on": ["2026-08-01"]})
    assert (wrong.status_code, "Last day must not be before “First day”." in wrong.text) == (422, True)
    page = post(registrar, "/registrar/terms/new", **form | values | dates)

    assert "Nobody can register until it has a registration window." in main_of(page).text
    assert "There are no registration windows, so nobody can register for this term." in main_of(page).text
    (term,) = client.get("/terms").get_json()["items"]
    assert (term["credit_limit"], term["drop_until"]) == (18.5, "2026-09-15T18:00:00Z")

    path = f"/registrar/terms/{term['id']}"
    windows = fields_of(registrar.get(f"/app{path}/windows"))
    windows["group_id"][0], windows["opens_at"][0] = str(group_id), "2026-08-01T08:00"
    wrong = post(registrar, f"{path}/windows", **windows | {"closes_at": ["2026-07-01T08:00", "", ""]})
    assert "Closes must be later than “Opens”." in wrong.text
    page = post(registrar, f"{path}/windows", **fields_of(wrong) | {"closes_at": ["2999-01-01T08:00"]})
    assert listed(page) == ["program: Seniors"]
    edit = fields_of(registrar.get(f"/app{path}/edit"))
    assert (edit["drop_until"], edit["credit_limit"]) == (["2026-09-15T18:00"], ["18.5"])
    assert "2026 is changed." in main_of(post(registrar, f"{path}/edit", **edit | {"title": ["Autumn"]})).text
    assert post(registrar, f"{path}/edit", **edit | {"title": ["Winter"]}).status_code == 412


def test_the_catalog_shows_prerequisites_as_sentences_in_few_statements(
    registrar: FlaskClient,
    client: FlaskClient,
    entry: Make,
    statements: list[str],
) -> None:
    first, second, third = entry(code="CS 173"), entry(code="MATH 347"), entry(code="CS 374")
    groups = [[{"catalog_id": first}, {"catalog_id": second, "minimum_points": 2, "minimum_grade": "C"}]]
    client.put(f"/catalog/{third}/prerequisites", json={"groups": groups})
    client.put(f"/catalog/{second}/prerequisites", json={"groups": [[{"catalog_id": first}]]})
    statements.clear()

    page = registrar.get("/app/registrar/catalog")

    assert "CS 173 or MATH 347 with C" in main_of(page).text
    assert sum("prerequisites" in text for text in statements) == 1
    form = fields_of(registrar.get(f"/app/registrar/catalog/{third}/edit"))
    page = post(registrar, f"/registrar/catalog/{third}/edit", **form | {"credits": ["4"]})
    assert "CS 374 is changed." in main_of(page).text
    assert "CS 173 or MATH 347 with C" in main_of(page).text


def add_lines(sql: Any, course_id: int, *lines: tuple[int, str | None, str]) -> None:
    """Write lines of the ledger: after how many minutes, and from which status to which."""
    for number, (minutes, before, after) in enumerate(lines):
        sql(
            "INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor) "
            "VALUES (:at, :student_id, :course_id, :before, :after, 'test')",
            at=f"{START + timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S}",
            student_id=number + 1,
            course_id=course_id,
            before=before,
            after=after,
        )


def test_seats_over_time_are_those_of_the_ledger(app: Flask, sql: Any, course: Make, open_term: Make) -> None:
    term_id = open_term()
    first, second = course(term_id=term_id), course(term_id=term_id)
    add_lines(
        sql,
        first,
        (0, None, "enrolled"),
        (10, None, "waitlisted"),
        (20, "waitlisted", "enrolled"),
        (20, "enrolled", "enrolled"),  # other credits
        (30, "enrolled", "withdrawn"),
    )
    add_lines(sql, second, (15, None, "enrolled"))
    end = START + timedelta(minutes=60)

    def at(counts: list[Counts], minutes: int) -> tuple[int, int]:
        last = [each for each in counts if each.at <= START + timedelta(minutes=minutes)][-1]
        return last.enrolled, last.waiting

    with app.app_context():
        of_course = seat_history.of_course(first, None, end)
        of_term = seat_history.of_term(term_id, None, end)
        later = seat_history.of_course(first, START + timedelta(minutes=15), end)
        none = seat_history.of_course(second + 1, None, end)

    assert [at(of_course, minutes) for minutes in (0, 5, 12, 25, 40, 60)] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 0),
        (1, 0),
        (1, 0),
    ]
    assert [at(of_term, minutes) for minutes in (12, 18, 60)] == [(1, 1), (2, 1), (2, 0)]
    assert (later[0].enrolled, later[0].waiting, later[-1].enrolled) == (1, 1, 1)
    assert none == []


def test_the_number_of_points_is_bounded(app: Flask, sql: Any, course: Make) -> None:
    course_id = course()
    add_lines(sql, course_id, *[(minutes, None, "enrolled") for minutes in range(300)])

    with app.app_context():
        counts = seat_history.of_course(course_id, None, START + timedelta(days=1))

    assert len(counts) <= INTERVALS + 2
    assert counts[-1].enrolled == 300


def test_a_picture_has_its_values_in_words_and_in_a_table(
    registrar: FlaskClient,
    app: Flask,
    sql: Any,
    course: Make,
    open_term: Make,
) -> None:
    term_id = open_term()
    course_id = course(term_id=term_id, capacity=4)
    add_lines(sql, course_id, (0, None, "enrolled"), (5, None, "enrolled"), (9, None, "waitlisted"))

    for path in (f"/courses/{course_id}", f"/terms/{term_id}/seats"):
        page = main_of(registrar.get(f"/app/registrar{path}"))
        (picture,) = [element for element in page.walk() if element.tag == "svg"]
        assert picture.attributes["aria-label"].startswith(
            "Seats taken: 0 at the beginning, 2 at the end. Students waiting: 1"
        )
        rows = [row.text for row in page.walk() if row.tag == "tr"]
        assert rows[-1].endswith(" 2 1")
        assert "Nobody has enrolled" not in page.text
    empty = main_of(registrar.get(f"/app/registrar/courses/{course()}?period=24h"))
    assert "Nobody has enrolled yet." in empty.text
    with app.test_request_context():
        assert plotted([]) is None
        plot = plotted([Counts(START, 0, 0), Counts(START + timedelta(hours=1), 40, 3)], capacity=50)
    assert plot
    assert (plot.largest, plot.enrolled, plot.capacity) == (50, "M0 100.0H1000V20.0", 0.0)
