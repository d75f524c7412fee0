"""What students have completed, and their own credit limits."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import ValidationError

from ..access.policy import Access
from ..context import RequestContext
from ..errors import CatalogEntryNotFound, NotFound, StudentNotFound, TermNotFound
from ..http.endpoints import Endpoints, body, query, responds
from ..http.pagination import Page
from ..http.responses import empty, reply
from ..repositories import completions as repository
from ..schemas.catalog import (
    COMPLETION_BODY,
    Completion,
    CompletionBody,
    Completions,
    LimitBody,
    StudentCreditLimit,
)
from ..schemas.fields import Text
from ..schemas.pagination import PageQuery
from ..services import completions as service
from ..services import credit_limits

endpoints = Endpoints("completions", __name__, description="What students have completed, and their own credit limits.")
READ_ACCESS, WRITE_ACCESS = Access(scope="completions:read", student=True), Access(scope="completions:write")
ONE = "/students/<id:student_id>/completions/<id:catalog_id>/<path:term_code>"
LIMIT_OF = "/students/<id:student_id>/terms/<id:term_id>"


@endpoints.declare("GET", "/students/<id:student_id>/completions", READ_ACCESS, StudentNotFound)
@query(PageQuery)
@responds(200, Completions)
def list_completions(page: Page, student_id: int) -> Response:
    """List what a student has completed, by catalog entry and term."""
    first = page.after()
    rows = repository.page(student_id, first, page.shown, page.limit + 1)
    if rows is None:
        raise StudentNotFound
    shown = rows[: page.limit]
    end = None
    if len(rows) > page.limit:
        last = shown[-1].catalog_id
        before = page.shown if last == first else 0
        end = last, before + sum(row.catalog_id == last for row in shown)
    return page.reply_ending(shown, end, item)


@endpoints.declare("PUT", ONE, WRITE_ACCESS, StudentNotFound, CatalogEntryNotFound)
@body(CompletionBody, COMPLETION_BODY)
@responds(201, Completion)
@responds(200, Completion)
def put_completion(
    body: dict[str, Any], student_id: int, catalog_id: int, term_code: str, context: RequestContext
) -> Response:
    """Record that a student completed a catalog entry in a term, or change what was recorded.

    The term need not be one of this service, and its code may contain slashes. Prerequisites count completions that
    were passed; where they have minimum points, `points` decide, and a completion without points does not count.
    """
    done = service.put(student_id, catalog_id, _term_code(term_code), body, context)
    return reply(item(done.completion), 201 if done.is_new else 200)


@endpoints.declare("DELETE", ONE, WRITE_ACCESS, StudentNotFound)
@responds(204)
def delete_completion(student_id: int, catalog_id: int, term_code: str, context: RequestContext) -> Response:
    """Delete a completion; doing so again changes nothing."""
    service.remove(student_id, catalog_id, _term_code(term_code), context)
    return empty()


@endpoints.declare("GET", LIMIT_OF, Access(scope="students:read"), StudentNotFound, TermNotFound)
@responds(200, StudentCreditLimit)
def get_credit_limit(student_id: int, term_id: int) -> Response:
    """Read the credit limit of a student in a term; null where that of the term counts."""
    return reply(_limit(student_id, term_id, repository.credit_limit(student_id, term_id)))


@endpoints.declare("PUT", LIMIT_OF, Access(scope="students:write"), StudentNotFound, TermNotFound)
@body(LimitBody, {"credit_limit": 21})
@responds(200, StudentCreditLimit)
def put_credit_limit(body: dict[str, Any], student_id: int, term_id: int, context: RequestContext) -> Response:
    """Give a student a credit limit in a term, in the place of the term's. Courses that are held already stay."""
    return reply(_limit(student_id, term_id, credit_limits.put(student_id, term_id, body["credit_limit"], context)))


@endpoints.declare("DELETE", LIMIT_OF, Access(scope="students:write"), StudentNotFound, TermNotFound)
@responds(204)
def delete_credit_limit(student_id: int, term_id: int, context: RequestContext) -> Response:
    """Delete the credit limit of a student in a term, so that the term's counts; doing so again changes nothing."""
    credit_limits.remove(student_id, term_id, context)
    return empty()


def _term_code(text: str) -> str:
    """Return the code as it is stored. Raises `NotFound` for what no term code can be."""
    try:
        return str(Text(50).deserialize(text))
    except ValidationError:
        raise NotFound from None


def item(completion: Any) -> dict[str, Any]:
    """Return a completion as the contract has it."""
    return {name: getattr(completion, name) for name in Completion.example}


def _limit(student_id: int, term_id: int, limit: Any) -> dict[str, Any]:
    return {"student_id": student_id, "term_id": term_id} | {
        name: getattr(limit, name) for name in ("credit_limit", "created_at", "updated_at")
    }
