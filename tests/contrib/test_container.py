"""Dockerfile, compose.yaml and the configuration of the proxy agree with the settings and with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from course_management import cli
from course_management.config import Settings
from course_management.server.serving import OTHER_FILES

from ..support.databases import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
CADDYFILE = ROOT / "contrib" / "container" / "Caddyfile"
DEFAULTS = {setting.name: setting.metadata["default"] for setting in fields(Settings)}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return composed


def test_every_file_that_the_image_copies_is_sent_to_the_build_and_exists() -> None:
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))

    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_has_locked_packages_two_stages_and_no_root() -> None:
    assert DOCKERFILE.count("\nFROM ") == 2
    assert "--require-hashes -r requirements.txt" in DOCKERFILE
    assert "USER 10001:10001" in DOCKERFILE.rpartition("FROM")[2]
    assert "/healthz" in DOCKERFILE.partition("HEALTHCHECK")[2]


@pytest.mark.parametrize("name", ["migrate", "service", "worker"])
def test_a_container_of_the_service_has_the_least_rights_and_time_to_stop(services: dict[str, Any], name: str) -> None:
    container = services[name]

    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert int(container["stop_grace_period"].rstrip("s")) >= int(DEFAULTS["stop_timeout_s"]) + 10
    assert container["ulimits"]["nofile"] >= int(DEFAULTS["connections"]) + OTHER_FILES
    assert {"source": "settings", "target": "/srv/school/.env"} in container["secrets"]


def test_the_containers_run_commands_of_this_version(services: dict[str, Any]) -> None:
    commands = re.findall(r"course-management[ ',]+([a-z]+)", str([each.get("command") for each in services.values()]))

    assert commands == ["migrate", "keys", "worker"]
    assert set(commands) <= set(cli.cli.commands)


def test_only_the_proxy_is_reached_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, each in services.items() if "ports" in each or "outside" in each["networks"]] == ["proxy"]


def test_the_proxy_keeps_idle_connections_for_a_shorter_time_than_the_service() -> None:
    (seconds,) = re.findall(r"keepalive (\d+)s", CADDYFILE.read_text())

    assert int(seconds) < int(DEFAULTS["client_timeout_s"])


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_compose_accepts_the_file(tmp_path: Path) -> None:
    for name in ("compose.yaml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "secrets").mkdir()
    for name in ("settings", "admin.key", "database.password"):
        (tmp_path / "secrets" / name).touch()

    checked = subprocess.run(
        ["docker-compose", "--file", "compose.yaml", "config", "--quiet"],  # noqa: S607 - found by `which`
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_caddy_accepts_the_file() -> None:
    checked = subprocess.run(  # noqa: S603 - a fixed command
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE)],  # noqa: S607 - found by `which`
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
