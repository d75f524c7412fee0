"""The examples of the README and of the API guide work as these pages show them, in the order of the page.

The other pages start and stop servers several times: `tests/slow/test_docs.py` follows them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from ..support.databases import ROOT
from .pages import Block, blocks
from .reader import Make
from .shown import differs


def test_the_examples_of_the_readme_work(reader: Make, postgresql_server: URL) -> None:
    reader().follow_page(ROOT / "README.md", postgresql_server)


def test_the_examples_of_the_api_guide_work_on_postgresql(reader: Make, postgresql_server: URL) -> None:
    statements = next(each for each in blocks(ROOT / "docs" / "installation.md") if each.language == "sql")
    on_postgresql = reader()
    on_postgresql.follow(statements, postgresql_server)

    on_postgresql.follow_page(ROOT / "docs" / "api.md", postgresql_server)


def test_a_backup_made_as_the_page_says_is_readable_by_its_owner_alone(
    reader: Make, postgresql_server: URL, tmp_path: Path
) -> None:
    operator = reader()
    operator.enter("course-management migrate")

    operator.follow(next(blocks(ROOT / "docs" / "backup.md")), postgresql_server)

    assert (tmp_path / "school.backup").stat().st_mode & 0o777 == 0o600


# --- controls: an example that is not true is noticed -----------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "happened"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1, "b": 1}', '{"a": 1}'),
        ('{"a": [1]}', '{"a": [1, 2]}'),
        ('{"created_at": "x"}', '{"created_at": null}'),
        ('{"a": "one …"}', '{"a": "two"}'),
        ("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found\r\n\r\n"),
        ("HTTP/1.1 200 OK\netag: …", "HTTP/1.1 200 OK\r\n\r\n{}"),
        ('HTTP/1.1 200 OK\n\n{"a": 1}', "HTTP/1.1 200 OK\r\n\r\n{}"),
        ("one\ntwo", "one\nthree"),
        ("one\n…\nthree", "one\ntwo\nfour"),
        ("one", "one\ntwo"),
    ],
)
def test_another_output_than_the_one_shown_is_noticed(shown: str, happened: str) -> None:
    assert differs(shown, happened)


@pytest.mark.parametrize(
    ("shown", "happened"),
    [
        ('{"a": 1}', '{"a":1,"b":2}\n'),
        ('{"created_at": "x", "next": "…"}', '{"created_at": "y", "next": "AAA"}'),
        ('HTTP/1.1 200 OK\netag: "…"\n\n{"a": 1}', 'HTTP/1.1 200 OK\r\ndate: now\r\netag: "1.2"\r\n\r\n{"a":1}'),
        ("one\n…\nthree", "one\nthree\n"),
        ("…\ntwo\n…", "zero\none\ntwo\nthree"),
        ("a … s", "a 0.1 s\n"),
    ],
)
def test_the_output_that_is_shown_is_recognized(shown: str, happened: str) -> None:
    assert not differs(shown, happened)


def test_a_command_that_fails_is_noticed(reader: Make, postgresql_server: URL) -> None:
    block = Block(ROOT / "README.md", 1, "console", "$ true\n$ false\n")

    with pytest.raises(AssertionError, match="exit code 1"):
        reader().follow(block, postgresql_server)
