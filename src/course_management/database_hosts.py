"""Several hosts in a PostgreSQL URL: after a failover, any of them may be the primary.

libpq reads `host1:5432,host2:5432` before the database's name, SQLAlchemy `?host=host1:5432&host=host2:5432`. Both
become `?host=host1,host2&port=5432,5432`, which both of them read.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from sqlalchemy.engine import URL

MAX_PORT = 65_535
PRIMARY = {"read-write", "primary"}
"""Values of `target_session_attrs` with which only the primary is used."""

_SEVERAL = re.compile(
    r"(?P<start>[\w+]+://(?:[^@/?]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<path>[^@?]*)\??(?P<query>.*)", re.DOTALL
)
_HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>/.+?|[^:/]+))(?::(?P<port>\d*))?")


def as_parameters(text: str) -> str:
    """Move several hosts before the database's name into parameters: SQLAlchemy reads only one host there."""
    if not (parts := _SEVERAL.fullmatch(text)):
        return text
    hosts = [f"host={quote(unquote(host))}" for host in parts["hosts"].split(",")]
    return f"{parts['start']}{parts['path']}?{'&'.join([*hosts, *filter(None, [parts['query']])])}"


def in_one_parameter(url: URL) -> URL:
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


def hosts_of(url: URL) -> list[str]:
    """Return the hosts of a checked URL: names, addresses, or directories of a socket; "" is libpq's default."""
    return str(url.host or url.query.get("host") or "").split(",")


def _host_and_port(text: str) -> tuple[str, str]:
    if not (parts := _HOST.fullmatch(text)):
        raise ValueError("has a host that cannot be read; write host1:5432,host2:5432, and [::1]:5432 for IPv6")
    return parts["ipv6"] or parts["host"], parts["port"] or "5432"
