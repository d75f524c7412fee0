"""A goal of a benchmark."""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """A ratio that must be at least (or, with `at_most`, at most) a figure."""

    name: str
    ratio: float
    figure: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Return whether the ratio reaches the goal."""
        return self.ratio <= self.figure if self.at_most else self.ratio >= self.figure

    def row(self) -> list[str]:
        """Return the row of the table."""
        sign = "at most" if self.at_most else "at least"
        return [self.name, f"{self.ratio:.2f}", f"{sign} {self.figure:g}", "reached" if self.reached else "MISSED"]
