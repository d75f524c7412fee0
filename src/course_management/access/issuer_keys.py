"""The public keys of the issuer: fetched in a separate thread, and kept during outages.

A request waits at most until `WAIT_S` seconds after the start of a fetch. PyJWT's `PyJWKClient` has no total time limit
and fetches in the thread of the request (decision 15).
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import jwt
import structlog
from jwt.exceptions import PyJWTError

from ..errors import IssuerUnavailable
from .fetching import fetch

ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""The algorithm of each key type. The `alg` of a token must be that of its key."""
MIN_RSA_BITS = 2048

WAIT_S = 0.3
"""Seconds after the start of a fetch until which requests wait for it; later ones get 503 at once."""
DEADLINE_S = 20
"""Time limit for one fetch in seconds. No request waits for it; a name lookup alone may take 12 s."""
COOLDOWN_S = 10
"""Seconds between the end of a fetch and the start of the next, whatever key ids arrive and whether it succeeded."""
STALE_S = 600
"""Seconds after which the keys are fetched again; until that succeeds, the old ones remain in use."""
CHECK_S = 5
"""Seconds that `course-management check` waits for a fetch."""
MAX_KEYS_BYTES = 256 * 1024

log = structlog.get_logger(__name__)


class Key(NamedTuple):
    """A public key of the issuer, and the only algorithm it is used with."""

    algorithm: str
    material: Any


class Fetch(NamedTuple):
    """A fetch in progress."""

    started: float
    """A reading of `time.monotonic`."""
    done: threading.Event


class KeySet:
    """The keys that an issuer publishes at one address."""

    def __init__(self, url: str, get: Callable[[str], bytes] | None = None) -> None:
        self._url = url
        self._get = get or _get
        self._keys: Mapping[str, Key] = {}
        self._fetched = self._ended = -math.inf
        self._running: Fetch | None = None
        self._failure = ""
        self._lock = threading.Lock()

    def find(self, key_id: str | None) -> Key | None:
        """Return the key with this id, or None if it is unknown. Without an id: the key, if there is only one.

        Raises `IssuerUnavailable` until keys were fetched once.
        """
        key = self._known(key_id)
        if key is None:
            if running := self.refresh():
                running.done.wait(running.started + WAIT_S - time.monotonic())
            key = self._known(key_id)
            if not self._keys:
                raise IssuerUnavailable(headers={"Retry-After": str(self._retry_after())})
        elif time.monotonic() - self._fetched > STALE_S:
            self.refresh()
        return key

    def refresh(self) -> Fetch | None:
        """Start a fetch, unless one is running or has just ended. Return the running one."""
        with self._lock:
            if self._running is None and time.monotonic() - self._ended > COOLDOWN_S:
                started = Fetch(time.monotonic(), threading.Event())
                with suppress(RuntimeError):  # no thread can be started now; the next token tries again
                    threading.Thread(target=self._fetch, args=(started,), name="issuer-keys", daemon=True).start()
                    self._running = started
            return self._running

    def problem(self) -> str:
        """Fetch the keys for `course-management check`. Return why that failed, or ""."""
        running = self.refresh()
        if running and not running.done.wait(CHECK_S):
            return f"no response within {CHECK_S} s"
        return self._failure

    def _known(self, key_id: str | None) -> Key | None:
        keys = self._keys
        if key_id is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(key_id)

    def _retry_after(self) -> int:
        next_fetch_s = self._ended + COOLDOWN_S - time.monotonic()
        return 1 if self._running else math.ceil(max(1, next_fetch_s))

    def _fetch(self, running: Fetch) -> None:
        try:
            keys = usable(json.loads(self._get(self._url)))
        except Exception as error:  # noqa: BLE001 - whatever the response was, the known keys remain in use
            failure = f"{type(error).__name__}: {error}"[:200]
        else:
            failure, self._keys, self._fetched = "", keys, time.monotonic()
        changed = bool(failure) != bool(self._failure)
        self._failure = failure
        with self._lock:
            self._ended, self._running = time.monotonic(), None
        running.done.set()
        if changed and failure:  # one line per outage
            log.warning("issuer.unavailable", why=failure, known_keys=len(self._keys))
        elif changed:
            log.info("issuer.available")


def _get(url: str) -> bytes:
    return fetch(url, MAX_KEYS_BYTES, DEADLINE_S)


def usable(document: Any) -> dict[str, Key]:
    """Return the keys of a JWKS that tokens may be signed with, by key id. Raises `ValueError` if there are none."""
    key_by_id: dict[str, Key] = {}
    for jwk in document["keys"]:
        algorithm = ALGORITHMS.get(jwk.get("kty"))
        if algorithm is None or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
            continue
        if algorithm == "ES256" and jwk.get("crv") != "P-256":
            continue
        try:
            material = jwt.PyJWK(jwk, algorithm=algorithm).key
        except (PyJWTError, ValueError, TypeError):
            continue  # the other keys may be readable
        if algorithm == "ES256" or material.key_size >= MIN_RSA_BITS:
            key_by_id[str(jwk.get("kid"))] = Key(algorithm, material)
    if not key_by_id:
        raise ValueError("no usable key")
    return key_by_id
