"""The proof at a small size, and that it can fail; `make proof` runs it at its full size."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from ..proof import __main__ as command
from ..proof.mutants import CONFLICTS, MUTANTS, OVERSOLD, run_without
from ..proof.parts import PARTS, run
from ..proof.rules import OVER_LIMIT
from ..proof.settled import waitlist_faults
from ..proof.stage import Ground

SEED = 20261122
TWO_GUARDS = "the capacity constraint and the condition of a seat"


@pytest.fixture(scope="session")
def ground(backend: str) -> Iterator[Ground]:
    """Provide a folder and databases of one kind, on a separate PostgreSQL, because it will be killed."""
    with tempfile.TemporaryDirectory(prefix="proof-") as folder, closing(Ground(Path(folder), backend)) as ground:
        yield ground


@pytest.mark.parametrize("part", [name for name in PARTS if name not in {"random faults", "tests of waves"}])
def test_the_proof_holds(ground: Ground, part: str) -> None:
    if ground.backend not in PARTS[part].databases:
        pytest.skip("SQLite has no connection that could be cut")

    outcome = run(part, ground, SEED, PARTS[part].small)

    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.broken == []
    assert outcome.checks


@pytest.mark.parametrize(
    ("name", "on", "checks"),
    [
        (TWO_GUARDS, "sqlite", {MUTANTS[TWO_GUARDS].check, OVERSOLD}),
        ("the comparison of the schedule revision", "sqlite", {OVER_LIMIT}),
        ("the comparison of the schedule revision", "postgresql", {OVER_LIMIT}),
        ("the student locked after the courses", "postgresql", {CONFLICTS}),
    ],
)
def test_a_missing_guard_is_noticed(name: str, on: str, checks: set[str]) -> None:
    outcome = run_without(name, on, SEED)

    assert checks <= {check.name for check in outcome.broken}


def test_the_command_prints_the_seed_and_writes_the_results(tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    options = ["--database", "sqlite", "--size", "small", "--no-mutations", "--seed", "7", "--json", str(out)]

    result = CliRunner().invoke(command.main, ["--part", "last seats", *options])

    assert result.exit_code == 0, result.output
    assert "seed 7" in result.output
    (found,) = json.loads(out.read_text())["parts"]
    assert (found["part"], found["verdict"], found["figures"]["seats sold"]) == ("last seats", "holds", 100)


# --- the order of a waitlist, as the ledger shows it -----------------------------------------------------------


def line(student: int, before: str | None, after: str, actor: str = "anonymous", at: int = 0) -> Any:
    line.number += 1  # type: ignore[attr-defined]
    return SimpleNamespace(
        id=line.number,  # type: ignore[attr-defined]
        course_id=1,
        student_id=student,
        from_status=before,
        to_status=after,
        actor=actor,
        request_id="r",
        at=at,
    )


line.number = 0  # type: ignore[attr-defined]
WAITED = [line(student, None, "waitlisted") for student in (3, 1, 2)]


def waiting(*students: int) -> list[Any]:
    return [
        SimpleNamespace(course_id=1, student_id=student, status="waitlisted", queue_number=number)
        for number, student in enumerate(students)
    ]


def test_a_waitlist_promoted_in_order_has_no_fault() -> None:
    first = [line(each, "waitlisted", "enrolled", "promotion", at=1) for each in (1, 3)]

    assert waitlist_faults([*WAITED, *first], waiting(2)) == []


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        ([line(1, "waitlisted", "enrolled", "promotion", at=1)], waiting(3, 2)),
        ([line(2, "waitlisted", "enrolled", "promotion", at=at) for at in (1, 2)], waiting(3, 1)),
        ([line(9, None, "enrolled")], waiting(3, 1, 2)),
        ([line(9, "unenrolled", "enrolled")], waiting(3, 1, 2)),
        ([], waiting(1, 2, 3)),
    ],
)
def test_a_student_promoted_out_of_order_is_found(lines: list[Any], rows: list[Any]) -> None:
    assert waitlist_faults([*WAITED, *lines], rows) != []


def test_leaving_a_waitlist_or_overtaking_it_by_hand_is_no_fault() -> None:
    lines = [line(3, "waitlisted", "unenrolled"), line(9, None, "enrolled", "database")]

    assert waitlist_faults([*WAITED, *lines], waiting(1, 2)) == []
