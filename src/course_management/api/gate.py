"""The gate: whoever asks is known, and allowed to, before anything of the request is read.

While no authentication is configured, only direct local clients come through, and they may do everything
(protected mode). The first key, or an issuer in the settings, ends that for good.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from typing import TYPE_CHECKING

from cachetools import TTLCache
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ..access import keys, people, policy, protected_mode
from ..access.callers import CHALLENGE, Caller, InvalidToken, set_caller
from ..access.key_use import KeyUse
from ..config import Settings
from ..errors import DatabaseUnavailable, Forbidden, ProtectedMode, Unauthenticated
from ..logs import this_request
from .limits import Limits

if TYPE_CHECKING:
    from ..access.tokens import Issuer

FRESH_S = 5
"""Seconds for which a process believes what it has read about a key or an account."""
REMEMBERED = 10_000
"""Callers that a process remembers at once."""
MAX_CREDENTIAL = 8192
LIVENESS = "health.get_liveness"
OTHER_SITE = (
    "A web page of another site sent this request. While no authentication is configured, only programs on this "
    "machine may change anything, and pages of the origins in CORS_ORIGINS."
)


def init_app(app: Flask, settings: Settings) -> None:
    """Put the gate before every view."""
    app.extensions["gate"] = gate = Gate(settings)
    app.before_request(gate.admit)


class Gate:
    """Decides about each request of one app."""

    def __init__(self, settings: Settings) -> None:
        self.limits = Limits(settings)
        self.key_use = KeyUse(settings)
        self.issuer = _issuer(settings)
        self._origins = frozenset(settings.cors_origins)
        self.configured = self.issuer is not None
        """Whether callers must say who they are; once true, for good."""
        self._looked = -math.inf
        self._has_looked = self._was_protected = False
        self._callers: TTLCache[bytes, Caller | Forbidden] = TTLCache(REMEMBERED, FRESH_S)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Prepare to serve: fetch the issuer's keys and connect to Redis before a request needs them."""
        self.limits.start()
        if self.issuer:
            self.issuer.keys.refresh()

    def admit(self) -> None:
        """Let the request pass, or raise `ProtectedMode`, `Unauthenticated`, `Forbidden` or `StudentNotFound`."""
        asked = this_request()
        route, environ = asked.endpoint, asked.environ
        public = route is None or policy.is_public(route) or environ["REQUEST_METHOD"] == "OPTIONS"
        set_caller(None)
        if not self.configured:
            local = protected_mode.is_direct_and_local(environ)
            # What is public is so for local clients in either case, database or not.
            if (local and public) or self._is_protected(public, may_look=route != LIVENESS):
                if not local:
                    raise ProtectedMode
                if protected_mode.is_from_another_site(environ, self._origins):
                    raise ProtectedMode(OTHER_SITE)
                return
        if route is not None and not public:
            caller = self._caller(environ.get("HTTP_AUTHORIZATION"))
            set_caller(caller)
            if caller:
                self.limits.count(caller, environ["REQUEST_METHOD"])
            policy.check(route, caller, (asked.view_args or {}).get("student_id"))

    def _is_protected(self, public: bool, *, may_look: bool) -> bool:
        """Whether nobody has configured authentication, as far as that can be known.

        A liveness check must not wait for the database: after the first look, it goes by what is known.
        """
        if self._has_looked and not may_look:
            return self._was_protected
        if time.monotonic() - self._looked > FRESH_S:
            self._has_looked, self._was_protected = True, False
            try:
                if keys.exist():  # never back to False: another thread may have found the first key meanwhile
                    self.configured = True
            except (SQLAlchemyError, DatabaseUnavailable):
                if not public:
                    raise
                return False  # a load balancer that asks for /healthz learns that the process is up
            self._looked = time.monotonic()
            self._was_protected = not self.configured
        return not self.configured

    def _caller(self, header: str | None) -> Caller | None:
        scheme, _, credential = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not credential:
            return None
        credential = credential.strip()
        digest = hashlib.sha256(credential.encode("latin-1", "replace")).digest()
        with self._lock:
            caller = self._callers.get(digest)
        if caller is None:
            try:
                caller = self._identify(credential)
            except Forbidden as stranger:  # known to the issuer, and to nobody here: that is remembered as well
                caller = stranger
            with self._lock:
                self._callers[digest] = caller
        if isinstance(caller, Forbidden):
            raise Forbidden(caller.detail)
        return caller

    def _identify(self, credential: str) -> Caller:
        if len(credential) > MAX_CREDENTIAL:
            raise _invalid("It is too long.")
        if keys.looks_like_one(credential):
            key = keys.find(credential)
            if key is None:
                raise _invalid("There is no such key, or it has expired or been revoked.")
            self.key_use.note(key.prefix, key.last_used_at)
            return keys.service(key)
        if self.issuer is None:
            raise _invalid("It is no key of this service, and no issuer of tokens is configured.")
        try:
            subject = self.issuer.subject_of(credential)
        except InvalidToken as error:
            raise _invalid(str(error)) from None
        person = people.find(self.issuer.name, subject)
        if person is None:
            raise Forbidden("Your token is valid, but nobody has linked it to a student or a member of the staff.")
        return person


def _issuer(settings: Settings) -> Issuer | None:
    """The issuer of the settings, if they name one."""
    if not settings.oidc_issuer:
        return None
    from ..access.tokens import Issuer  # noqa: PLC0415 - its libraries are 13 MB in each worker, for those who need them

    return Issuer.of(settings)


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(
        f"The key or token is not valid. {why}",
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token", error_description="{why}"'},
    )
