"""The documentation as the tests read it: pages, headings, links, and code blocks with their commands."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..support.databases import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^( *)```(\S*)$")
RUN = {"console", "sql", "dotenv"}
"""Languages whose blocks the tests run."""
NOT_RUN = re.compile(r"# Not run by the tests: (.+)")


class Command(NamedTuple):
    """A command line and the output that the page shows for it; empty when the page shows none."""

    text: str
    output: str


@dataclass(frozen=True)
class Block:
    """A code block. `line` is where its fence stands, counted from 1."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Return the place of the block, for messages of failing tests."""
        return f"{name(self.page)}:{self.line}"

    @property
    def reason_not_run(self) -> str | None:
        """Return the reason that a visible first line of the block gives for not running it in the tests."""
        found = NOT_RUN.match(self.text)
        return found[1] if found else None

    def commands(self) -> list[Command]:
        """Return the lines after `$ `, each with the lines up to the next one as its output."""
        parts = re.split(r"^\$ ", NOT_RUN.sub("", self.text), flags=re.MULTILINE)
        assert parts[0].strip() == "", f"{self.place} has output before its first command"
        found = []
        for part in parts[1:]:
            command, output = re.fullmatch(r"((?:.*\\\n)*.*)\n?((?s:.*))", part).groups()  # type: ignore[union-attr]
            found.append(Command(command, output.strip("\n")))
        return found


def name(page: Path) -> str:
    """Return the path of a page in the checkout."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """Return every fenced code block of a page, in order."""
    inside: list[str] | None = None
    start, language = 0, ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if inside is None and fence:
            inside, start, language = [], number, fence[2]
        elif inside is not None and fence:
            yield Block(page, start, language, textwrap.dedent("\n".join([*inside, ""])))
            inside = None
        elif inside is not None:
            inside.append(line)
    assert inside is None, f"{name(page)}:{start} is a code block without an end"


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[str, str]]:
    """Return the links of a page to files of the checkout: path ("" for the page itself) and anchor ("" for none)."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [(path, anchor) for path, _, anchor in (each.partition("#") for each in found) if ":" not in path]
