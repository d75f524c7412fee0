"""A cluster on loopback: two machines with etcd, Patroni and PostgreSQL, and a third one with etcd only.

The programs read the files of `contrib/patroni`. Addresses, folders and passwords come from the environment, as on real
machines.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from ..support.databases import ROOT
from ..support.real_server import free_port
from . import processes

FILES = ROOT / "contrib" / "patroni"
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PATRONI = Path(sys.prefix) / "failover" / "bin" / "patroni"
PASSWORD = "secret"  # noqa: S105 - of a cluster on loopback that lasts for minutes
ROLE = DATABASE = "enrollment"
SOCKETS = Path("/var/run/postgresql")
PATIENCE_S = 180
POLL_S = 0.25


def missing() -> str | None:
    """Return what must be installed first, None if nothing is missing."""
    for program, package in (("etcd", "etcd-server"), ("haproxy", "haproxy"), (PROGRAMS / "postgres", "postgresql-15")):
        if not shutil.which(program):
            return f"{Path(program).name} is missing: apt install {package}"
    if os.geteuid() != 0 and not os.access(SOCKETS, os.W_OK):
        return f"{SOCKETS} cannot be written to: run this as root or as the user {processes.USER}"
    if not PATRONI.exists():
        return f"{PATRONI} is missing: `make failover` installs it"
    try:
        processes.start([PATRONI, "--version"], {}, Path(os.devnull)).wait()
    except PermissionError:
        return f"The user {processes.USER} cannot run {PATRONI}: is its folder, or its Python, private to another user?"
    return None


@dataclass(slots=True, kw_only=True)
class Machine:
    """A machine of the cluster: etcd and, unless it is the witness, Patroni with PostgreSQL."""

    name: str
    folder: Path
    has_postgresql: bool
    etcd: int = field(default_factory=free_port)
    peer: int = field(default_factory=free_port)
    patroni: int = field(default_factory=free_port)
    postgresql: int = field(default_factory=free_port)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Return the folder of PostgreSQL's data."""
        return self.folder / "data"

    def start(self, machines: list[Machine]) -> None:
        """Start the programs of the machine that do not run; `machines` are all those of the cluster."""
        processes.give(self.folder)
        if not self._runs("etcd"):
            self._start("etcd", ["/usr/bin/env", "etcd"], self._etcd_environment(machines))
        if self.has_postgresql and not self._runs("patroni"):
            self._start("patroni", [PATRONI, FILES / "patroni.yml"], self._patroni_environment(machines))

    def kill(self) -> None:
        """SIGKILL for all that runs on the machine, as when it loses its power."""
        processes.kill([*self._pids(), *self.postmaster()])
        self._forget_server()

    def kill_server(self) -> None:
        """SIGKILL for PostgreSQL alone."""
        processes.kill(self.postmaster())
        self._forget_server()

    def freeze(self, *, server_only: bool = False) -> None:
        """SIGSTOP for all that runs on the machine, or for PostgreSQL alone."""
        pids = [*([] if server_only else self._pids()), *self.postmaster()]
        for _ in range(2):  # the second time for those that were started meanwhile
            processes.send(processes.with_children(pids), signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue what was frozen."""
        processes.send(processes.with_children([*self._pids(), *self.postmaster()]), signal.SIGCONT)

    def postmaster(self) -> list[int]:
        """Return the process id of PostgreSQL's first process, none if there is no server."""
        file = self.data / "postmaster.pid"
        return [int(file.read_text().split()[0])] if file.exists() and file.read_text() else []

    def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 2) -> tuple[int, Any]:
        """Send a request to Patroni; return the status and the JSON or text, or 0 if it does not respond."""
        login = base64.b64encode(f"patroni:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.patroni}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Basic {login}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=within_s) as response:  # noqa: S310
                text = response.read()
                return response.status, json.loads(text) if text.startswith(b"{") else text.decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, None

    def _pids(self) -> list[int]:
        return [process.pid for process in self._running.values()]

    def _runs(self, program: str) -> bool:
        return program in self._running and self._running[program].poll() is None

    def _start(self, program: str, command: list[str | Path], environment: Mapping[str, str]) -> None:
        self._running[program] = processes.start(
            command, environment, self.folder.parent / f"{self.name}-{program}.log"
        )

    def _forget_server(self) -> None:
        # Other programs may have its process id when the server is started again.
        for left in (self.data / "postmaster.pid", SOCKETS / f".s.PGSQL.{self.postgresql}.lock"):
            left.unlink(missing_ok=True)

    def _etcd_environment(self, machines: list[Machine]) -> dict[str, str]:
        lines = (FILES / "etcd.env").read_text().splitlines()
        return {
            **dict(line.split("=", 1) for line in lines if not line.startswith("#")),
            "ETCD_NAME": self.name,
            "ETCD_DATA_DIR": str(self.folder / "etcd"),
            "ETCD_LISTEN_PEER_URLS": f"http://127.0.0.1:{self.peer}",
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"http://127.0.0.1:{self.peer}",
            "ETCD_LISTEN_CLIENT_URLS": f"http://127.0.0.1:{self.etcd}",
            "ETCD_ADVERTISE_CLIENT_URLS": f"http://127.0.0.1:{self.etcd}",
            "ETCD_INITIAL_CLUSTER": ",".join(f"{each.name}=http://127.0.0.1:{each.peer}" for each in machines),
        }

    def _patroni_environment(self, machines: list[Machine]) -> dict[str, str]:
        passwords = {f"PATRONI_{name}_PASSWORD": PASSWORD for name in ("SUPERUSER", "REPLICATION", "REWIND", "RESTAPI")}
        return passwords | {
            "PATRONI_NAME": self.name,
            "PATRONI_ETCD3_HOSTS": ",".join(f"127.0.0.1:{each.etcd}" for each in machines),
            "PATRONI_RESTAPI_LISTEN": f"127.0.0.1:{self.patroni}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"127.0.0.1:{self.patroni}",
            "PATRONI_POSTGRESQL_LISTEN": f"127.0.0.1:{self.postgresql}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"127.0.0.1:{self.postgresql}",
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.data),
            "PATRONI_POSTGRESQL_BIN_DIR": str(PROGRAMS),
            "PATRONI_POSTGRESQL_PGPASS": str(self.folder / "pgpass"),
        }


