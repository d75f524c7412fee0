"""What Schemathesis cannot know: the caller, and what the access table permits that caller.

Loaded into its process by SCHEMATHESIS_HOOKS; FUZZ_CALLER is the caller, as `run.Caller` wrote it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, cast

import schemathesis
from schemathesis.specs.openapi.stateful.dependencies import models

from course_management import api
from course_management.access import policy
from course_management.access.callers import Caller, PersonCaller, ServiceCaller
from course_management.api import enrollment
from course_management.api.permissions import GRANT_ACCESS
from course_management.errors import Problem

_merge = models._merge_nested_body  # noqa: SLF001


def _merge_objects(target: Any, source: Any) -> None:
    """Merge values of earlier responses into a body. Schemathesis 4.32 fails at an array of arrays, such as groups."""
    if isinstance(target, dict) and isinstance(source, dict):
        _merge(target, source)


models._merge_nested_body = _merge_objects  # noqa: SLF001

ENDPOINTS = {endpoint.name: endpoint for subject in api.BLUEPRINTS for endpoint in subject.endpoints}
"""The endpoint of each operation."""
MEMBERS = {"permit": GRANT_ACCESS, "reason": enrollment.STAFF_ACCESS}
"""The access rows of members of the bodies of enrollments."""


def _caller() -> Caller | None:
    found = json.loads(os.environ["FUZZ_CALLER"])
    if found is None:
        return None
    if "scopes" in found:
        return ServiceCaller("service", frozenset(found["scopes"]))
    students = frozenset(found["students"])
    if found["role"] == "student":
        (student_id,) = students
        return PersonCaller("person", student_id=student_id)
    return PersonCaller("person", frozenset([found["role"]]), advisees=students)


CALLER = _caller()


@schemathesis.check
def declared_status(_: Any, response: Any, case: Any) -> None:
    """Check that the endpoint declares the status: the document has one response for the problems that calls share."""
    endpoint = ENDPOINTS.get(case.operation.definition.raw.get("operationId"))
    if endpoint and case.method == endpoint.method:
        assert response.status_code in endpoint.statuses, f"{response.status_code} is not declared"


@schemathesis.check
def authority(_: Any, response: Any, case: Any) -> None:
    """Check that every success was permitted, and that every refusal is the one of the table."""
    view = case.operation.definition.raw.get("operationId")
    if view is None or case.method not in {case.operation.method.upper(), case.operation.method}:
        return
    named = re.match(r"/students/(\d+)", response.request.path_url)
    student_id = int(named[1]) if named else None
    try:
        policy.check(cast("policy.Access", ENDPOINTS[view].access), CALLER, student_id)
        due = None
    except Problem as problem:
        due = problem.status
    if due is None:
        body = case.body if isinstance(case.body, dict) else {}
        # A registrar cannot give or take scopes and roles that only administrators have.
        is_refused = case.operation.path.startswith(("/keys", "/people")) or any(
            member in body and not policy.has_access(access, CALLER, student_id) for member, access in MEMBERS.items()
        )
        assert response.status_code not in ({401} if is_refused else {401, 403}), (
            f"{response.status_code} to a caller that may"
        )
    else:  # refused before anything is read; only what is no request at all is refused earlier
        assert response.status_code in {due, 400, 404, 405}, f"{response.status_code} where {due} is due"
