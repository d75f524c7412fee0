"""Which errors are tried again, which count as unavailable, and what they are called in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from course_management.context import RequestContext, use
from course_management.database import Raced, broken_constraint, is_unavailable, kind_of, retry
from course_management.database.execute import MAX_RETRIES

Make = Callable[..., Any]


class Said(Exception):
    """A driver's error, as far as the rules look at it."""

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        vars(self).update(attributes)


def failed(message: str = "", *, lost: bool = False, **attributes: Any) -> DBAPIError:
    """SQLAlchemy's error around a driver's."""
    return OperationalError("SELECT 1", {}, Said(message, **attributes), connection_invalidated=lost)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PoolTimeout(), True),
        (SQLAlchemyError(), False),
        (failed(sqlstate=None), True),
        (failed(sqlstate="42P01"), False),
        (failed(sqlstate="42P01", lost=True), True),
        *((failed(sqlstate=code), True) for code in ("08006", "53300", "55P03", "57014", "57P01", "58030", "25006")),
        *((failed(sqlstate=code), True) for code in ("40001", "40P01")),
        *((failed(sqlstate=code), False) for code in ("23505", "22001", "25P02", "55006", "40002", "XX000")),
        *(
            (failed(sqlite_errorname=f"SQLITE_{name}"), True)
            for name in ("BUSY_SNAPSHOT", "LOCKED", "FULL", "CANTOPEN")
        ),
        *((failed(sqlite_errorname=f"SQLITE_{name}"), False) for name in ("ERROR", "MISUSE", "TOOBIG")),
        (IntegrityError("", {}, Said(sqlstate="23505")), False),
        (IntegrityError("", {}, Said(sqlite_errorname="SQLITE_CONSTRAINT_UNIQUE")), False),
    ],
    ids=lambda value: kind_of(value) if isinstance(value, Exception) else "",
)
def test_only_errors_of_a_database_that_cannot_serve_count_as_unavailable(
    error: SQLAlchemyError, expected: bool
) -> None:
    assert is_unavailable(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Said("nobody reads this", diag=SimpleNamespace(constraint_name="uq_students_email")), "uq_students_email"),
        (Said("of a worker", diag=SimpleNamespace(constraint_name="uq_students_email_102008")), "uq_students_email"),
        (
            Said('… unique constraint "uq_students_email_102008"', diag=SimpleNamespace(constraint_name=None)),
            "uq_students_email",
        ),
        (Said('… violates check constraint "ck_courses_capacity"', diag=None), "ck_courses_capacity"),
        (Said("UNIQUE constraint failed: students.email"), "uq_students_email"),
        (Said("CHECK constraint failed: ck_courses_capacity"), "ck_courses_capacity"),
        (Said("student_courses_held_rows_stay: a seat is held"), "student_courses_held_rows_stay"),
        (Said("FOREIGN KEY constraint failed", diag=SimpleNamespace(constraint_name=None)), ""),
        (Said(""), ""),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_violated_constraint_is_named_as_in_the_models(error: Said, expected: str) -> None:
    assert broken_constraint(IntegrityError("INSERT", {}, error)) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failed("secret", sqlstate="40001"), "40001"),
        (failed("secret", sqlite_errorname="SQLITE_BUSY"), "SQLITE_BUSY"),
        (failed("secret"), "Said"),
        (PoolTimeout("secret"), "TimeoutError"),
        (Raced("secret"), "Raced"),
    ],
)
def test_an_error_is_logged_by_its_kind_and_not_by_its_text(error: Exception, expected: str) -> None:
    assert kind_of(error) == expected


class Tries:
    """Work that fails with these errors, one a try, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.made = errors, 0

    def __call__(self) -> str:
        self.made += 1
        if self.made <= len(self.errors):
            raise self.errors[self.made - 1]
        return "done"


@pytest.fixture
def deadline() -> Iterator[Callable[[float], None]]:
    """Sets how many seconds a request may try; an hour at first."""
    with use(RequestContext()) as context:

        def put(seconds: float) -> None:
            context.deadline = time.monotonic() + seconds

        put(3600)
        yield put


LOST = failed(sqlstate="57P01", lost=True)
HELPED = [Raced(), failed(sqlstate="40001"), failed(sqlstate="40P01"), failed(sqlite_errorname="SQLITE_BUSY_SNAPSHOT")]


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("error", HELPED, ids=kind_of)
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_rolled_back_transaction_is_tried_5_times_more(error: Exception, repeatable: bool) -> None:
    work = Tries(*[error] * MAX_RETRIES)
    assert retry(work, repeatable=repeatable) == "done"
    work = Tries(*[error] * 99)
    with pytest.raises(type(error)):
        retry(work, repeatable=repeatable)
    assert work.made == 1 + MAX_RETRIES == 6


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize(("repeatable", "tries"), [(True, 2), (False, 1)])
def test_a_lost_connection_is_tried_once_more_and_only_if_that_is_safe(repeatable: bool, tries: int) -> None:
    work = Tries(LOST, LOST, LOST)
    with pytest.raises(OperationalError):
        retry(work, repeatable=repeatable)
    assert work.made == tries


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("error", [failed(sqlstate="55P03"), failed(sqlstate="42P01"), PoolTimeout(), ValueError()])
def test_an_error_that_lasts_is_not_tried_again(error: Exception) -> None:
    work = Tries(error)
    with pytest.raises(type(error)):
        retry(work, repeatable=True)
    assert work.made == 1


@pytest.mark.parametrize("error", [*HELPED, LOST], ids=kind_of)
def test_nothing_is_tried_again_after_the_deadline(deadline: Callable[[float], None], error: Exception) -> None:
    deadline(-1)
    work = Tries(error)
    with pytest.raises(type(error)):
        retry(work, repeatable=True)
    assert work.made == 1


@pytest.mark.usefixtures("deadline")
def test_a_nested_call_leaves_retrying_to_the_outer_one() -> None:
    inner = Tries(*[Raced()] * (MAX_RETRIES + 1))
    outer = 0

    def around() -> None:
        nonlocal outer
        outer += 1
        retry(inner, repeatable=True)

    with pytest.raises(Raced):
        retry(around, repeatable=True)
    assert (outer, inner.made) == (MAX_RETRIES + 1, MAX_RETRIES + 1)
