"""Every setting of the service: its name, meaning, default and check.

The environment variable of a setting is its field name in capitals. Values come from the mapping given to
`create_app`, then the environment, then `.env`, then the default here. `Settings.load` reports all errors at once. No
message repeats a value that may contain a password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from limits import RateLimitItem, parse
from sqlalchemy.engine import URL

from . import environment
from .database_urls import MAX_PORT, database_url
from .urls import base_url, origins, storage_uri, web_address

MIB = 1024 * 1024


class ConfigurationError(Exception):
    """The settings are not valid. `problems` has one sentence per error."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Make a check for an integer in a range, both ends included."""

    def check(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"is {text!r}, which is not a whole number") from None
        if not minimum <= number <= maximum:
            raise ValueError(f"is {number}, which is not between {minimum} and {maximum}")
        return number

    return check


def port_or_none(text: str) -> int | None:
    """Check for a port, or `none`."""
    return None if text.strip().lower() == "none" else integer(1, MAX_PORT)(text)


def one_of(*allowed: str) -> Callable[[str], str]:
    """Make a check for one word of a list, in any case."""

    def check(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"is {text!r}, which is none of {', '.join(allowed)}")
        return text.lower()

    return check


def not_empty(text: str) -> str:
    """Check for a text with at least one visible character."""
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


def rate(text: str) -> RateLimitItem | None:
    """Check for a rate as `600 per minute`, or `none`."""
    if text.strip().lower() == "none":
        return None
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"is {text!r}; write it as 600 per minute, or none") from None


