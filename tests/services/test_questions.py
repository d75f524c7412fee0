"""The questions of the loading statement, and the rows that the situation is built from."""

from __future__ import annotations

from typing import Any

import pytest

from course_management.services.enrollment.questions import QUESTIONS
from course_management.services.enrollment.situation_rows import CourseRow, EnrollmentRow


@pytest.mark.parametrize(("name", "row"), [("courses", CourseRow), ("enrollments", EnrollmentRow)])
def test_the_columns_of_a_question_are_the_fields_of_its_rows(name: str, row: Any) -> None:
    """Rows come as JSON arrays: a column that is added in one place only would move all that follow."""
    assert [column.name for column in QUESTIONS[name].selected_columns] == list(row._fields)
