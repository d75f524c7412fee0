"""Resources: what their changes write to the log, and declarations that stop the start."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from structlog.testing import capture_logs

from course_management.context import NamedActor, RequestContext
from course_management.errors import EmailTaken, StudentNotFound
from course_management.models import Student
from course_management.services import resources
from course_management.services.resources import Resource
from course_management.services.students import STUDENT_RESOURCE


def test_each_change_of_a_resource_names_its_actor_in_the_log_and_no_value(make_app: Callable[..., Flask]) -> None:
    script = RequestContext(caller=NamedActor("script"))

    with make_app(log_level="info").app_context(), capture_logs() as lines:
        ada = resources.create(STUDENT_RESOURCE, {"name": "Ada Lovelace", "email": "ada@example.edu"}, script)
        resources.change(STUDENT_RESOURCE, ada.id, {"name": "Ada King", "email": None}, None, script)
        resources.remove(STUDENT_RESOURCE, ada.id, None, script)

    row = {"table": "students", "id": ada.id, "actor": "script", "log_level": "info"}
    assert lines == [
        {"event": "resource.created", **row},
        {"event": "resource.changed", **row, "fields": ["email", "name"]},
        {"event": "resource.deleted", **row},
    ]


def test_a_refusal_without_its_constraint_stops_the_start() -> None:
    with pytest.raises(ValueError, match="the table students does not have: uq_students_name"):
        Resource(model=Student, not_found=StudentNotFound, refusal_if_taken={"name": EmailTaken})
