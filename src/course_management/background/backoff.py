"""Pauses after failures in succession."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Exponential backoff: the pause starts at `first_s` seconds and doubles with each failure, up to `longest_s`."""

    first_s: float
    longest_s: float
    failures: int = 0
    """In succession, so far."""

    def fail(self) -> float:
        """Count a failure. Returns the seconds to wait before the next try."""
        pause = min(self.first_s * 2.0 ** min(self.failures, 30), self.longest_s)
        self.failures += 1
        return pause

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self.failures = 0
