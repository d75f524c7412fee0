# ruff: noqa: S104 - nothing here listens on all interfaces
"""HOST in every form: which address the server listens on, and which URL is printed."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest

from course_management import network_addresses
from course_management.network_addresses import Address

KNOWN = {
    "localhost": ["::1", "127.0.0.1"],
    "campus": ["192.0.2.7"],
    "both": ["2001:db8::7", "192.0.2.7"],
    "six": ["2001:db8::7"],
    "elsewhere": ["192.0.2.9", "127.0.0.1"],
    "link": ["fe80::1%eth0", "2001:db8::7"],
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve names in the same way on every machine; numeric addresses are resolved as always."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if found := KNOWN.get(host.lower()):
            return [
                (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
                for ip in found
            ]
        return real(host, port, flags=socket.AI_NUMERICHOST, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    ("host", "ip", "url", "is_loopback"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8000", True),
        ("127.1", "127.0.0.1", "http://127.0.0.1:8000", True),
        ("127.9.8.7", "127.9.8.7", "http://127.9.8.7:8000", True),
        ("localhost", "127.0.0.1", "http://127.0.0.1:8000", True),
        ("LocalHost", "127.0.0.1", "http://127.0.0.1:8000", True),
        ("localhost.", "127.0.0.1", "http://127.0.0.1:8000", True),
        (" localhost ", "127.0.0.1", "http://127.0.0.1:8000", True),
        ("::1", "::1", "http://[::1]:8000", True),
        ("[::1]", "::1", "http://[::1]:8000", True),
        ("0:0:0:0:0:0:0:1", "::1", "http://[::1]:8000", True),
        ("::ffff:127.0.0.1", "127.0.0.1", "http://127.0.0.1:8000", True),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:8000", False),
        ("0", "0.0.0.0", "http://127.0.0.1:8000", False),
        ("*", "0.0.0.0", "http://127.0.0.1:8000", False),
        ("::", "::", "http://[::1]:8000", False),
        ("[::]", "::", "http://[::1]:8000", False),
        ("192.0.2.1", "192.0.2.1", "http://192.0.2.1:8000", False),
        ("campus", "192.0.2.7", "http://192.0.2.7:8000", False),
        ("both", "192.0.2.7", "http://192.0.2.7:8000", False),
        ("six", "2001:db8::7", "http://[2001:db8::7]:8000", False),
        ("link", "2001:db8::7", "http://[2001:db8::7]:8000", False),
    ],
)
def test_host_is_resolved_printed_and_judged(host: str, ip: str, url: str, is_loopback: bool) -> None:
    address = network_addresses.resolve(host, 8000)[0]
    assert (address.ip, address.url, network_addresses.is_loopback(address.ip)) == (ip, url, is_loopback)
    assert network_addresses.accepts_other_machines(host, 8000) == (not is_loopback)


def test_a_name_that_may_mean_another_machine_is_not_local() -> None:
    assert network_addresses.accepts_other_machines("elsewhere", 8000)


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("http://localhost", "Write HOST=127.0.0.1"),
        ("https://campus/", "Write HOST=127.0.0.1"),
        ("127.0.0.1/8", "Write HOST=127.0.0.1"),
        ("localhost:9000", "Write HOST=localhost and PORT=9000."),
        ("127.0.0.1:9000", "Write HOST=127.0.0.1 and PORT=9000."),
        ("[::1]:9000", "Write HOST=[::1] and PORT=9000."),
        ("fe80::1%eth0", "with a zone"),
        ("nowhere.invalid", "cannot be resolved"),
        ("127.0.0.1,::1", "cannot be resolved"),
        ("256.1.1.1", "cannot be resolved"),
        ("a..b", "cannot be resolved"),
        ("x" * 70 + ".example", "cannot be resolved"),
        ("bücher..example", "cannot be resolved"),
    ],
)
def test_a_host_that_is_no_address_is_explained(host: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"HOST is .*\.$") as caught:
        network_addresses.resolve(host, 8000)
    assert hint in str(caught.value)
    assert host in str(caught.value)
    assert not network_addresses.accepts_other_machines(host, 8000)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (
            errno.EADDRINUSE,
            "Port 80 of HOST=campus is in use by another program. Stop it, or choose another port with PORT.",
        ),
        (errno.EACCES, "Port 80 is reserved for privileged programs. Choose a PORT of 1024 or more, behind a proxy."),
        (errno.EADDRNOTAVAIL, "HOST is 'campus', but no network interface of this machine has that address."),
        (errno.ENOBUFS, "The server cannot listen on port 80 of HOST=campus: No buffer space available."),
    ],
)
def test_an_address_that_cannot_be_used_is_explained(
    monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    monkeypatch.setattr(network_addresses, "RETRY_S", 0)
    monkeypatch.setattr(network_addresses, "_listen_error", lambda _: OSError(number, os.strerror(number)))
    with pytest.raises(ValueError, match=sentence):
        network_addresses.choose("campus", 80)


def test_a_port_that_becomes_free_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [OSError(errno.EADDRINUSE, "in use")] * 3
    monkeypatch.setattr(network_addresses, "_listen_error", lambda _: busy.pop() if busy else None)
    assert network_addresses.choose("campus", 80) == Address("192.0.2.7", 80)


def test_where_ipv4_cannot_be_used_the_next_address_of_a_name_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def why_not(address: Address) -> OSError | None:
        return None if ":" in address.ip else OSError(errno.EADDRNOTAVAIL, "not available")

    monkeypatch.setattr(network_addresses, "_listen_error", why_not)
    assert network_addresses.choose("localhost", 8000) == Address("::1", 8000)


def test_a_port_in_use_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert network_addresses._listen_error(Address("127.0.0.1", other.getsockname()[1])) is not None  # noqa: SLF001
