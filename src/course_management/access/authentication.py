"""Authentication: establish the caller and refuse what the caller is not permitted, before the request is parsed.

While no authentication is configured, only direct local clients are served, and they may do everything
(protected mode). The first API key, or an issuer in the settings, ends that permanently.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from flask import current_app, request
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..context import current
from ..errors import DatabaseUnavailable, Forbidden, Unauthenticated
from . import keys, people, policy, protected_mode
from .callers import CHALLENGE, Caller, InvalidToken
from .key_use import KeyUse
from .policy import ADMIN, PUBLIC, Access
from .rate_limits import Limits

if TYPE_CHECKING:
    from .tokens import Issuer

FRESH_S = 5
"""Seconds for which a process uses a key or an account that it has read, without reading it again."""
REMEMBERED = 10_000
"""How many callers a process remembers."""
MAX_CREDENTIAL = 8192


class Authentication:
    """The authentication of one app."""

    def __init__(self, settings: Settings) -> None:
        self.limits = Limits(settings)
        self.key_use = KeyUse(settings)
        self.issuer = _issuer(settings)
        self._origins = frozenset(settings.cors_origins)
        self.configured = self.issuer is not None
        """Whether callers must authenticate; once true, permanently."""
        self._looked = -math.inf
        self._has_looked = self._was_protected = False
        self._callers: TTLCache[bytes, Caller | Forbidden] = TTLCache(REMEMBERED, FRESH_S)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Prepare to serve: fetch the issuer's keys and connect to Redis before a request needs them."""
        self.limits.start()
        if self.issuer:
            self.issuer.keys.refresh()

    def authenticate(self) -> None:
        """Establish the caller, and refuse what its access row does not permit.

        Raises `ProtectedMode`, `Unauthenticated`, `Forbidden`, `TooManyRequests` or `StudentNotFound`.
        """
        this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - the public way to its object
        environ, context = this.environ, current.get()
        view: Any = current_app.view_functions.get(this.endpoint or "")
        access: Access = PUBLIC if view is None or this.method == "OPTIONS" else view.access
        is_public = access.scope is None
        if not self.configured:
            refusal = protected_mode.refusal(environ, self._origins)
            # Public routes serve local clients in either case, also without the database.
            if (is_public and refusal is None) or self._is_protected(is_public, may_look=access.waits):
                if refusal:
                    raise refusal
                return
        if not is_public:
            # Whoever lost a role or key a moment ago must not restore it.
            caller = self._caller(environ.get("HTTP_AUTHORIZATION"), anew=access.scope == ADMIN)
            if caller and context:
                context.caller, context.actor = caller, caller.actor
                self.limits.count(caller, this.method)
            policy.check(access, caller, (this.view_args or {}).get("student_id"))

    def _is_protected(self, public: bool, *, may_look: bool) -> bool:
        """Return whether authentication is not configured, as far as this process knows.

        A liveness check must not wait for the database: after the first query, it uses the last result.
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
                return False  # so that /healthz reports that the process is up
            self._looked = time.monotonic()
            self._was_protected = not self.configured
        return not self.configured

    def _caller(self, header: str | None, *, anew: bool) -> Caller | None:
        scheme, _, credential = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not credential:
            return None
        credential = credential.strip()
        digest = hashlib.sha256(credential.encode("latin-1", "replace")).digest()
        with self._lock:
            caller = None if anew else self._callers.get(digest)
        if caller is None:
            try:
                caller = self._identify(credential)
            except Forbidden as unlinked:  # the token is valid, but not linked; remember that as well
                caller = unlinked
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
                raise _invalid("There is no such API key, or it has expired or been revoked.")
            self.key_use.note(key.prefix, key.last_used_at)
            return keys.service(key)
        if self.issuer is None:
            raise _invalid("It is no API key of this service, and no issuer of tokens is configured.")
        try:
            subject = self.issuer.subject_of(credential)
        except InvalidToken as error:
            raise _invalid(str(error)) from None
        person = people.find(self.issuer.name, subject)
        if person is None:
            raise Forbidden(
                "Your token is valid, but it is not linked to a student or a member of the staff. Ask the registrar."
            )
        return person


def _issuer(settings: Settings) -> Issuer | None:
    """Return the issuer that the settings name, if any."""
    if not settings.oidc_issuer:
        return None
    from .tokens import Issuer  # noqa: PLC0415 - its libraries are 13 MB in each worker, for those who need them

    return Issuer.of(settings)


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(
        f"The API key or token is not valid. {why}",
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token", error_description="{why}"'},
    )
