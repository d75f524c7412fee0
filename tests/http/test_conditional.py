"""Conditional requests: entity tags of two parts, 304 for a known body, 412 for a stale If-Match."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ..support.fixture_types import Enroll, Held, Make

TAG = re.compile(r'"([0-9a-f]{16})\.([0-9a-f]{16})"')


@dataclass
class Thing:
    """A student or a course: its address, and two changes to it."""

    path: str
    change: Mapping[str, Any]
    later_change: Mapping[str, Any]


@pytest.fixture(params=["student", "course"])
def thing(request: pytest.FixtureRequest, student: Make, course: Make) -> Thing:
    if request.param == "student":
        return Thing(f"/students/{student()}", {"name": "Ada King"}, {"email": "king@example.edu"})
    return Thing(f"/courses/{course(capacity=5)}", {"capacity": 6}, {"title": "Programs"})


@pytest.fixture
def tag(client: FlaskClient) -> Callable[[str], str]:
    """Return the current ETag of an address."""

    def read(path: str) -> str:
        return client.get(path).headers["ETag"]

    return read


def parts(tag: str) -> tuple[str, str]:
    match = TAG.fullmatch(tag)
    assert match, tag
    return match[1], match[2]


def if_match(tag: str) -> dict[str, str]:
    return {"If-Match": tag}


def is_stale(response: TestResponse) -> bool:
    return response.status_code == 412 and response.get_json()["code"] == "precondition_failed"


# --- If-None-Match ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_with_the_current_body_gets_304(client: FlaskClient, thing: Thing, tag: Any, method: str) -> None:
    known = tag(thing.path)
    for header in (known, f"W/{known}", f'"other.one", {known}', f' W/"other.one" ,{known} ', "*"):
        response = client.open(thing.path, method=method, headers={"If-None-Match": header})

        assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", known), header
        assert "Content-Type" not in response.headers


def test_a_client_with_another_body_gets_this_one(client: FlaskClient, thing: Thing, tag: Any) -> None:
    known = tag(thing.path)
    same_thing_other_body = f'"{parts(known)[0]}.{"0" * 16}"'
    for header in ('"other.one"', same_thing_other_body, known.strip('"'), "", "nonsense"):
        response = client.get(thing.path, headers={"If-None-Match": header})

        assert response.status_code == 200, header
        assert response.get_json()["id"]


def test_a_change_changes_the_tag(client: FlaskClient, thing: Thing, tag: Any) -> None:
    before = tag(thing.path)

    changed = client.patch(thing.path, json=thing.change)

    assert parts(changed.headers["ETag"])[0] != parts(before)[0]
    assert parts(changed.headers["ETag"])[1] != parts(before)[1]
    assert client.get(thing.path, headers={"If-None-Match": before}).status_code == 200


def test_the_courses_of_a_student_are_not_sent_again(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, tag: Any
) -> None:
    ada = student()
    path = f"/students/{ada}/courses"
    enroll(ada, course())
    known = tag(path)

    response = client.get(path, headers={"If-None-Match": known})
    enroll(ada, course())

    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", known)
    assert client.get(path, headers={"If-None-Match": known}).status_code == 200


def test_a_new_position_on_a_waitlist_changes_the_etag(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, tag: Any
) -> None:
    ada, first, wanted = student(), student(), course(capacity=0, waitlist_capacity=2)
    enroll(first, wanted, waitlist=True)
    enroll(ada, wanted, waitlist=True)
    path = f"/students/{ada}/courses?status=any"
    before = tag(path)

    client.delete(f"/students/{first}/unenroll", json={"course_id": wanted})

    after = tag(path)
    assert parts(after)[0] == parts(before)[0]
    assert client.get(path, headers={"If-None-Match": before}).get_json()["courses"][0]["position"] == 1


# --- If-Match ---------------------------------------------------------------------------------------------


def test_a_change_with_the_current_tag_is_applied(client: FlaskClient, thing: Thing, tag: Any) -> None:
    for header in ("{}", '"other.one", {}', "*", ' W/"other.one",{}'):
        response = client.patch(thing.path, json=thing.change, headers=if_match(header.format(tag(thing.path))))

        assert response.status_code == 200, header


def test_a_deletion_with_the_current_tag_is_applied(client: FlaskClient, thing: Thing, tag: Any) -> None:
    assert client.delete(thing.path, headers=if_match(tag(thing.path))).status_code == 204


def test_a_change_with_a_stale_tag_is_refused(client: FlaskClient, thing: Thing, tag: Any) -> None:
    stale = tag(thing.path)
    now = client.patch(thing.path, json=thing.change).get_json()

    assert is_stale(client.patch(thing.path, json=thing.later_change, headers=if_match(stale)))
    assert is_stale(client.delete(thing.path, headers=if_match(stale)))
    assert client.get(thing.path).get_json() == now


def test_a_weak_tag_never_matches(client: FlaskClient, thing: Thing, tag: Any) -> None:
    response = client.patch(thing.path, json=thing.change, headers=if_match(f"W/{tag(thing.path)}"))

    assert is_stale(response)


def test_the_tag_of_another_resource_does_not_match(client: FlaskClient, student: Make, tag: Any) -> None:
    one, other = (f"/students/{student(name='Ada')}" for _ in range(2))

    assert is_stale(client.delete(one, headers=if_match(tag(other))))


def test_a_malformed_if_match_is_refused(client: FlaskClient, thing: Thing) -> None:
    before = client.get(thing.path).get_json()

    for header in ("", "1f0c.9a2e", '"unfinished', 'w/"a.b"', '"a" "b"', '"a.b",', '*, "a.b"', "**"):
        for response in (
            client.patch(thing.path, json=thing.change, headers=if_match(header)),
            client.delete(thing.path, headers=if_match(header)),
        ):
            assert response.status_code == 400, header
            assert response.get_json()["code"] == "malformed_precondition"
    assert client.get(thing.path).get_json() == before


@pytest.mark.parametrize("path", ["/students/1", "/courses/1"])
def test_an_unknown_id_is_404_with_any_tag(client: FlaskClient, path: str) -> None:
    for header in ("*", '"a.b"'):
        assert client.delete(path, headers=if_match(header)).status_code == 404


def test_enrollments_of_others_do_not_make_an_edit_stale(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, tag: Any
) -> None:
    wanted = course(capacity=5)
    path = f"/courses/{wanted}"
    before = tag(path)

    enroll(student(), wanted)

    after = tag(path)
    assert parts(after)[0] == parts(before)[0]
    assert parts(after)[1] != parts(before)[1]
    assert client.get(path, headers={"If-None-Match": before}).get_json()["seats_taken"] == 1
    assert client.patch(path, json={"title": "Programs"}, headers=if_match(before)).status_code == 200


def test_of_concurrent_changes_with_the_same_tag_one_succeeds(app: Flask, client: FlaskClient, course: Make) -> None:
    path = f"/courses/{course(capacity=0)}"
    known = client.get(path).headers["ETag"]
    start = Barrier(6)

    def change(capacity: int) -> int:
        mine = app.test_client()
        start.wait()
        return mine.patch(path, json={"capacity": capacity}, headers=if_match(known)).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(change, range(1, 7))) == [200] + [412] * 5


# --- If-Match and the set of a student's courses ----------------------------------------------------------


@pytest.fixture
def replace(client: FlaskClient) -> Callable[..., TestResponse]:
    def call(student_id: int, *course_ids: int, known: str, query: str = "") -> TestResponse:
        body = {"course_ids": course_ids}
        return client.put(f"/students/{student_id}/enroll{query}", json=body, headers=if_match(known))

    return call


def test_a_replacement_with_a_stale_tag_is_refused(
    student: Make, course: Make, enroll: Enroll, replace: Any, held: Held, tag: Any
) -> None:
    ada, old, new = student(), course(), course()
    enroll(ada, old)
    known = tag(f"/students/{ada}/courses")

    assert replace(ada, new, known=known).status_code == 200
    assert is_stale(replace(ada, old, known=known))
    assert is_stale(replace(ada, old, known=known, query="?dry_run=true"))
    assert is_stale(replace(ada, old, known=f"W/{tag(f'/students/{ada}/courses')}"))
    assert replace(ada, old, known="nonsense").status_code == 400
    assert held(ada) == {new: "enrolled"}
    assert replace(ada, old, known="*").status_code == 200


@pytest.mark.parametrize("status", ["enrolled", "waitlisted", "any"])
def test_the_tag_of_each_view_covers_all_enrollments(
    student: Make, course: Make, enroll: Enroll, replace: Any, tag: Any, status: str
) -> None:
    ada, seat, place = student(), course(), course(capacity=0, waitlist_capacity=1)
    known = tag(f"/students/{ada}/courses?status={status}")
    enroll(ada, seat)

    assert is_stale(replace(ada, known=known))
    known = tag(f"/students/{ada}/courses?status={status}")
    enroll(ada, place, waitlist=True)
    assert is_stale(replace(ada, known=known))
    assert replace(ada, known=tag(f"/students/{ada}/courses?status={status}")).status_code == 200


def test_unenrolling_and_enrolling_again_changes_the_tag(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, replace: Any, tag: Any
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)
    known = tag(f"/students/{ada}/courses")

    client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})
    enroll(ada, programming)

    assert is_stale(replace(ada, known=known))


def test_changes_of_the_courses_do_not_change_the_tag_of_the_students_courses(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, replace: Any, tag: Any
) -> None:
    ada, programming, other = student(), course(), course()
    enroll(ada, programming)
    known = tag(f"/students/{ada}/courses")

    client.patch(f"/courses/{programming}", json={"title": "Programs"})
    client.patch(f"/courses/{other}", json={"capacity": 3})
    enroll(student(), programming)

    assert replace(ada, other, known=known).status_code == 200


def test_of_concurrent_replacements_with_the_same_tag_one_succeeds(
    app: Flask, student: Make, course: Make, tag: Any, held: Held
) -> None:
    ada, ids = student(), [course() for _ in range(6)]
    known = tag(f"/students/{ada}/courses")
    start = Barrier(len(ids))

    def replace(course_id: int) -> int:
        mine = app.test_client()
        start.wait()
        body = {"course_ids": [course_id]}
        return mine.put(f"/students/{ada}/enroll", json=body, headers=if_match(known)).status_code

    with ThreadPoolExecutor(len(ids)) as pool:
        assert sorted(pool.map(replace, ids)) == [200] + [412] * 5
    assert len(held(ada)) == 1
