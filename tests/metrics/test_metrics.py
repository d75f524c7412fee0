"""What is counted, under which labels, and which callers may read it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management import metrics
from course_management.http.hooks import valid_traceparent
from course_management.server.load_shedding import LoadShedder

from ..support.fixture_types import Enroll, Make
from ..support.keys import create_key

PREFIX = "course_management_"


class Reader:
    """Reads the metrics of this process, and knows what they were."""

    def __init__(self) -> None:
        self.before = self.now()

    @staticmethod
    def now() -> dict[str, float]:
        from course_management.metrics import exposition  # noqa: PLC0415 - the service imports it late, too

        lines = [line for line in exposition.text().decode().splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def grown(self, name: str) -> dict[str, float]:
        """Return by how much the series of a metric have grown, by their labels; not those that have not."""
        pattern = re.compile(rf"{PREFIX}{name}(?:{{(.*)}})?")
        return {
            found[1] or "": value - self.before.get(series, 0)
            for series, value in self.now().items()
            if (found := pattern.fullmatch(series)) and value != self.before.get(series, 0)
        }


@pytest.fixture
def reader() -> Reader:
    metrics.start()
    return Reader()


def test_a_request_is_counted_by_route_method_and_status(client: FlaskClient, student: Make, reader: Reader) -> None:
    ada = student()
    client.get(f"/students/{ada}")
    client.get("/students/999")

    grown = reader.grown("http_request_duration_seconds_count")
    grown.pop('method="GET",route="/openapi.json",status="200"', None)  # the client validates what it gets
    assert grown == {
        'method="POST",route="/students",status="201"': 1,
        'method="GET",route="/students/<id:student_id>",status="200"': 1,
        'method="GET",route="/students/<id:student_id>",status="404"': 1,
    }
    assert all(0 < seconds < 60 for seconds in reader.grown("http_request_duration_seconds_sum").values())


@pytest.mark.parametrize("path", ["/nowhere", "/students/1/nowhere", "/students/x"])
def test_unknown_paths_and_methods_share_one_label(app: Flask, reader: Reader, path: str) -> None:
    client = FlaskClient(app, use_cookies=False)

    client.open(path, method="BREW")
    client.open(f"{path}/{path}", method="BOIL")

    assert reader.grown("http_request_duration_seconds_count") == {
        'method="unknown",route="unknown",status="404"': 2,
    }


def test_no_label_contains_an_id(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, reader: Reader
) -> None:
    ada, algorithms = student(), course()
    enroll(ada, algorithms)
    client.get(f"/courses/{algorithms}/students")

    labels = [
        value for series in reader.now() for name, value in re.findall(r'(\w+)="([^"]*)"', series) if name == "route"
    ]
    assert labels
    assert [label for label in labels if re.search(r"\d", label)] == []


def test_outcomes_are_counted_for_each_course_and_refusals_for_each_reason(
    client: FlaskClient, student: Make, course: Make, reader: Reader
) -> None:
    ada, grace = student(), student()
    full, also_full, free = course(capacity=1, waitlist_capacity=1), course(capacity=1), course()
    client.post(f"/students/{grace}/enroll", json={"course_ids": [full, also_full]})
    client.post(f"/students/{ada}/enroll", json={"course_ids": [full, also_full, free]})
    client.post(f"/students/{ada}/enroll", json={"course_ids": [full], "waitlist": True})
    client.delete(f"/students/{grace}/unenroll", json={"course_ids": [full]})

    assert reader.grown("enrollment_outcomes_total") == {
        'action="enrolled",code="enrolled"': 2,
        'action="refused",code="enrollment_refused"': 1,
        'action="refused",code="course_full"': 2,
        'action="waitlisted",code="waitlisted"': 1,
        'action="unenrolled",code="unenrolled"': 1,
    }
    assert reader.grown("promotions_total") == {"": 1}


def test_a_dry_run_counts_as_such(client: FlaskClient, student: Make, course: Make, reader: Reader) -> None:
    client.post(f"/students/{student()}/enroll?dry_run=true", json={"course_ids": [course(), course()]})

    assert reader.grown("enrollment_outcomes_total") == {'action="dry_run",code="eligible"': 2}


def test_warnings_are_counted_by_event_and_information_is_not(make_app: Any, reader: Reader) -> None:
    from course_management.http.problems import as_problem  # noqa: PLC0415

    make_app(log_level="info")
    as_problem(ValueError("a fault"))

    assert reader.grown("log_events_total") == {'event="internal_error",level="error"': 1}


def test_a_refusal_by_the_request_queue_is_counted(reader: Reader) -> None:
    class Refusing:
        def respond_with(self, *_: Any) -> None:
            raise ConnectionError  # the client has gone

    LoadShedder(Refusing()).refuse(None, {})  # type: ignore[arg-type]

    assert reader.grown("requests_refused_total") == {"": 1}


def test_a_fault_of_the_counting_neither_raises_nor_ends_it(reader: Reader) -> None:
    metrics.outcomes("enrolled", [["not", "a", "label"]])  # type: ignore[list-item]
    metrics.promoted(2)

    assert reader.grown("promotions_total") == {"": 2}


def test_only_a_key_with_the_scope_reads_the_metrics(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        secrets = {scope: create_key(scope, [scope]) for scope in ("metrics:read", "students:read")}

    statuses = {
        scope: client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code
        for scope, secret in secrets.items()
    }

    assert statuses == {"metrics:read": 200, "students:read": 403}
    assert client.get("/metrics").status_code == 401


def test_metrics_are_text_that_prometheus_reads(client: FlaskClient) -> None:
    response = client.get("/metrics")

    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE course_management_http_request_duration_seconds histogram" in response.data


VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (VALID, VALID),
        (VALID.replace("00-", "cc-"), VALID.replace("00-", "cc-")),
        (VALID.replace("00-", "ff-"), None),
        (VALID.upper(), None),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
        (VALID + "\n", None),
        (None, None),
    ],
)
def test_only_a_valid_traceparent_is_logged(header: str | None, expected: str | None) -> None:
    assert valid_traceparent(header) == expected