def time_zone(text: str) -> ZoneInfo:
    """Check for the IANA name of a time zone."""
    try:
        return ZoneInfo(text.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory, such as Europe
        closest = "".join(f"; use {name}" for name in get_close_matches(text, available_timezones(), 1))
        raise ValueError(f"is {text!r}, which is no IANA time zone, such as Europe/Berlin{closest}") from None


def setting(default: str, check: Callable[[str], Any], meaning: str) -> Any:
    """Declare a field of `Settings`; the default is written as in the environment."""
    return field(metadata={"default": default, "check": check, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one running service. Make one with `Settings.load`."""

    database_url: URL = setting(
        "sqlite:///course_management.db",
        database_url,
        "The database: a SQLite file, or postgresql://user:password@host/name.",
    )
    host: str = setting(
        "127.0.0.1", not_empty, "Address or name the server listens on; * is every address of this machine."
    )
    port: int = setting("8000", integer(1, MAX_PORT), "Port the server listens on.")
    workers: int = setting("2", integer(1, 256), "Server processes; one per core is a good start.")
    threads: int = setting(
        "2", integer(1, 64), "Requests that each server process handles at a time, with one database connection each."
    )
    group_size: int = setting(
        "16", integer(1, 64), "Waiting requests that a thread works on together, sharing round trips; 1: one at a time."
    )
    connections: int = setting("4096", integer(1, 65_536), "Maximum number of client connections per server process.")
    max_wait_ms: int = setting(
        "3000",
        integer(1, 60_000),
        "Time limit in the request queue, in milliseconds; requests that would wait longer get 503.",
    )
    client_timeout_s: int = setting(
        "30",
        integer(1, 3600),
        "Seconds a client has to send a header, and then to make progress with the body or response.",
    )
    stop_timeout_s: int = setting(
        "15", integer(1, 600), "Seconds that requests in progress have to finish when the server stops."
    )
    time_zone: ZoneInfo = setting(
        "UTC",
        time_zone,
        "IANA name of the school's time zone, such as Europe/Berlin: in it, a term ends with its last day.",
    )
    background: str = setting(
        "on",
        one_of("on", "off"),
        "Whether `serve` does the background work in its workers; off: run `course-management worker`.",
    )
    import_report_days: int = setting(
        "14",
        integer(1, 3650),
        "Days for which an import keeps all of its rows; then only those that no later import has replaced.",
    )
    worker_timeout_s: int = setting(
        "30", integer(3, 3600), "Seconds without a heartbeat after which a server process is replaced."
    )
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "Lowest severity of log lines to write."
    )
    log_format: str = setting(
        "auto", one_of("auto", "json", "pretty"), "Format of log lines; auto: pretty in a terminal, else JSON."
    )
    metrics_port: int | None = setting(
        "none",
        port_or_none,
        "Port of 127.0.0.1 with the metrics for Prometheus, without a key; none: only `/metrics`, with a key.",
    )
    oidc_issuer: str = setting(
        "",
        web_address,
        "OpenID Connect issuer of people's tokens, exactly as in their `iss`; empty: people have no access.",
    )
    oidc_audience: str = setting("", str.strip, "Audience of the tokens, exactly as in their `aud`.")
    oidc_jwks_url: str = setting("", web_address, "URL of the issuer's public keys (its `jwks_uri`).")
    oidc_client_id: str = setting(
        "", str.strip, "Client id of this service at the issuer, with which people sign in to the pages."
    )
    oidc_client_secret: str = setting("", str.strip, "Secret of that client.")
    base_url: str = setting(
        "",
        base_url,
        "Public URL of the service, such as https://school.example/enrollment; needed to sign in at an issuer.",
    )
    cors_origins: tuple[str, ...] = setting(
        "",
        origins,
        "Origins of web pages that may call the API (CORS), as https://host, separated by commas; empty: none.",
    )
    ratelimit_reads: RateLimitItem | None = setting(
        "600 per minute", rate, "Limit of read requests per person, or none."
    )
    ratelimit_writes: RateLimitItem | None = setting(
        "120 per minute", rate, "Limit of write requests per person, or none."
    )
    ratelimit_service_reads: RateLimitItem | None = setting(
        "none", rate, "Limit of read requests per service, or none."
    )
    ratelimit_service_writes: RateLimitItem | None = setting(
        "none", rate, "Limit of write requests per service, or none."
    )
    ratelimit_storage_uri: str = setting(
        "memory://",
        storage_uri,
        "Where rate limits are counted: memory:// per worker, or redis://host:6379 for all workers.",
    )
    max_body_bytes: int = setting(str(MIB), integer(1024, 64 * MIB), "Largest accepted request body, in bytes.")
    database_deadline_ms: int = setting(
        "2000",
        integer(100, 60_000),
        "Time limit for a request's database work, including retries, in milliseconds; then 503.",
    )
    database_pool_timeout_ms: int = setting(
        "500", integer(1, 60_000), "Milliseconds a request waits for a free connection of the pool."
    )
    database_lock_timeout_ms: int = setting(
        "1200", integer(1, 60_000), "Milliseconds a statement waits for a lock (SQLite: for the one writer)."
    )
    database_statement_timeout_ms: int = setting(
        "1400", integer(1, 600_000), "Time limit for one statement of a request, in milliseconds; then 503."
    )
    database_idle_in_transaction_timeout_ms: int = setting(
        "5000", integer(1, 600_000), "Milliseconds after which PostgreSQL ends a transaction whose client is idle."
    )

    @classmethod
    def load(cls, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings. Raises `ConfigurationError` with a sentence for each error."""
        if environ is None:
            file = environment.env_file()
            if file.problems:
                raise ConfigurationError(list(file.problems))
            environ = environment.completed_by(file)
        texts = {**environ, **{name: str(value) for name, value in (overrides or {}).items()}}
        values: dict[str, Any] = {}
        problems: list[str] = []
        for setting in fields(cls):
            name = setting.name.upper()
            # An empty variable counts as unset: `PORT= make run` and an empty line of .env mean the default.
            text = texts.get(name) or setting.metadata["default"]
            try:
                values[setting.name] = setting.metadata["check"](text)
            except ValueError as error:
                problems.append(f"{name} {error}.")
        oidc = [texts.get(name) for name in ("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_JWKS_URL")]
        if any(oidc) and not all(oidc):
            problems.append("OIDC_ISSUER, OIDC_AUDIENCE and OIDC_JWKS_URL go together: set all three, or none.")
        client = [texts.get(name) for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")]
        if any(client) and not (all(client) and texts.get("OIDC_ISSUER") and texts.get("BASE_URL")):
            problems.append(
                "OIDC_CLIENT_ID and OIDC_CLIENT_SECRET go together, with OIDC_ISSUER and BASE_URL: set all, or none."
            )
        if problems:
            raise ConfigurationError(problems)
        return cls(**values)

    @classmethod
    def misspelled(cls) -> list[str]:
        """Return a sentence for each name in `.env` or the environment that resembles a setting and has no effect."""
        return environment.misspelled([setting.name.upper() for setting in fields(cls)])

    @classmethod
    def example(cls) -> str:
        """Return the text of `.env.example`: every setting with its meaning, commented out at its default."""
        return "\n".join(
            f"# {setting.metadata['meaning']}\n#{setting.name.upper()}={setting.metadata['default']}\n"
            for setting in fields(cls)
        )
