"""Types of fixtures that several modules use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from werkzeug.test import TestResponse

Make: TypeAlias = Callable[..., int]
"""Makes a row with some of its values, such as `student(name="Ada")`, and returns its id."""
Sql: TypeAlias = Callable[..., list[Any]]
"""Runs a statement with its parameters, as in a database shell, and returns its rows."""
Enroll: TypeAlias = Callable[..., TestResponse]
"""Enrolls a student, by id, in courses, by their ids; the other members of the body are keyword arguments."""
Held: TypeAlias = Callable[[int], dict[int, str]]
"""Reads the courses of a student: ids with their status."""
Counters: TypeAlias = Callable[[int], tuple[int, int]]
"""Reads the number of seats taken and of students waiting in a course."""
