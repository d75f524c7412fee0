"""Authentication of pages: a session in a cookie stands for a person, and forms of other sites are refused.

The API never takes the cookie, and pages never take a bearer token. In protected mode nobody signs in: every visitor
may do everything, and can view the pages as one of the students.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..database import AnyRow
from ..errors import DatabaseUnavailable, Forbidden, Problem
from ..models import PROTECTED
from . import people, policy, sessions
from .callers import PersonCaller
from .policy import Access, PageAccess

SAFE = {"GET", "HEAD", "OPTIONS"}
OTHER_SITE = "A page of another site has sent this form, so nothing was changed. Open the page here, and send it again."
REFRESH = "HTTP_HX_REQUEST"
"""The header with which a page refreshes a part of itself. That does not keep a session alive."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The visitor of a page."""

    caller: PersonCaller | None = None
    """The person who has signed in; None without a session, and in protected mode."""
    session: AnyRow | None = None
    is_protected: bool = False
    """Whether this is protected mode, in which every visitor may do everything."""

    @property
    def is_signed_in(self) -> bool:
        """Whether pages that are not public can be shown."""
        return self.is_protected or self.caller is not None

    @property
    def name(self) -> str | None:
        """The name of the person who has signed in or, in protected mode, of the student as whom pages are viewed."""
        return self.session.name if self.session else None

    @property
    def student_id(self) -> int | None:
        """The student whom the personal pages are about."""
        if self.is_protected:
            return self.session.student_id if self.session else None
        return self.caller.student_id if self.caller else None

    def may(self, access: Access, student_id: int | None = None, course_id: int | None = None) -> bool:
        """Return whether the visitor may use the page with this row, so that no link leads to a refusal."""
        try:
            self.check(access, student_id, course_id)
        except Problem:
            return False
        return True

    def check(self, access: Access, student_id: int | None = None, course_id: int | None = None) -> None:
        """Raise `Unauthenticated`, `Forbidden` or `StudentNotFound` unless the visitor may use the page."""
        if not self.is_protected:
            policy.check(access, self.caller, student_id, course_id)
        elif isinstance(access, PageAccess) and access.is_personal and not (access.own and self.student_id):
            raise Forbidden("This page is about a student or a person. Choose a student to view the pages as.")


class PageAuthentication:
    """Finds out who visits the pages of one app."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}" if settings.base_url else None
        self.prefix = parts.path
        """The path prefix of the service behind a proxy; empty: none."""
        # A browser accepts the first name only for the whole host, and no other site can set it.
        self.cookie = "__Secure-session" if self.prefix else "__Host-session"

    def visitor(self, cookie: str | None, environ: Mapping[str, Any], *, is_protected: bool) -> Visitor:
        """Return the visitor who sends this cookie, and note that the session is used."""
        session = sessions.find(cookie) if cookie else None
        # Who signed in nowhere must not be somebody when protected mode ends, nor the other way round.
        if session is None or (session.method == PROTECTED) != is_protected:
            return Visitor(is_protected=is_protected)
        if REFRESH not in environ:
            with suppress(SQLAlchemyError, DatabaseUnavailable):  # such as a database that only reads
                sessions.note_use(session.digest, session.used_at)
        if is_protected:
            return Visitor(session=session, is_protected=True)
        caller = people.of_session(session.person_id, session.student_id)
        return Visitor(caller, session) if caller else Visitor()

    def refuse_other_sites(self, environ: Mapping[str, Any]) -> None:
        """Raise `Forbidden` for a request that may change something, unless a page of this service sent it.

        All browsers of today say in Sec-Fetch-Site where a request comes from, to https and to this machine; Origin is
        for the others. A request without both is no browser's, and so no page's.
        """
        if environ["REQUEST_METHOD"] in SAFE:
            return
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site is not None:
            is_own = site in {"same-origin", "none"}
        else:
            own = self._origin or f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST')}"
            is_own = str(environ.get("HTTP_ORIGIN")).lower() == own.lower()
        if not is_own:
            raise Forbidden(OTHER_SITE)
