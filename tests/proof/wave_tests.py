"""The tests of groups and waves as a part: they notice what no load shows, such as the error of another request."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..support.databases import ROOT
from .report import Check
from .stage import Ground

FILES = ("tests/database/test_groups.py", "tests/races/test_waves.py")


def prove(ground: Ground, _: int) -> tuple[dict[str, Any], list[Check]]:
    """Run the tests on a database of this kind; nothing in them is left to chance."""
    report = ground.folder / "tests.xml"
    command = [
        *(sys.executable, "-m", "pytest", *FILES, "--database", ground.backend),
        *("-q", "-p", "no:cacheprovider", f"--junit-xml={report}"),
    ]
    # Whether they pass is in the report.
    subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    checks = [
        Check(re.sub(rf"\[{ground.backend}-?", "[", name).removesuffix("[]"), verdict, "passed")
        for name, verdict in _verdicts(report)
    ]
    return {"tests": len(checks)}, checks


def _verdicts(report: Path) -> Iterator[tuple[str, str]]:
    """Yield each test that was not skipped, and whether it passed."""
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        kinds = {child.tag for child in case}
        if "skipped" not in kinds:
            yield case.attrib["name"], "failed" if kinds & {"failure", "error"} else "passed"
