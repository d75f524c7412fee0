"""What a part of the proof has to say, and how it is written down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so: what was found is what was expected."""

    name: str
    found: Any
    expected: Any = 0

    @property
    def holds(self) -> bool:
        """Return whether the check holds."""
        return bool(self.found == self.expected)


@dataclass(slots=True)
class Outcome:
    """What became of one part on one database; `skipped` says why it could not run."""

    part: str
    database: str
    seed: int
    figures: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    skipped: str | None = None
    seconds: float = 0.0

    @property
    def broken(self) -> list[Check]:
        """Return the checks that do not hold."""
        return [check for check in self.checks if not check.holds]

    @property
    def verdict(self) -> str:
        """Return the verdict in one word."""
        return "skipped" if self.skipped else "BROKEN" if self.broken else "holds"

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "part": self.part,
            "database": self.database,
            "seed": self.seed,
            "verdict": self.verdict,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
            "figures": dict(self.figures),
            "checks": [
                {"name": each.name, "found": each.found, "expected": each.expected, "holds": each.holds}
                for each in self.checks
            ],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Outcome:
        """Return the outcome that `as_dict` wrote."""
        checks = [Check(each["name"], each["found"], each["expected"]) for each in found["checks"]]
        kept = {name: found[name] for name in ("part", "database", "seed", "figures", "skipped", "seconds")}
        return cls(checks=checks, **kept)

    def row(self) -> list[str]:
        """Return the row of the table."""
        figures = ", ".join(f"{name} {_number(value)}" for name, value in self.figures.items())
        checks = "; ".join(f"{each.name}: {each.found}, not {each.expected}" for each in self.broken)
        held = f"{len(self.checks)} checks hold" if self.checks else ""
        said = self.skipped or checks or held
        return [self.part, self.database, self.verdict, figures, said, f"{self.seconds:.0f} s"]


HEADINGS = ["part", "database", "verdict", "figures", "checks", "time"]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def table_rows(page: Path, begin: str, end: str) -> list[list[str]]:
    """Return the rows of the table between two lines of a page, without its headings."""
    section = page.read_text().partition(f"{begin}\n")[2].partition(f"{end}\n")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = (re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |")) for line in lines[2:])
    return [[cell.replace("\\|", "|") for cell in row] for row in cells]


def fill_in(page: Path, begin: str, end: str, content: str) -> None:
    """Put `content` between two lines of a page, in the place of what stands there; all else stays."""
    above, found, rest = page.read_text().partition(f"{begin}\n")
    _, ended, below = rest.partition(f"{end}\n")
    if not (found and ended):
        raise click.ClickException(f"{page} has no {begin}.")
    page.write_text(f"{above}{begin}\n{content}\n{end}\n{below}")
