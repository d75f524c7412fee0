"""Sessions of the pages, and links to sign in once. The database has digests only: what is stored signs nobody in."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import BindParameter, bindparam, delete, func, insert, select, update

from ..database import AnyRow, autocommit, transaction
from ..database.types import Id, UtcDateTime, utcnow
from ..models import PROTECTED, people, sessions, sign_in_links, students

IDLE = timedelta(minutes=30)
"""How long a session lasts without a request by its user."""
ABSOLUTE = timedelta(hours=12)
"""How long a session lasts at most."""
PRECISION = timedelta(minutes=1)
"""A session that is used all the time costs one update in this period."""
LINK_LASTS = timedelta(minutes=10)

_DIGEST: BindParameter[str] = bindparam("which")
_FIND = (
    select(sessions, func.coalesce(people.c.name, students.c.name).label("name"))
    .select_from(
        sessions.outerjoin(people, people.c.id == sessions.c.person_id).outerjoin(
            students, students.c.id == sessions.c.student_id
        )
    )
    .where(
        sessions.c.digest == _DIGEST,
        sessions.c.expires_at > bindparam("now", type_=UtcDateTime),
        sessions.c.used_at > bindparam("idle_since", type_=UtcDateTime),
    )
)
_USED = update(sessions).where(sessions.c.digest == _DIGEST).values(used_at=bindparam("now", type_=UtcDateTime))
_FLASH = update(sessions).where(sessions.c.digest == _DIGEST).values(flash=bindparam("text"))
_VIEW_AS = (
    update(sessions)
    .where(sessions.c.digest == _DIGEST, sessions.c.method == PROTECTED)
    .values(student_id=bindparam("student", type_=Id))
)
_END = delete(sessions).where(sessions.c.digest == _DIGEST)
_END_OLD = delete(sessions).where(sessions.c.expires_at < bindparam("now", type_=UtcDateTime))
_BEGIN = insert(sessions).values(
    digest=_DIGEST,
    method=bindparam("method"),
    person_id=bindparam("person", type_=Id),
    student_id=bindparam("student", type_=Id),
    account_id=bindparam("account", type_=Id),
    created_at=bindparam("now", type_=UtcDateTime),
    used_at=bindparam("now", type_=UtcDateTime),
    expires_at=bindparam("until", type_=UtcDateTime),
    flash=bindparam("text"),
)
_NEW_LINK = insert(sign_in_links).values(
    digest=_DIGEST,
    person_id=bindparam("person", type_=Id),
    student_id=bindparam("student", type_=Id),
    expires_at=bindparam("until", type_=UtcDateTime),
)
# Deleted and returned by one statement, so that of two requests with one link only the first signs in.
_USE_LINK = delete(sign_in_links).where(sign_in_links.c.digest == _DIGEST).returning(sign_in_links)
_END_OLD_LINKS = delete(sign_in_links).where(sign_in_links.c.expires_at < bindparam("now", type_=UtcDateTime))


Method = Literal["issuer", "link", "protected"]
"""How a session begins: by a sign-in at the issuer, by a link, or in protected mode, in which nobody signs in."""


class Owner(NamedTuple):
    """The person or the student whose session it is; neither in protected mode, where `student_id` is only viewed."""

    person_id: int | None = None
    student_id: int | None = None
    account_id: int | None = None
    """The account by which the owner has signed in; the session ends with it."""


NOBODY = Owner()


def find(session_id: str) -> AnyRow | None:
    """Return the row of a session and the `name` of its owner; None if it has ended or never was."""
    now = utcnow()
    rows = autocommit(_FIND, {"which": digest(session_id), "now": now, "idle_since": now - IDLE})
    return rows[0] if rows else None


def begin(method: Method, owner: Owner, flash: str | None = None) -> str:
    """Begin a session and return its id, which is stored nowhere. Sessions that have expired are deleted."""
    session_id, now = secrets.token_urlsafe(32), utcnow()
    with transaction() as connection:
        connection.execute(_END_OLD, {"now": now})
        connection.execute(
            _BEGIN,
            {
                "which": digest(session_id),
                "method": method,
                "person": owner.person_id,
                "student": owner.student_id,
                "account": owner.account_id,
                "now": now,
                "until": now + ABSOLUTE,
                "text": flash,
            },
        )
    return session_id


def end(session_digest: str) -> None:
    """End a session."""
    autocommit(_END, {"which": session_digest})


def note_use(session_digest: str, used_at: datetime) -> None:
    """Store that a session is used now, unless that was done less than a minute ago."""
    now = utcnow()
    if now - used_at > PRECISION:
        autocommit(_USED, {"which": session_digest, "now": now})


def set_flash(session_digest: str, text: str | None) -> None:
    """Store what the next page reports, or that it has been reported."""
    autocommit(_FLASH, {"which": session_digest, "text": text})


def view_as(session_digest: str, student_id: int | None) -> None:
    """Choose the student as whom the pages are viewed in protected mode; None: no student."""
    autocommit(_VIEW_AS, {"which": session_digest, "student": student_id})


def create_link(owner: Owner) -> str:
    """Create a link and return its code, which is stored nowhere. Raises `IntegrityError` if there is no such owner."""
    code, now = secrets.token_urlsafe(32), utcnow()
    with transaction() as connection:
        connection.execute(_END_OLD_LINKS, {"now": now})
        connection.execute(
            _NEW_LINK,
            {
                "which": digest(code),
                "person": owner.person_id,
                "student": owner.student_id,
                "until": now + LINK_LASTS,
            },
        )
    return code


def use_link(code: str) -> Owner | None:
    """Use a link up. Return its owner, or None if it has expired, was used, or never was."""
    rows = autocommit(_USE_LINK, {"which": digest(code)})
    if not rows or rows[0].expires_at <= utcnow():
        return None
    return Owner(rows[0].person_id, rows[0].student_id)


def digest(secret: str) -> str:
    """Return what is stored of the id of a session or the code of a link. Both are random: a slow hash adds nothing."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
