"""Read files that a test writes, and find real ones."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from course_management.transfer import sources
from course_management.transfer.findings import Finding
from course_management.transfer.formats import Options, read
from course_management.transfer.records import Record
from course_management.transfer.sources import Source

ZONE = ZoneInfo("America/New_York")


def read_all(
    found: list[Source], school: str | None = None, term: str | None = None
) -> tuple[list[Record], list[Finding]]:
    findings: list[Finding] = []
    records = list(read(found, Options(findings.append, ZONE, school, term)))
    return records, findings


def read_texts(
    files: Mapping[str, str], school: str | None = None, term: str | None = None
) -> tuple[list[Record], list[Finding]]:
    """Return the records of files, by their names, and the findings."""
    return read_all([_source(name, text) for name, text in files.items()], school, term)


def _source(name: str, text: str) -> Source:
    return Source(name, lambda: io.BytesIO(text.encode()))


def read_path(path: Path, term: str | None = None) -> tuple[list[Record], list[Finding]]:
    return read_all(sources.find([path]), term=term)


def real(name: str) -> Path:
    """Return a real file or folder. Skips the test without `TEST_DATA`, the folder that has it."""
    folder = os.environ.get("TEST_DATA")
    if not folder:
        pytest.skip("TEST_DATA does not name the folder with the real files")
    return Path(folder) / name
