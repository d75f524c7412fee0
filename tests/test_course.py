"""The story of courses: create, list, read, change, delete; roster, waitlist and history."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from .support.fixture_types import Counters, Enroll, Make


def roster(client: FlaskClient, course_id: int, status: str = "enrolled") -> list[int]:
    response = client.get(f"/courses/{course_id}/students?status={status}")
    return [each["student_id"] for each in response.get_json()["items"]]


def test_a_course_is_created(client: FlaskClient) -> None:
    body = {"code": "CS101", "title": "Programming", "capacity": 30, "waitlist_capacity": 5}

    response = client.post("/courses", json=body)

    assert response.status_code == 201
    created = response.get_json()
    counters = {"seats_taken": 0, "seats_available": 30, "waiting": 0}
    assert (body | counters | {"external_id": None}).items() <= created.items()
    assert response.headers["Location"] == f"/courses/{created['id']}"
    read = client.get(response.headers["Location"])
    assert read.get_json() == created
    assert read.headers["ETag"] == response.headers["ETag"]


def test_by_default_a_course_has_no_capacity_and_no_waitlist(client: FlaskClient) -> None:
    created = client.post("/courses", json={"code": "CS101", "title": "Programming"}).get_json()

    assert (created["capacity"], created["seats_available"], created["waitlist_capacity"]) == (None, None, 0)


def test_a_null_capacity_means_no_limit(client: FlaskClient, student: Make, course: Make, enroll: Enroll) -> None:
    unlimited = course(capacity=None, waitlist_capacity=None)

    assert enroll(student(), unlimited).status_code == 201

    read = client.get(f"/courses/{unlimited}").get_json()
    assert (read["seats_taken"], read["seats_available"], read["waitlist_capacity"]) == (1, None, None)


def test_a_course_with_capacity_0_has_no_seats_available(client: FlaskClient, course: Make) -> None:
    assert client.get(f"/courses/{course(capacity=0)}").get_json()["seats_available"] == 0


def test_courses_are_listed_by_id_with_their_counters(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ids = [course(code=code, capacity=1, waitlist_capacity=1) for code in ("Z", "A")]
    for _ in range(2):
        enroll(student(), ids[1], waitlist=True)

    items = client.get("/courses").get_json()["items"]

    assert [each["id"] for each in items] == ids
    assert [(each["seats_taken"], each["seats_available"], each["waiting"]) for each in items] == [
        (0, 1, 0),
        (1, 0, 1),
    ]
    assert items[1] == client.get(f"/courses/{ids[1]}").get_json()


# --- codes are unique -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["CS-\u00e9", "CS-e\u0301", "  CS-\u00e9 "])
def test_a_taken_code_is_refused(client: FlaskClient, course: Make, code: str) -> None:
    course(code="CS-\u00e9")

    response = client.post("/courses", json={"code": code, "title": "Another"})

    assert response.status_code == 409
    assert response.get_json()["code"] == "code_taken"
    assert len(client.get("/courses").get_json()["items"]) == 1


def test_the_refusal_of_a_taken_code_names_the_course_that_has_it(client: FlaskClient, course: Make) -> None:
    taken, other = course(code="CS101"), course()

    created = client.post("/courses", json={"code": " CS101", "title": "Another"})
    changed = client.patch(f"/courses/{other}", json={"code": "CS101"})

    assert [each.get_json()["existing_id"] for each in (created, changed)] == [taken, taken]


def test_the_list_is_filtered_by_code(client: FlaskClient, course: Make) -> None:
    wanted = course(code="Caf\u00e9 & 101+")
    course(code="CAF\u00c9 & 101+")

    def found(code: str, more: str = "") -> list[int]:
        response = client.get(f"/courses?code={code}{more}")
        assert (response.status_code, response.get_json()["next"]) == (200, None)
        return [each["id"] for each in response.get_json()["items"]]

    assert found("Caf%C3%A9+%26+101%2B") == found("%20Cafe%CC%81%20%26%20101%2B", "&limit=1") == [wanted]
    assert found("Caf%C3%A9") == found("%25") == []


def test_codes_are_case_sensitive(course: Make) -> None:
    assert course(code="CS101") != course(code="cs101")


# --- reading and changing with ETags ----------------------------------------------------------------------


def test_a_course_that_is_unchanged_is_not_sent_again(client: FlaskClient, course: Make) -> None:
    path = f"/courses/{course()}"
    known = client.get(path).headers["ETag"]

    response = client.get(path, headers={"If-None-Match": known})

    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", known)


def test_of_two_changes_with_the_same_etag_the_second_is_refused(client: FlaskClient, course: Make) -> None:
    path = f"/courses/{course(capacity=30)}"
    known = {"If-Match": client.get(path).headers["ETag"]}

    first = client.patch(path, json={"capacity": 40}, headers=known)
    second = client.patch(path, json={"title": "Programs"}, headers=known)

    assert first.status_code == 200
    assert (second.status_code, second.get_json()["code"]) == (412, "precondition_failed")
    assert (client.get(path).get_json()["capacity"], client.get(path).get_json()["title"]) == (40, "Programming")


# --- changing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"code": "CS102"}, {"title": "Programs"}, {"capacity": 7}, {"waitlist_capacity": None}, {"waitlist_capacity": 0}],
)
def test_a_change_keeps_the_fields_that_are_not_sent(client: FlaskClient, course: Make, change: dict[str, Any]) -> None:
    path = f"/courses/{course(capacity=7, waitlist_capacity=3)}"
    before = client.get(path).get_json()

    response = client.patch(path, json=change)

    assert response.status_code == 200
    now = client.get(path).get_json()
    assert response.get_json() == now
    assert now == before | change | {"updated_at": now["updated_at"]}
    assert response.headers["ETag"] == client.get(path).headers["ETag"]


def test_an_empty_change_changes_nothing(client: FlaskClient, course: Make) -> None:
    path = f"/courses/{course(capacity=2)}"
    before = client.get(path)

    response = client.patch(path, json={})

    assert response.status_code == 200
    assert response.get_json() == before.get_json()
    assert response.headers["ETag"] == before.headers["ETag"]


def test_a_course_cannot_be_changed_to_a_taken_code(client: FlaskClient, course: Make) -> None:
    course(code="CS101")
    path = f"/courses/{course(code='CS102')}"

    response = client.patch(path, json={"code": "CS101", "title": "Another"})

    assert response.status_code == 409
    assert response.get_json()["code"] == "code_taken"
    assert client.get(path).get_json()["title"] == "Programming"


def test_a_capacity_below_the_seats_taken_is_refused(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    wanted = course(capacity=3)
    for _ in range(2):
        enroll(student(), wanted)

    response = client.patch(f"/courses/{wanted}", json={"capacity": 1, "title": "Smaller"})

    assert response.status_code == 409
    assert response.get_json()["code"] == "capacity_below_enrollment"
    assert client.get(f"/courses/{wanted}").get_json()["title"] == "Programming"
    assert client.patch(f"/courses/{wanted}", json={"capacity": 2}).get_json()["seats_available"] == 0


def test_a_waitlist_capacity_below_the_waiting_students_is_refused(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, counters: Counters
) -> None:
    wanted = course(capacity=0, waitlist_capacity=None)
    for _ in range(2):
        enroll(student(), wanted, waitlist=True)

    response = client.patch(f"/courses/{wanted}", json={"waitlist_capacity": 1})

    assert response.status_code == 409
    assert response.get_json()["code"] == "waitlist_capacity_below_waiting"
    assert client.get(f"/courses/{wanted}").get_json()["waitlist_capacity"] is None
    assert client.patch(f"/courses/{wanted}", json={"waitlist_capacity": 2}).status_code == 200
    assert counters(wanted) == (0, 2)


@pytest.mark.parametrize(("capacity", "enrolled"), [(2, 2), (None, 3)])
def test_a_raised_capacity_promotes_students_in_the_order_of_the_waitlist(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, capacity: int | None, enrolled: int
) -> None:
    ids = [student() for _ in range(3)]
    wanted = course(capacity=0, waitlist_capacity=3)
    for each in reversed(ids):
        enroll(each, wanted, waitlist=True)

    response = client.patch(f"/courses/{wanted}", json={"capacity": capacity}, headers={"X-Request-ID": "more-seats"})

    assert (response.get_json()["seats_taken"], response.get_json()["waiting"]) == (enrolled, 3 - enrolled)
    assert response.headers["ETag"] == client.get(f"/courses/{wanted}").headers["ETag"]
    assert roster(client, wanted) == ids[3 - enrolled :]
    assert roster(client, wanted, "waitlisted") == ids[: 3 - enrolled]
    (line, *_) = client.get(f"/courses/{wanted}/history").get_json()["items"]
    assert (line["from"], line["to"], line["request_id"]) == ("waitlisted", "enrolled", "more-seats")


# --- deleting ---------------------------------------------------------------------------------------------


def test_a_course_without_students_is_deleted(client: FlaskClient, course: Make) -> None:
    path = f"/courses/{course()}"

    response = client.delete(path)

    assert (response.status_code, response.data) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


@pytest.mark.parametrize("capacity", [1, 0])
def test_a_course_with_enrolled_or_waitlisted_students_is_not_deleted(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, capacity: int
) -> None:
    wanted = course(capacity=capacity, waitlist_capacity=1)
    enroll(student(), wanted, waitlist=True)

    response = client.delete(f"/courses/{wanted}")

    assert response.status_code == 409
    assert response.get_json()["code"] == "course_has_enrollments"
    assert client.get(f"/courses/{wanted}").status_code == 200


def test_a_course_without_students_is_deleted_and_the_history_stays(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, wanted = student(), course()
    enroll(ada, wanted)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": wanted})
    before = client.get(f"/courses/{wanted}/history").get_json()

    assert client.delete(f"/courses/{wanted}").status_code == 204

    assert [each["to"] for each in before["items"]] == ["unenrolled", "enrolled"]
    assert client.get(f"/courses/{wanted}/history").get_json() == before
    assert len(client.get(f"/students/{ada}/history").get_json()["items"]) == 2
    assert client.get(f"/courses/{wanted}/students").status_code == 404


def test_the_id_of_a_deleted_course_is_never_used_again(client: FlaskClient, course: Make) -> None:
    last = course()
    client.delete(f"/courses/{last}")

    assert course() > last


# --- roster, waitlist, history -------------------------------------------------------------------------------


def test_the_roster_is_by_student_id_and_the_waitlist_by_position(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    names = ["Ada", "Ben", "Cem", "Dua"]
    a, b, c, d = (student(name=name) for name in names)
    wanted = course(capacity=2, waitlist_capacity=2)
    for each in (d, b, c, a):
        enroll(each, wanted, waitlist=True)

    seats = client.get(f"/courses/{wanted}/students").get_json()["items"]
    waitlist = client.get(f"/courses/{wanted}/students?status=waitlisted").get_json()["items"]

    assert [(each["student_id"], each["name"], each["status"], each["position"]) for each in seats + waitlist] == [
        (b, "Ben", "enrolled", None),
        (d, "Dua", "enrolled", None),
        (c, "Cem", "waitlisted", 1),
        (a, "Ada", "waitlisted", 2),
    ]
    assert all(each["status_since"].endswith("Z") for each in seats + waitlist)
    assert roster(client, wanted) == [b, d]


def test_the_history_has_each_change_newest_first(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, wanted = student(), course()
    enroll(ada, wanted)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": wanted}, headers={"X-Request-ID": "ada-unenrolls"})

    newest, oldest = client.get(f"/courses/{wanted}/history").get_json()["items"]

    assert {key: value for key, value in newest.items() if key != "at"} == {
        "student_id": ada,
        "from": "enrolled",
        "to": "unenrolled",
        "credits": None,
        "actor": "anonymous",
        "request_id": "ada-unenrolls",
        "reason": None,
    }
    assert (oldest["from"], oldest["to"]) == (None, "enrolled")
    assert oldest["at"] <= newest["at"]


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/students"),
        ("GET", "/students?status=waitlisted"),
        ("GET", "/history"),
    ],
)
def test_an_unknown_course_is_404(client: FlaskClient, method: str, rest: str) -> None:
    for unknown in (1, 2**53 - 1):
        response = client.open(f"/courses/{unknown}{rest}", method=method, json={} if method == "PATCH" else None)

        assert response.status_code == 404
        assert response.get_json()["code"] == "course_not_found"
