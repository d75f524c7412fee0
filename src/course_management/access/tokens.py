"""Tokens of people: made by an OpenID Connect issuer, checked here, without asking anybody.

What decides is fixed here or in the settings, never in the token: the algorithms, the issuer, the audience, and where
the keys come from. RFC 7519 (JWT), 7517 (JWKS), 8725 (what goes wrong), 9068 (access tokens).
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt
import structlog
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from ..config import Settings
from ..errors import IssuerUnavailable
from .callers import InvalidToken

ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""By the type of the key. A token's `alg` must be that of its key: it does not choose."""
MIN_RSA_BITS = 2048
TYPES = {"jwt", "at+jwt", "application/at+jwt"}
ELSEWHERE = {"jku", "jwk", "x5u", "x5c", "crit"}
"""Headers by which a token would bring its own key, or ask for rules that nobody here knows."""
REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
LEEWAY_S = 60
MAX_SUBJECT = 255

COOLDOWN_S = 10
"""Seconds between two fetches of the keys, whatever key ids arrive and whether the last one succeeded."""
STALE_S = 600
"""Seconds after which the keys are fetched again; until that succeeds, those at hand go on serving."""
TIMEOUT_S = 2
MAX_KEYS_BYTES = 256 * 1024

log = structlog.get_logger(__name__)


class Key(NamedTuple):
    """A public key of the issuer's, and the one algorithm it is used with."""

    algorithm: str
    material: Any


class Issuer:
    """An issuer of tokens, and the audience we are to it."""

    def __init__(self, name: str, audience: str, keys: KeySet) -> None:
        self.name, self.audience, self.keys = name, audience, keys

    @classmethod
    def of(cls, settings: Settings) -> Issuer:
        """The issuer of the settings."""
        return cls(settings.oidc_issuer, settings.oidc_audience, KeySet(settings.oidc_jwks_url))

    def subject_of(self, token: str) -> str:
        """Whom the token speaks of. Raises `InvalidToken`, or `IssuerUnavailable` if no key was ever to be had."""
        try:
            return self._subject_of(token)
        except PyJWTError as error:
            raise InvalidToken(_sentence(error)) from None

    def _subject_of(self, token: str) -> str:
        header = jwt.get_unverified_header(token)
        if not ELSEWHERE.isdisjoint(header):
            raise InvalidToken("It must not bring its own key or extensions.")
        if str(header.get("typ")).lower() not in TYPES:
            raise InvalidToken("Its type is not that of an access token.")
        key = self.keys.find(header.get("kid"))
        if key is None or key.algorithm != header.get("alg"):
            raise InvalidToken("It is not signed with a key and algorithm of the issuer's.")
        claims = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            issuer=self.name,
            audience=self.audience,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
        )
        if claims["aud"] not in (self.audience, [self.audience]):
            raise InvalidToken("It is for others as well.")  # and so in their hands
        subject: str = claims["sub"]
        if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise InvalidToken("Its subject cannot be one.")
        return subject


def _sentence(error: PyJWTError) -> str:
    for kind, sentence in (
        (ExpiredSignatureError, "It has expired."),
        (ImmatureSignatureError, "It is not valid yet."),
        (InvalidIssuedAtError, "Its time of issue cannot be one."),
        (InvalidIssuerError, "It is from another issuer."),
        (InvalidAudienceError, "It is for another audience."),
        (InvalidSignatureError, "Its signature is wrong."),
    ):
        if isinstance(error, kind):
            return sentence
    if isinstance(error, MissingRequiredClaimError):
        return f"It lacks the claim {error.claim}."
    return "It is not well-formed."


class KeySet:
    """The keys that an issuer publishes, fetched when needed and kept through its outages."""

    def __init__(self, url: str, fetch: Callable[[str], bytes] | None = None) -> None:
        self._url = url
        self._fetch = fetch or _fetch
        self._keys: Mapping[str, Key] = {}
        self._asked = self._fetched = -float("inf")
        self._lock = threading.Lock()

    def find(self, key_id: str | None) -> Key | None:
        """The key of this id; without one, the only key. Raises `IssuerUnavailable` while there are none at all."""
        found = self._at_hand(key_id)
        if found is None:
            with self._lock:  # who comes second finds what the first has fetched
                found = self._at_hand(key_id)
                if found is None:
                    self._refresh()
                    found = self._at_hand(key_id)
            if not self._keys:
                raise IssuerUnavailable
        elif time.monotonic() - self._fetched > STALE_S and self._lock.acquire(blocking=False):
            # Nobody waits for it: the key at hand is good for now.
            threading.Thread(target=self._refresh_and_release, daemon=True).start()
        return found

    def _at_hand(self, key_id: str | None) -> Key | None:
        keys = self._keys
        if key_id is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(key_id)

    def _refresh_and_release(self) -> None:
        try:
            self._refresh()
        finally:
            self._lock.release()

    def _refresh(self) -> None:
        if time.monotonic() - self._asked > COOLDOWN_S:
            self._asked = time.monotonic()
            try:
                self._keys = self._load()
                self._fetched = time.monotonic()
            except Exception as error:  # noqa: BLE001 - whatever the issuer answers, the keys at hand go on serving
                log.warning("issuer.unavailable", url=self._url, why=_why(error), keys_at_hand=len(self._keys))

    def _load(self) -> dict[str, Key]:
        return _usable(json.loads(self._fetch(self._url)))

    def problem(self) -> str:
        """Why there are no keys, if there are none: for `course-management check`."""
        try:
            self._load()
        except Exception as error:  # noqa: BLE001 - likewise
            return _why(error)
        return ""


def _why(error: Exception) -> str:
    """What went wrong with a document of keys, which holds no secret."""
    return f"{type(error).__name__}: {error}"[:200]


def _usable(document: Any) -> dict[str, Key]:
    """Those keys of a JWKS that can sign what we accept. Raises `ValueError` for a document without any."""
    found: dict[str, Key] = {}
    for each in document["keys"]:
        algorithm = ALGORITHMS.get(each.get("kty"))
        if algorithm is None or each.get("use", "sig") != "sig" or each.get("alg", algorithm) != algorithm:
            continue
        if algorithm == "ES256" and each.get("crv") != "P-256":
            continue
        try:
            material = jwt.PyJWK(each, algorithm=algorithm).key
        except (PyJWTError, ValueError, TypeError):
            continue  # one that cannot be read takes nothing from the others
        if algorithm == "ES256" or material.key_size >= MIN_RSA_BITS:
            found[str(each.get("kid"))] = Key(algorithm, material)
    if not found:
        raise ValueError("no usable key")
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address in the settings is the address: whoever could redirect it could make tokens."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse; urllib then raises what the issuer answered, an OSError."""


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + TIMEOUT_S
    data = b""
    with urllib.request.build_opener(_NoRedirect).open(url, timeout=TIMEOUT_S) as response:
        while chunk := response.read1(MAX_KEYS_BYTES):
            data += chunk
            if len(data) > MAX_KEYS_BYTES or time.monotonic() > deadline:
                raise ValueError("too large or too slow")
    return data
