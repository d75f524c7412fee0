"""Run commands, and their exit codes."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

Run = Callable[..., Result]

DONE, WRONG, REFUSED = 0, 2, 3
