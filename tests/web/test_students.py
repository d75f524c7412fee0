"""The pages of students: what they show before a click, and what a click does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access.sessions import Owner
from course_management.services import plans

from ..support.fixture_types import Make
from .checking import parse
from .school import ORIGIN, visit

Meets = Callable[[int, str, str], None]


@pytest.fixture
def ada(student: Make) -> int:
    return student(name="Ada Lovelace")


@pytest.fixture
def browser(app: Flask, ada: int) -> FlaskClient:
    return visit(app, Owner(student_id=ada))


@pytest.fixture
def meets(client: FlaskClient) -> Meets:
    """Return a function that gives a course a meeting on Mondays."""

    def put(course_id: int, starts: str, ends: str) -> None:
        body = [{"weekday": 1, "starts": starts, "ends": ends, "starts_on": "2026-09-01", "ends_on": "2026-12-18"}]
        assert client.put(f"/courses/{course_id}/meetings", json=body).status_code == 200

    return put


def text_of(response: Any) -> str:
    root, _ = parse(response.text)
    return next(each for each in root.walk() if each.tag == "main").text


def found(response: Any) -> list[str]:
    """Return the codes of the courses that a page lists."""
    root, _ = parse(response.text)
    return [each.children[0].text for each in root.walk() if each.tag == "th" and each.attributes.get("scope") == "row"]


def hidden(response: Any, name: str) -> str:
    """Return the value of a hidden field."""
    root, _ = parse(response.text)
    return next(each.attributes["value"] for each in root.walk() if each.attributes.get("name") == name)


def post(browser: FlaskClient, path: str, **form: Any) -> Any:
    return browser.post(f"/app{path}", data=form, headers=ORIGIN)


def test_the_list_says_before_a_click_why_a_course_is_not_possible(
    browser: FlaskClient, ada: int, course: Make, enroll: Any, open_term: Make, meets: Meets
) -> None:
    term_id = open_term()
    mine, clashing, free = (course(term_id=term_id) for _ in range(3))
    meets(mine, "09:00", "10:00")
    meets(clashing, "09:30", "10:30")
    enroll(ada, mine)

    text = text_of(browser.get("/app/courses"))

    assert "Not possible for you Time conflict." in text
    assert "CS001 meets on Monday, 09:00 to 10:00." in text
    assert free


def test_each_course_of_a_list_is_judged_alone(
    browser: FlaskClient, course: Make, open_term: Make, meets: Meets
) -> None:
    term_id = open_term(credit_limit=3)
    for _ in range(3):
        meets(course(term_id=term_id, credits=3), "09:00", "10:00")

    response = browser.get("/app/courses")

    assert "Not possible" not in response.text
    assert response.text.count(">Enroll<") == 3


def test_the_filters_leave_out_what_the_student_cannot_take(
    browser: FlaskClient, ada: int, student: Make, course: Make, enroll: Any, open_term: Make, meets: Meets
) -> None:
    term_id = open_term()
    mine = course(code="MINE", term_id=term_id)
    clashing, full = course(code="CLASH", term_id=term_id), course(code="FULL", term_id=term_id, capacity=1)
    course(code="OPEN", term_id=term_id)
    meets(mine, "09:00", "10:00")
    meets(clashing, "09:30", "10:30")
    enroll(ada, mine)
    enroll(student(), full)

    assert found(browser.get("/app/courses")) == ["CLASH", "FULL", "MINE", "OPEN"]
    assert found(browser.get("/app/courses?open=true")) == ["CLASH", "MINE", "OPEN"]
    assert found(browser.get("/app/courses?fits=true")) == ["FULL", "MINE", "OPEN"]
    assert found(browser.get("/app/courses?possible=true")) == ["OPEN"]
    assert found(browser.get("/app/courses?q=pen")) == ["OPEN"]


def test_a_long_list_has_every_course_once(browser: FlaskClient, course: Make) -> None:
    for number in range(60):
        course(code=f"C{number:02}")

    codes, address = [], "/app/courses"
    while address:
        response = browser.get(address)
        codes += found(response)
        root, _ = parse(response.text)
        links = [each.attributes["href"] for each in root.walk() if each.tag == "a" and each.text == "Next courses"]
        address = f"/app/courses{links[0]}" if links else ""

    assert codes == [f"C{number:02}" for number in range(60)]


def test_a_refused_enroll_is_a_page_with_the_reasons_of_the_api(
    browser: FlaskClient, ada: int, student: Make, course: Make, enroll: Any, held: Any
) -> None:
    full = course(code="FULL", capacity=1, waitlist_capacity=0)
    enroll(student(), full)

    response = post(browser, f"/courses/{full}/enroll")

    refusal = enroll(ada, full).get_json()
    assert response.status_code == 409
    assert refusal["detail"] in text_of(response)
    assert refusal["decisions"][0]["reasons"][0]["detail"] in text_of(response)
    assert held(ada) == {}


def test_enrolling_waiting_and_leaving_are_reported_with_what_they_cost(
    browser: FlaskClient, ada: int, student: Make, course: Make, enroll: Any, held: Any
) -> None:
    full = course(code="FULL", capacity=1, waitlist_capacity=9)
    enroll(student(), full)
    enroll(student(), full, waitlist=True)

    assert "Join the waitlist" in browser.get(f"/app/courses/{full}").text
    assert post(browser, f"/courses/{full}/enroll", waitlist="true").headers["Location"] == "/app/my-courses"
    assert "You are on the waitlist of FULL, position 2." in text_of(browser.get("/app/my-courses"))
    assert held(ada) == {full: "waitlisted"}
    assert "You lose your position 2." in text_of(browser.get(f"/app/courses/{full}/drop"))
    post(browser, f"/courses/{full}/drop")
    assert "You have left the waitlist of FULL." in text_of(browser.get("/app/my-courses"))
    assert held(ada) == {}


def test_a_swap_leaves_nothing_half_done(
    browser: FlaskClient, ada: int, student: Make, course: Make, enroll: Any, held: Any
) -> None:
    mine, other, full = course(code="MINE"), course(code="OTHER"), course(code="FULL", capacity=1)
    enroll(ada, mine)
    enroll(student(), full)

    assert "Swap MINE for OTHER" in text_of(browser.get(f"/app/courses/{other}/swap"))
    assert "Not possible" in text_of(browser.get(f"/app/courses/{full}/swap"))
    assert post(browser, f"/courses/{full}/swap", instead_of=mine).status_code == 409
    assert held(ada) == {mine: "enrolled"}
    assert post(browser, f"/courses/{other}/swap", instead_of=mine).status_code == 303
    assert held(ada) == {other: "enrolled"}


def test_a_plan_is_checked_and_submitted_whole(
    browser: FlaskClient, ada: int, student: Make, course: Make, enroll: Any, held: Any
) -> None:
    one, full = course(code="ONE"), course(code="FULL", capacity=1, waitlist_capacity=9)
    enroll(student(), full)
    for course_id in (one, full):
        assert post(browser, f"/courses/{course_id}/plan").status_code == 303

    checked = text_of(browser.get("/app/plan?check=true"))
    assert "ONE Programming" in checked
    assert "Course full" in checked
    shown = hidden(browser.get("/app/plan"), "shown")
    assert post(browser, "/plan", shown=shown).status_code == 409
    assert held(ada) == {}
    assert "all of these courses are possible" in text_of(browser.get("/app/plan?check=true&waitlist=true"))
    assert post(browser, "/plan", shown=shown, waitlist="true").status_code == 303
    assert held(ada) == {one: "enrolled", full: "waitlisted"}
    assert "Your plan is empty" in text_of(browser.get("/app/plan"))


def test_the_timetable_marks_conflicts(browser: FlaskClient, ada: int, course: Make, enroll: Any, meets: Meets) -> None:
    one, other = course(code="ONE"), course(code="OTHER")
    meets(one, "09:00", "10:00")
    meets(other, "09:30", "10:30")
    enroll(ada, one, other)

    response = browser.get("/app/timetable")

    assert "conflicts with OTHER" in text_of(response)
    assert response.text.count('class="meeting clash"') == 2


def test_a_student_who_was_passed_over_is_told_why(
    browser: FlaskClient,
    client: FlaskClient,
    ada: int,
    student: Make,
    course: Make,
    enroll: Any,
    open_term: Make,
    meets: Meets,
) -> None:
    term_id = open_term()
    mine, wanted, alan = (
        course(term_id=term_id),
        course(code="WANTED", term_id=term_id, capacity=1, waitlist_capacity=9),
        student(),
    )
    meets(mine, "09:00", "10:00")
    meets(wanted, "09:30", "10:30")
    enroll(ada, mine)
    enroll(alan, wanted)
    enroll(ada, wanted, waitlist=True)
    client.delete(f"/students/{alan}/unenroll", json={"course_id": wanted})

    text = text_of(browser.get("/app/my-courses"))

    assert "A seat was free, but you could not get it: Time conflict" in text


def test_holds_windows_and_credits_are_shown_without_the_note_of_the_staff(
    browser: FlaskClient, client: FlaskClient, ada: int, term: Make
) -> None:
    term_id = term(credit_limit=12)
    window = {"opens_at": "2990-01-01T00:00:00Z", "closes_at": "2991-01-01T00:00:00Z"}
    client.put(f"/terms/{term_id}/windows", json=[window])
    hold = {"kind": "library", "contact": "Desk", "blocks": "both", "note": "Owes a rare book"}
    assert client.post(f"/students/{ada}/holds", json=hold).status_code == 201

    text = text_of(browser.get("/app/registration"))

    assert "Not open yet. It opens in" in text
    assert "Fri 1 Jan 2990" in text
    assert "UTC" in text
    assert "Desk" in text
    assert "rare book" not in text
    assert "You have 0 of at most 12 credits." in text


def test_what_a_student_can_do_is_refreshed_with_the_seats(
    browser: FlaskClient, student: Make, course: Make, enroll: Any
) -> None:
    course_id = course(code="CS1", capacity=1, waitlist_capacity=5)
    page = browser.get("/app/courses?q=CS1").text
    assert 'data-standing="/app/standing"' in page
    assert 'data-state="free"' in page
    enroll(student(), course_id)

    seats, standing = (browser.get(f"/app/{part}?ids={course_id}").text for part in ("seats", "standing"))

    assert 'data-state="waitlist"' in seats
    assert f'<div id="standing-{course_id}" hx-swap-oob="true">' in standing
    assert "Join the waitlist of CS1" in standing


def test_a_plan_that_has_changed_in_another_tab_is_not_submitted(
    browser: FlaskClient, ada: int, course: Make, held: Any
) -> None:
    first, second = course(code="CS1"), course(code="CS2")
    post(browser, f"/courses/{first}/plan")
    shown = hidden(browser.get("/app/plan"), "shown")
    post(browser, f"/courses/{second}/plan")

    post(browser, "/plan", shown=shown)

    text = text_of(browser.get("/app/plan"))
    assert "The plan has changed since the page was shown, so nothing was submitted." in text
    assert held(ada) == {}
    post(browser, "/plan", shown=hidden(browser.get("/app/plan"), "shown"))
    assert held(ada) == {first: "enrolled", second: "enrolled"}
    post(browser, "/plan", shown=shown)
    assert "The plan is empty, so nothing was changed." in text_of(browser.get("/app/plan"))


def test_a_course_is_swapped_from_the_list_of_courses(
    browser: FlaskClient, ada: int, course: Make, enroll: Any
) -> None:
    mine, other = course(code="MINE"), course(code="OTHER")
    enroll(ada, mine)
    assert f'href="/app/courses?swap={mine}"' in browser.get("/app/my-courses").text

    page = browser.get(f"/app/courses?swap={mine}")

    assert "Choose the course that you want instead of MINE." in text_of(page)
    assert f'href="/app/courses/{other}/swap#swap-{mine}"' in page.text
    assert f'id="swap-{mine}"' in browser.get(f"/app/courses/{other}/swap").text


def test_a_refused_plan_leads_back_to_the_plan(browser: FlaskClient, student: Make, course: Make, enroll: Any) -> None:
    full = course(code="FULL", capacity=1, waitlist_capacity=0)
    enroll(student(), full)
    post(browser, f"/courses/{full}/plan")
    shown = hidden(browser.get("/app/plan"), "shown")
    headers = {**ORIGIN, "Referer": "http://localhost/app/plan?check=true"}

    refused = browser.post("/app/plan", data={"shown": shown}, headers=headers)

    assert (refused.status_code, 'href="/app/plan?check=true"' in refused.text) == (409, True)


def test_seats_have_a_tag_and_are_sent_again_only_if_they_changed(
    browser: FlaskClient, student: Make, course: Make, enroll: Any
) -> None:
    course_id = course(capacity=9)
    first = browser.get(f"/app/seats?ids={course_id}")
    tag = {"If-None-Match": first.headers["ETag"]}

    assert browser.get(f"/app/seats?ids={course_id}", headers=tag).status_code == 304
    enroll(student(), course_id)
    changed = browser.get(f"/app/seats?ids={course_id}", headers=tag)

    assert (changed.status_code, "8 of 9 seats free" in changed.text) == (200, True)


def test_a_page_of_another_student_or_of_no_course_does_not_exist(browser: FlaskClient) -> None:
    for path in ("/app/courses/999", "/app/courses/999/drop", "/app/nothing", f"/app/courses/{2**60}"):
        response = browser.get(path)
        assert (response.status_code, response.mimetype) == (404, "text/html"), path


def test_the_courses_of_all_terms_are_found_by_the_empty_choice(browser: FlaskClient, course: Make) -> None:
    course(code="OLD")

    assert found(browser.get("/app/courses?q=&term_id=")) == ["OLD"]


def test_a_full_plan_says_what_to_do_and_takes_no_more(
    browser: FlaskClient, course: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "MAX_PLANNED", 1)
    first, second = course(code="CS1"), course(code="CS2")
    post(browser, f"/courses/{first}/plan")

    again = post(browser, f"/courses/{first}/plan")
    refused = post(browser, f"/courses/{second}/plan")

    assert (again.status_code, refused.status_code) == (303, 409)
    assert "Plan full" in text_of(refused)
    assert "CS2" not in text_of(browser.get("/app/plan"))


def test_the_time_in_a_reason_is_text_and_no_markup(browser: FlaskClient, client: FlaskClient, course: Make) -> None:
    closed = course()
    client.patch(f"/courses/{closed}", json={"closed": True})

    page = browser.get(f"/app/courses/{closed}")

    assert "Closed: " in text_of(page)
    assert "&lt;time" not in page.text
