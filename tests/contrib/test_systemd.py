"""The units for systemd start what exists, and their limits fit the settings."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from course_management import cli
from course_management.config import Settings
from course_management.server.receiving import MAX_RECEIVING
from course_management.server.serving import OTHER_FILES

from ..support.databases import ROOT

FOLDER = ROOT / "contrib" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
TIMERS = sorted(FOLDER.glob("*.timer"))
BEGIN = "# The same in every unit"
OTHER_THREADS = 20
"""Threads of a worker besides those of requests: log, heartbeat, metrics, background work, the runtime of granian."""
WORKERS = 8


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    parser.read(path)
    return parser


def service(name: str = "course-management") -> Any:
    return unit(FOLDER / f"{name}.service")["Service"]


def defaults() -> dict[str, str]:
    return {setting.name: setting.metadata["default"] for setting in fields(Settings)}


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_a_unit_runs_commands_of_this_version_from_its_folder(path: Path) -> None:
    start = unit(path)["Service"]["ExecStart"]
    words = [word for part in shlex.split(start) for word in part.split()]
    program = next(word for word in words if word.endswith("/course-management"))
    command = words[words.index(program) + 1]

    assert PurePosixPath(program).is_relative_to(unit(path)["Service"]["WorkingDirectory"])
    assert command in cli.cli.commands


def test_every_unit_has_the_same_protection() -> None:
    protections = {path.read_text().partition(BEGIN)[2].partition("\n[Install]")[0].strip() for path in SERVICES}

    assert len(protections) == 1
    assert "ProtectSystem=strict" in protections.pop()


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_a_unit_can_write_where_it_works_and_use_the_socket_of_postgresql(path: Path) -> None:
    settings = unit(path)["Service"]

    assert settings["WorkingDirectory"] in settings["ReadWritePaths"].split()
    assert set(settings["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}


def test_systemd_waits_longer_than_requests_may_take_to_finish() -> None:
    assert int(service()["TimeoutStopSec"]) >= int(defaults()["stop_timeout_s"]) + 10


def test_the_limits_allow_the_connections_and_threads_of_the_settings() -> None:
    threads = MAX_RECEIVING + 2 + int(defaults()["threads"]) + OTHER_THREADS

    assert int(service()["LimitNOFILE"]) >= int(defaults()["connections"]) + OTHER_FILES
    assert int(service()["TasksMax"]) >= WORKERS * threads


@pytest.mark.parametrize("unit_name", ["course-management", "course-management-worker"])
def test_a_server_is_restarted_unless_its_settings_are_wrong(unit_name: str) -> None:
    assert service(unit_name)["Restart"] == "always"
    assert service(unit_name)["RestartPreventExitStatus"] == "2"  # as `course-management --help` says
    assert unit(FOLDER / f"{unit_name}.service")["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_server_and_the_worker_do_not_share_a_port_for_metrics() -> None:
    assert service("course-management-worker")["Environment"] == "METRICS_PORT=none"


@pytest.mark.parametrize("path", TIMERS, ids=name)
def test_every_timer_starts_a_unit_and_catches_up(path: Path) -> None:
    assert path.with_suffix(".service") in SERVICES
    assert unit(path)["Timer"]["Persistent"] == "yes"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_systemd_rates_the_exposure_of_a_unit_below_two(path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(path)]

    rated = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command

    assert "Overall exposure level" in rated.stdout, rated.stderr
    assert rated.returncode == 0, rated.stdout
