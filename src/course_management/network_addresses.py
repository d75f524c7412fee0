"""Addresses of this machine: the one that the server listens on, as HOST names it, and which ones are loopback."""

from __future__ import annotations

import errno
import functools
import ipaddress
import re
import socket
import time
from dataclasses import dataclass

ALL = "*"
NAME_WITH_PORT = re.compile(r"(?P<host>\[[^]]*\]|[^:\[\]]+):(?P<port>\d+)")
RETRY_S = 2.0
"""How long to wait for a port in use: workers whose parent was just killed free it within a second."""
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on."""

    ip: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL that works on this machine."""
        ip = ipaddress.ip_address(self.ip)
        if ip.is_unspecified:  # a server can listen there, but no client can connect to it
            ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")  # noqa: PLR2004 - IPv4
        return f"http://{ip}:{self.port}" if ip.version == 4 else f"http://[{ip}]:{self.port}"  # noqa: PLR2004


@functools.lru_cache(maxsize=256)
def is_loopback(ip: str) -> bool:
    """Return whether an IP address is a loopback address, also mapped to IPv6; false for a name or a zone."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return "%" not in ip and bool((mapped or address).is_loopback)


def is_this_machine(host: str) -> bool:
    """Return whether a host (without port and brackets) is `localhost` or a loopback address."""
    return host.lower() == "localhost" or is_loopback(host)


def resolve(host: str, port: int) -> list[Address]:
    """Find the addresses that HOST names, IPv4 first. Raises `ValueError` with a sentence for the reader."""
    text = host.strip()
    if "://" in text or "/" in text:
        raise ValueError(f"HOST is {host!r}, which is not an address. Write HOST=127.0.0.1, for example.")
    if with_port := NAME_WITH_PORT.fullmatch(text):
        raise ValueError(f"HOST is {host!r}, with a port. Write HOST={with_port['host']} and PORT={with_port['port']}.")
    if "%" in text:
        raise ValueError(f"HOST is {host!r}, with a zone, which is not supported. Write HOST=:: for all addresses.")
    name = "0.0.0.0" if text == ALL else text.removeprefix("[").removesuffix("]")  # noqa: S104 - the operator's choice
    try:
        found_addresses = socket.getaddrinfo(name.removesuffix("."), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise ValueError(f"HOST is {host!r}, a name that cannot be resolved{why}. Write an IP address.") from None
    by_family = sorted(found_addresses, key=lambda address: address[0] != socket.AF_INET)
    unique = dict.fromkeys(_unmapped(str(address[4][0])) for address in by_family if "%" not in str(address[4][0]))
    return [Address(ip, port) for ip in unique]


def _unmapped(ip: str) -> str:
    """Write an IPv4 address that is mapped to IPv6 as IPv4, which is how its clients connect."""
    return str(getattr(ipaddress.ip_address(ip), "ipv4_mapped", None) or ip)


def accepts_other_machines(host: str, port: int) -> bool:
    """Return whether other machines can reach a server on HOST; false if HOST cannot be resolved."""
    try:
        return not all(is_loopback(address.ip) for address in resolve(host, port))
    except ValueError:
        return False


def choose(host: str, port: int) -> Address:
    """Return the first address that HOST names and a server can listen on. Raises `ValueError` with a sentence.

    A port in use is an error: worker processes share a port, so a second server would silently get half of the
    requests.
    """
    addresses = resolve(host, port)
    deadline = time.monotonic() + RETRY_S
    while True:
        errors = [_listen_error(address) for address in addresses]
        if None in errors:
            return addresses[errors.index(None)]
        if errno.EADDRINUSE not in {error.errno for error in errors if error} or time.monotonic() > deadline:
            raise ValueError(_sentence(host, port, errors))
        time.sleep(PAUSE_S)


def _listen_error(address: Address) -> OSError | None:
    """Try to bind an address; return the error if that fails."""
    try:
        family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.ip, address.port))
    except OSError as error:
        return error
    return None


def _sentence(host: str, port: int, errors: list[OSError | None]) -> str:
    numbers = {error.errno for error in errors if error}
    if errno.EADDRINUSE in numbers:
        return f"Port {port} of HOST={host} is in use by another program. Stop it, or choose another port with PORT."
    if errno.EACCES in numbers:
        return f"Port {port} is reserved for privileged programs. Choose a PORT of 1024 or more, behind a proxy."
    if numbers & {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return f"HOST is {host!r}, but no network interface of this machine has that address."
    reasons = ", ".join(sorted({str(error.strerror) for error in errors if error}))
    return f"The server cannot listen on port {port} of HOST={host}: {reasons}."
