"""Settings that are URLs of other services: their checks, and how they are shown.

A URL may contain a password, also by mistake, so no message here repeats any part of it.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import URL

from .network_addresses import is_this_machine

STORAGES = ("memory", "redis", "rediss", "redis+unix")
"""Schemes of `limits` that work with the installed packages."""


def web_address(text: str) -> str:
    """Check a URL with https, or with http on this machine; it may be empty."""
    if not text:
        return text
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL; write https://host/path")
    if "@" in parts.netloc:
        raise ValueError("has a user name or password, which is not supported; write https://host/path")
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ValueError("must begin with https, or the response could be changed on the way to accept forged tokens")
    return text


def base_url(text: str) -> str:
    """Check the public URL of this service: a `web_address` without query and fragment. A slash at its end is cut."""
    text = web_address(text.strip()).rstrip("/")
    parts = _split(text)
    if parts.query or parts.fragment or "//" in parts.path or "." in parts.path.split("/"):
        raise ValueError("has a query, a fragment or an unusual path; write https://host or https://host/path")
    return text


def origins(text: str) -> tuple[str, ...]:
    """Check a list of origins, separated by commas: scheme, host and port only."""
    entries = tuple(entry.strip().rstrip("/") for entry in text.split(",") if entry.strip())
    for number, origin in enumerate(entries, 1):
        parts = _split(origin)
        is_origin = (
            parts.scheme in {"http", "https"} and parts.hostname and origin == f"{parts.scheme}://{parts.netloc}"
        )
        if not is_origin or "*" in origin or "@" in origin:
            raise ValueError(f"has an entry that is not an origin (number {number}); write https://host, without *")
    return entries


def storage_uri(text: str) -> str:
    """Check where rate limits are counted, in memory or in Redis, without connecting."""
    text = text.strip()
    parts = _split(text)
    if parts.scheme not in STORAGES:
        raise ValueError(
            f"must begin with {', '.join(f'{scheme}://' for scheme in STORAGES[:-1])} or {STORAGES[-1]}://"
        )
    if parts.scheme == "memory":
        return "memory://"
    if parts.scheme != "redis+unix" and not parts.hostname:
        raise ValueError("names no host; write redis://host:6379")
    if parts.scheme != "redis+unix" and not (parts.path.strip("/") or "0").isdigit():
        raise ValueError("names a database of Redis that is not a number; write redis://host:6379/0")
    from redis import ConnectionPool  # noqa: PLC0415 - several MB per worker, only where it is used

    try:
        ConnectionPool.from_url(text.replace("redis+unix:", "unix:", 1)).make_connection()
    except Exception:  # noqa: BLE001 - its message may repeat the URL
        raise ValueError("has a parameter that Redis does not know, or with a wrong value") from None
    return text


def without_password(url: URL) -> str:
    """Return the URL of the database without its driver and secrets, to be shown."""
    secret = [name for name in url.query if "password" in name]
    shown = url.difference_update_query(secret).set(drivername=url.get_backend_name())
    return shown.render_as_string(hide_password=True)


def _split(text: str) -> SplitResult:
    """Split a URL. Raises `ValueError` with a sentence if any part of it is not valid."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "has a space or a character that is not ASCII; write a host name as xn--..., anything else percent-encoded"
        )
    try:
        parts = urlsplit(text)
        well_formed = parts.port != 0 and parts.netloc.count("@") < 2  # noqa: PLR2004 - a second @ is not encoded
    except ValueError:  # its message repeats the URL
        well_formed = False
    if not well_formed:
        raise ValueError(
            "is not a well-formed URL; check the port and the brackets, and write special characters of a password "
            "percent-encoded: %40 for @, %2F for /, %3A for :, %23 for #"
        )
    return parts
