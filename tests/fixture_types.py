"""Types of fixtures that several modules use."""

from __future__ import annotations

from collections.abc import Callable

Make = Callable[..., int]
"""Makes a row with some of its values, such as `student(name="Ada")`, and returns its id."""