class Cluster:
    """The machines, HAProxy, and the database of the service on them."""

    def __init__(self) -> None:
        # The folder of a socket must have a short name.
        self.folder = Path(tempfile.mkdtemp(prefix="failover-"))
        self.folder.chmod(0o755)
        self.machines = [
            Machine(name=name, folder=self.folder / name, has_postgresql=name != "witness")
            for name in ("db1", "db2", "witness")
        ]
        self.servers = self.machines[:2]
        self.proxy = free_port()
        self._haproxy: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start everything, and create the database of the service as its documentation says."""
        self.heal()
        one, two = self.servers
        self._haproxy = processes.start(
            ["haproxy", "-db", "-f", FILES / "haproxy.cfg"],
            {
                "PATH": "/usr/sbin:/usr/bin:/bin",
                "HAPROXY_USER": processes.user(),
                "HAPROXY_GROUP": processes.group(),
                "HAPROXY_LISTEN": f"127.0.0.1:{self.proxy}",
                "DB1": f"127.0.0.1:{one.postgresql}",
                "DB1_PATRONI": str(one.patroni),
                "DB2": f"127.0.0.1:{two.postgresql}",
                "DB2_PATRONI": str(two.patroni),
            },
            self.folder / "haproxy.log",
        )
        with self.connect("postgres", "postgres") as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE} ENCODING 'UTF8' TEMPLATE template0")

    def stop(self, *, keep_files: bool) -> None:
        """End everything, and remove its files unless somebody must read the logs."""
        for machine in self.machines:
            machine.kill()
        if self._haproxy:
            processes.kill([self._haproxy.pid])
        if not keep_files:
            shutil.rmtree(self.folder)

    def heal(self) -> None:
        """Start and continue what does not run, and wait until a standby confirms commits."""
        for machine in self.machines:
            machine.thaw()
            machine.start(self.machines)
        _until(self.is_whole, "a primary with a standby that confirms commits")

    def is_whole(self) -> bool:
        """Return whether there is a primary, and a standby that confirms its commits."""
        roles = {member["role"] for member in self.members() if member["state"] in {"running", "streaming"}}
        return roles == {"leader", "sync_standby"}

    def primary(self) -> Machine:
        """Return the machine of the primary."""
        machine: Machine = _until(self._primary, "a primary")
        return machine

    def standby(self) -> Machine:
        """Return the machine of the standby."""
        primary = self.primary()
        return next(machine for machine in self.servers if machine is not primary)

    def switch_over(self) -> None:
        """Let primary and standby change places, as an administrator does."""
        primary, standby = self.primary(), self.standby()
        names = {"leader": primary.name, "candidate": standby.name}
        status, text = primary.ask("POST", "/switchover", names, within_s=PATIENCE_S)
        assert status == 200, text

    def connect(self, role: str = ROLE, database: str = DATABASE) -> psycopg.Connection[Any]:
        """Connect to the primary."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.primary().postgresql,
            user=role,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def addresses(self) -> dict[str, str]:
        """Return the ways in which the service reaches the primary, each as its DATABASE_URL."""
        login, hosts = f"{ROLE}:{PASSWORD}@", [f"127.0.0.1:{machine.postgresql}" for machine in self.servers]
        primary = "target_session_attrs=read-write"
        return {
            "HAProxy": f"postgresql://{login}127.0.0.1:{self.proxy}/{DATABASE}",
            "host1,host2": f"postgresql://{login}{','.join(hosts)}/{DATABASE}?{primary}",
            "?host=&host=": f"postgresql://{login}/{DATABASE}?{'&'.join(f'host={host}' for host in hosts)}&{primary}",
        }

    def members(self) -> list[dict[str, Any]]:
        """Return what Patroni says of each server."""
        for machine in self.servers:
            status, found = machine.ask("GET", "/cluster")
            if status == 200:
                return list(found["members"])
        return []

    def _primary(self) -> Machine | None:
        for machine in self.servers:
            if machine.ask("GET", "/primary")[0] == 200:
                return machine
        return None


def _until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(POLL_S)
    raise AssertionError(f"{what} never came")
