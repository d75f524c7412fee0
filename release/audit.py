"""Look for known vulnerabilities of the locked packages: `python -m release.audit`.

Exit code 1: there are some, or a package could not be checked. 2: the advisory service cannot be reached, so nothing
was checked. pip-audit itself ends with 0 then, because it takes every package for a private one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOOL = Path(sys.executable).parent / "pip-audit"
UNREACHABLE = 2


def judge(report: Any) -> tuple[int, list[str]]:
    """Return the exit code for a report of pip-audit, and lines that say why."""
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return UNREACHABLE, ["The advisory service cannot be reached, so nothing was checked. Run this where it can."]
    lines = [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    lines += [f"{name} could not be checked." for name in skipped]
    return int(bool(lines)), lines or [f"No known vulnerability in {len(packages)} packages."]


def main() -> None:
    """Audit the requirements of the service."""
    options = ["--require-hashes", "--disable-pip", "--format=json", f"--requirement={ROOT / 'requirements.txt'}"]
    done = subprocess.run([TOOL, *options], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    try:
        code, lines = judge(json.loads(done.stdout))
    except ValueError:  # an error of the connection instead of a report
        code, lines = judge({"dependencies": []})
    print("\n".join(lines))
    sys.exit(code)


if __name__ == "__main__":
    main()
