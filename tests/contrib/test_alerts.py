"""Prometheus accepts the alerts, and they fire when they must."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ..support.databases import ROOT

FILES = sorted((ROOT / "contrib" / "prometheus").glob("*.yaml"))
pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (apt: prometheus)")


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_alerts() -> None:
    promtool("check", "rules", *map(str, FILES))


def test_alerts_fire_when_the_database_or_the_standby_is_lost_and_not_before() -> None:
    promtool("test", "rules", str(ROOT / "tests" / "contrib" / "alerts_test.yaml"))
