"""The URL of the database: its check, and several hosts of PostgreSQL, any of which may be the primary.

libpq reads `host1:5432,host2:5432` before the database's name, SQLAlchemy `?host=host1:5432&host=host2:5432`. Both
become `?host=host1,host2&port=5432,5432`, which both of them read.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import quote, unquote

from psycopg.pq import Conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

MAX_PORT = 65_535
PRIMARY = {"read-write", "primary"}
"""Values of `target_session_attrs` with which only the primary is used."""

_SEVERAL = re.compile(
    r"(?P<start>[\w+]+://(?:[^@/?]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<path>[^@?]*)\??(?P<query>.*)", re.DOTALL
)
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>/.+?|[^:/]+))(?::(?P<port>\d*))?")


def database_url(text: str) -> URL:
    """Check a database URL: `postgres://` is accepted, the driver is added, a SQLite path becomes absolute.

    A relative SQLite path is relative to the working directory. For Flask-SQLAlchemy it would be relative to the
    instance folder, so the service and migrations would open different files.
    """
    try:
        url = make_url(_with_host_parameters(text))
    except (ArgumentError, ValueError):
        raise ValueError(
            "is not a database URL; write sqlite:///file.db or postgresql://user@host/name, and special characters of "
            "the password percent-encoded: %40 for @, %2F for /, %3A for :"
        ) from None
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        _check_postgresql(url)
        return _with_one_host_parameter(url).set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise ValueError(f"names the unknown database {url.drivername!r}; use sqlite or postgresql")
    if url.database in {None, "", ":memory:"} or str(url.database).startswith("file:"):
        raise ValueError("needs a file for SQLite: in memory, every connection would see its own empty database")
    if url.query:
        raise ValueError(f"gives SQLite the parameter {next(iter(url.query))!r}; it takes none")
    try:
        path = Path(str(url.database)).absolute()
    except FileNotFoundError:
        raise ValueError("is relative to the current directory, which no longer exists") from None
    if path.is_dir():
        raise ValueError(f"names {str(path)!r}, which is a directory and not a file")
    if not path.parent.is_dir():
        raise ValueError(f"puts the database into {str(path.parent)!r}, a directory that does not exist")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"puts the database into {str(path.parent)!r}, a directory that cannot be written to")
    return url.set(drivername="sqlite", database=str(path))


def hosts_of(url: URL) -> list[str]:
    """Return the hosts of a checked URL: names, addresses, or directories of a socket; "" is libpq's default."""
    return str(url.host or url.query.get("host") or "").split(",")


def _check_postgresql(url: URL) -> None:
    if "@" in str(url.host):
        raise ValueError("has more than one @; write an @ in the password as %40")
    known = [option.keyword.decode() for option in Conninfo.get_defaults()]
    for name in url.query:
        if name not in known:
            closest = "".join(f"; use {option}" for option in get_close_matches(name, known, 1))
            raise ValueError(f"has the parameter {name!r}, which PostgreSQL does not know{closest}")


def _with_host_parameters(text: str) -> str:
    """Move several hosts before the database's name into parameters: SQLAlchemy reads only one host there."""
    if not (parts := _SEVERAL.fullmatch(text)):
        return text
    hosts = [f"host={quote(unquote(host))}" for host in parts["hosts"].split(",")]
    return f"{parts['start']}{parts['path']}?{'&'.join([*hosts, *filter(None, [parts['query']])])}"


def _with_one_host_parameter(url: URL) -> URL:
    """Write several parameters `host` as one, and check all ports. Raises `ValueError`."""
    hosts, ports = url.query.get("host", ""), url.query.get("port", "")
    if not isinstance(ports, str) or (hosts and url.host) or (not isinstance(hosts, str) and ports):
        raise ValueError("names hosts or ports in two ways; write postgresql://user@host1:5432,host2:5432/name")
    if isinstance(hosts, str):
        if ports.count(",") not in {0, hosts.count(",")}:
            raise ValueError("has another number of ports than of hosts")
    else:
        pairs = [_host_and_port(host) for host in hosts]
        hosts, ports = ",".join(host for host, _ in pairs), ",".join(port for _, port in pairs)
        url = url.update_query_dict({"host": hosts, "port": ports})
    for port in filter(None, [str(url.port or ""), *ports.split(",")]):
        if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
            raise ValueError(f"names a port that is not between 1 and {MAX_PORT}")
    return url


def _host_and_port(text: str) -> tuple[str, str]:
    if not (parts := _HOST.fullmatch(text)):
        raise ValueError("has a host that cannot be read; write host1:5432,host2:5432, and [::1]:5432 for IPv6")
    return parts["ipv6"] or parts["host"], parts["port"] or "5432"
