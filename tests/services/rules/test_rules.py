"""The rules of registration, each over plain situations."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_management.errors import all_codes
from course_management.services.enrollment import rules
from course_management.services.enrollment.rules import RULES, Rule, reasons, waivable
from course_management.services.enrollment.situation import (
    Action,
    CatalogEntry,
    Completion,
    Course,
    Hold,
    Prerequisite,
    Restriction,
    Situation,
    Term,
    Window,
)

from .situations import COURSE, DAY, NOW, OPEN, STUDENT, TERM, facts_by_code, held


@pytest.mark.parametrize("planned", get_args(Action))
def test_without_reasons_every_outcome_is_allowed(planned: Action) -> None:
    assert facts_by_code(replace(COURSE, action=planned)) == {}


def test_every_rule_has_a_page_and_a_code_of_its_own() -> None:
    codes = [rule.code for rule in RULES]

    assert len(set(codes)) == len(codes)
    assert set(codes) <= set(all_codes())


def test_every_rule_of_the_package_is_in_the_list() -> None:
    """Else it would be documented, and never asked."""
    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")

    classes = {each for each in Rule.__subclasses__() if each.__module__.startswith(f"{rules.__name__}.")}
    missing = classes - set(map(type, rules.RULES))
    assert not missing, f"Add {missing} to RULES in src/course_management/services/enrollment/rules/__init__.py."


def test_a_rule_has_a_function_of_its_own() -> None:
    with pytest.raises(NotImplementedError):
        Rule().against(COURSE, STUDENT)


# --- holds ------------------------------------------------------------------------------------------------

LIBRARY = Hold(kind="library", contact="library@example.edu", blocks="enroll")


@pytest.mark.parametrize(
    ("blocks", "planned", "is_refused"),
    [
        ("enroll", "enroll", True),
        ("enroll", "waitlist", True),
        ("enroll", "promote", True),
        ("enroll", "unenroll", False),
        ("unenroll", "enroll", False),
        ("unenroll", "promote", False),
        ("unenroll", "unenroll", True),
        ("both", "enroll", True),
        ("both", "unenroll", True),
    ],
)
def test_a_hold_blocks_what_it_says(blocks: str, planned: Action, is_refused: bool) -> None:
    situation = replace(STUDENT, holds=[replace(LIBRARY, blocks=blocks)])

    assert ("hold" in facts_by_code(replace(COURSE, action=planned), situation)) is is_refused


def test_several_holds_are_one_reason_with_every_kind_and_contact() -> None:
    bursar = Hold(kind="bursar", contact="bursar@example.edu", blocks="both")
    situation = replace(STUDENT, holds=[LIBRARY, bursar, LIBRARY])

    assert facts_by_code(situation=situation) == {
        "hold": {"kinds": ["bursar", "library"], "contact": "library@example.edu; bursar@example.edu"}
    }


def test_a_hold_is_not_waived() -> None:
    situation = replace(STUDENT, holds=[LIBRARY], permissions=frozenset({(COURSE.id, "hold")}))

    assert "hold" in facts_by_code(situation=situation)


# --- windows ----------------------------------------------------------------------------------------------


def in_windows(*windows: Window, **changes: Any) -> Course:
    return replace(COURSE, term=replace(TERM, windows=windows), **changes)


def test_a_term_without_windows_is_closed_to_everybody() -> None:
    assert facts_by_code(in_windows()) == {
        "registration_closed": {"term": "2026FA", "opens_at": None, "closes_at": None}
    }


@pytest.mark.parametrize(("opens", "closes", "is_open"), [(0, 1, True), (-1, 0, False), (-2, 1, True), (1, 2, False)])
def test_a_window_is_open_from_its_first_instant_until_before_its_last(opens: int, closes: int, is_open: bool) -> None:
    course = in_windows(Window(opens_at=NOW + opens * DAY, closes_at=NOW + closes * DAY))

    assert (facts_by_code(course) == {}) is is_open


def test_a_window_of_another_group_is_not_the_students() -> None:
    course = in_windows(replace(OPEN, group_id=2))

    assert facts_by_code(course) == {"registration_closed": {"term": "2026FA", "opens_at": None, "closes_at": None}}
    assert facts_by_code(course, replace(STUDENT, group_ids=frozenset({2}))) == {}


def test_the_next_window_is_named_and_after_the_last_one_its_end() -> None:
    past = Window(opens_at=NOW - 9 * DAY, closes_at=NOW - 8 * DAY)
    soon, later = (Window(opens_at=NOW + n * DAY, closes_at=NOW + (n + 1) * DAY) for n in (2, 5))
    others = Window(opens_at=NOW + DAY, closes_at=NOW + 2 * DAY, group_id=2)

    coming = facts_by_code(in_windows(past, later, soon, others))["registration_closed"]
    over = facts_by_code(in_windows(past))["registration_closed"]

    assert (coming["opens_at"], coming["closes_at"]) == (soon.opens_at, soon.closes_at)
    assert (over["opens_at"], over["closes_at"]) == (None, past.closes_at)


@pytest.mark.parametrize("planned", ["promote", "unenroll"])
def test_promotion_and_unenrolling_need_no_window(planned: Action) -> None:
    assert facts_by_code(in_windows(action=planned)) == {}


@pytest.mark.parametrize(("planned", "is_refused"), [("waitlist", True), ("promote", True), ("enroll", False)])
def test_waitlists_end_with_the_term_or_before(planned: Action, is_refused: bool) -> None:
    course = replace(COURSE, action=planned, term=replace(TERM, promote_until=NOW))

    assert facts_by_code(course) == ({"waitlist_closed": {"closed_at": NOW}} if is_refused else {})


# --- courses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", [TERM, None])
def test_a_closed_course_takes_nobody_with_or_without_a_term(term: Term | None) -> None:
    course = replace(COURSE, term=term, closed_at=NOW)

    assert facts_by_code(course) == {"course_closed": {"closed_at": NOW}}
    assert facts_by_code(replace(course, action="unenroll")) == {}


def admitting(kind: str, *numbers: int, admits: bool = True) -> list[Restriction]:
    return [Restriction(group_id=n, kind=kind, code=f"{kind}{n}", admits=admits) for n in numbers]


@pytest.mark.parametrize(
    ("restrictions", "kinds"),
    [
        (admitting("program", 1, 2), []),
        (admitting("program", 2, 3), ["program"]),
        (admitting("program", 1) + admitting("level", 9), ["level"]),
        (admitting("program", 8) + admitting("level", 9), ["level", "program"]),
        (admitting("campus", 1, admits=False), ["campus"]),
        (admitting("campus", 2, admits=False), []),
        (admitting("campus", 1) + admitting("campus", 1, admits=False), ["campus"]),
    ],
)
def test_of_each_kind_one_admitting_group_is_the_students_and_no_excluded_one(
    restrictions: list[Restriction], kinds: list[str]
) -> None:
    course = replace(COURSE, restrictions=restrictions)

    assert [reason.facts["kind"] for reason in reasons(course, STUDENT)] == kinds


def test_a_course_by_permission_is_refused_without_one() -> None:
    course = replace(COURSE, permission_required=True)

    assert facts_by_code(course) == {"permission_required": {}}
    assert facts_by_code(course, replace(STUDENT, permissions=frozenset({(5, "permission_required")}))) == {}
    assert facts_by_code(course, replace(STUDENT, permissions=frozenset({(6, "permission_required")}))) != {}


# --- all together -----------------------------------------------------------------------------------------


def test_every_reason_is_given_at_once_in_the_order_of_the_list() -> None:
    course = replace(
        COURSE,
        term=replace(TERM, windows=[], promote_until=NOW),
        action="waitlist",
        closed_at=NOW,
        permission_required=True,
        restrictions=admitting("program", 2),
        entry=CatalogEntry(id=40, completions_allowed=1, prerequisites=[[Prerequisite(code="MATH", group_id=99)]]),
        linked_alternatives=[frozenset({8})],
        student_credits=500,
    )
    student = replace(
        STUDENT,
        holds=[LIBRARY],
        completions=[Completion(catalog_id=40)],
        enrollments=[held(9, catalog_id=40)],
    )

    assert list(facts_by_code(course, student)) == [rule.code for rule in RULES if "waitlist" in rule.applies_to], (
        "Give the course or the student above what a new rule refuses."
    )


def test_only_a_closed_course_is_refused_without_a_term() -> None:
    course = replace(COURSE, term=None, closed_at=NOW, permission_required=True, restrictions=admitting("program", 2))

    assert list(facts_by_code(course, replace(STUDENT, holds=[LIBRARY]))) == ["course_closed"]


INSTANTS = st.integers(-3, 3).map(lambda days: NOW + days * DAY)
WINDOWS = st.builds(
    lambda opens, length, group: Window(opens_at=opens, closes_at=opens + length * DAY, group_id=group),
    INSTANTS,
    st.integers(1, 3),
    st.sampled_from([None, 1, 2]),
)
RESTRICTIONS = st.builds(
    lambda group, kind, admits: Restriction(group_id=group, kind=kind, code=f"{kind}{group}", admits=admits),
    st.integers(1, 4),
    st.sampled_from(["program", "level"]),
    st.booleans(),
)
COURSES = st.builds(
    Course,
    id=st.just(5),
    term=st.none() | st.builds(replace, st.just(TERM), windows=st.lists(WINDOWS, max_size=3), promote_until=INSTANTS),
    closed_at=st.none() | INSTANTS,
    permission_required=st.booleans(),
    restrictions=st.lists(RESTRICTIONS, max_size=4),
    action=st.sampled_from(get_args(Action)),
)
SITUATIONS = st.builds(
    Situation,
    now=st.just(NOW),
    student_id=st.just(7),
    group_ids=st.frozensets(st.integers(1, 4)),
    holds=st.lists(
        st.builds(Hold, kind=st.just("k"), contact=st.just("c"), blocks=st.sampled_from(["enroll", "unenroll", "both"]))
    ),
    permissions=st.frozensets(st.tuples(st.just(5), st.sampled_from([rule.code for rule in RULES]))),
)


@given(COURSES, SITUATIONS)
def test_a_permission_removes_the_reasons_of_its_rule_and_no_others(course: Course, situation: Situation) -> None:
    before = facts_by_code(course, replace(situation, permissions=frozenset()))

    after = facts_by_code(course, situation)

    waived = {code for number, code in situation.permissions if number == course.id} & waivable()
    assert after == {code: facts for code, facts in before.items() if code not in waived}


@given(COURSES, SITUATIONS)
def test_a_student_without_holds_can_always_leave(course: Course, situation: Situation) -> None:
    assert facts_by_code(replace(course, action="unenroll"), replace(situation, holds=[])) == {}
