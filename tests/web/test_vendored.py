"""The files of others are what they were when they were reviewed."""

from __future__ import annotations

import hashlib
import re

from course_management.web.assets import FOLDER

from ..support.databases import ROOT

ROW = re.compile(r"\| (\S+) \|.*\| ([0-9a-f]{64}) \|")


def test_each_vendored_file_has_its_license_and_its_digest() -> None:
    rows = ROW.findall((FOLDER / "licenses" / "README.md").read_text())
    files = {name: (ROOT if name.startswith("tests/") else FOLDER) / name for name, _ in rows}

    assert {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name, _ in rows} == dict(rows)
    assert {each.name for each in FOLDER.iterdir() if ".min." in each.name} <= set(files)
    assert {each.name for each in (FOLDER / "licenses").iterdir()} == {"README.md", "pico.md", "htmx.txt"}
