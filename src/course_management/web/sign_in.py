"""Sign in and out, and view the pages as a student in protected mode."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, request
from marshmallow.fields import Integer, String
from marshmallow.validate import Length, Range

from ..access import people, sessions
from ..access.policy import PageAccess
from ..access.sessions import Method, Owner
from ..access.visitors import Visitor
from ..config import Settings
from ..database.types import MAX_ID
from ..errors import Forbidden, NotFound, SignInFailed, StudentNotFound
from ..repositories.student_names import student_name
from .last_search import keep_search
from .pages import AppPages, Form, delete_cookie, local, redirect, render, root, see_other, set_cookie
from .texts import _

if TYPE_CHECKING:
    from ..access.sign_in import SignIn

pages = AppPages("sign_in")
PUBLIC_ACCESS = PageAccess(scope=None)
EVERY_PERSON_ACCESS = PageAccess(scope="courses:read", every_person=True)
LASTS_S = 600


def init_app(app: Flask, settings: Settings) -> None:
    """Prepare the sign-in at the issuer, if the settings name a client there."""
    app.extensions["sign_in"] = functools.cache(lambda: _at_issuer(settings))


def _at_issuer(settings: Settings) -> SignIn | None:
    issuer = current_app.extensions["authentication"].issuer
    if not settings.oidc_client_id or issuer is None:
        return None
    from ..access.sign_in import SignIn  # noqa: PLC0415 - its library takes a second to import and 12 MB

    return SignIn(settings, issuer.keys)


class LoginQuery(Form):
    """Where to go on after the sign-in, and why the visitor is here."""

    next = String(load_default="/", validate=Length(max=2000))
    lost = String(load_default="")
    signed_out = String(load_default="")


class Issued(Form):
    """What the issuer sends the browser back with."""

    state = String(load_default="")
    code = String()
    iss = String()
    error = String()


class ViewAs(Form):
    """The student as whom the pages are viewed; none: the operator again."""

    student_id = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))


@pages.show("/login", PUBLIC_ACCESS, query=LoginQuery)
def show_login(query: dict[str, Any], visitor: Visitor) -> Response:
    """Offer the ways to sign in."""
    if visitor.is_signed_in:
        return redirect(local(query["next"]))
    sign_in = current_app.extensions["sign_in"]()
    return render(
        "sign_in/login.html",
        has_issuer=sign_in is not None,
        next=local(query["next"]),
        lost=bool(query["lost"]),
        signed_out=bool(query["signed_out"]),
        end_url=sign_in.end_url() if sign_in and query["signed_out"] else None,
    )


@pages.show("/login/start", PUBLIC_ACCESS, query=LoginQuery)
def start_login(query: dict[str, Any]) -> Response:
    """Send the browser to the issuer. A link and not a form: the Content-Security-Policy keeps forms here."""
    begun = _sign_in().begin(local(query["next"]))
    response = see_other(begun.url)
    response.set_cookie(
        _cookie(), begun.kept, max_age=LASTS_S, path=_cookie_path(), secure=True, httponly=True, samesite="Lax"
    )
    return response


@pages.show("/login/back", PUBLIC_ACCESS, query=Issued)
def finish_login(query: dict[str, Any], visitor: Visitor) -> Response:
    """Start the session of a person whom the issuer sends back."""
    sign_in = _sign_in()
    finished = sign_in.finish(query, request.cookies.get(_cookie()))
    account = people.owner_of(sign_in.issuer.name, finished.subject)
    if account is None:
        raise Forbidden(
            _(
                "You have signed in, but your account is not linked to a student or a member of the staff. An e-mail "
                "address does not link it. Ask the registrar to link the account with the subject %(subject)s.",
                subject=finished.subject,
            )
        )
    owner = Owner(account.person_id, account.student_id, account.account_id)
    response = _begin("issuer", owner, visitor, local(finished.next_path))
    response.delete_cookie(_cookie(), path=_cookie_path(), secure=True, httponly=True, samesite="Lax")
    return response


@pages.show("/sign-in/<code>", PUBLIC_ACCESS)
def show_link(code: str) -> Response:
    """Ask to sign in with a link. Programs that look at links in mail must not use it up, so that needs a form."""
    return render("sign_in/link.html", code=code)


@pages.act("/sign-in/<code>", PUBLIC_ACCESS)
def use_link(code: str, visitor: Visitor) -> Response:
    """Start the session of the person or student for whom the link was made; it works once."""
    owner = sessions.use_link(code)
    if owner is None:
        raise SignInFailed("This sign-in link has expired or was used already. Ask for a new one.")
    return _begin("link", owner, visitor, "/")


@pages.act("/logout", PUBLIC_ACCESS)
def sign_out(visitor: Visitor) -> Response:
    """End the session."""
    if visitor.session and not visitor.is_protected:
        sessions.end(visitor.session.digest)
    response = redirect("/login?signed_out=1")
    delete_cookie(response)
    keep_search(response, "")
    return response


@pages.show("/session", EVERY_PERSON_ACCESS)
def is_signed_in() -> Response:
    """Say that the session lasts; otherwise the browser is sent to the page to sign in. Scripts ask with `HX-Request`.

    So it does not count as use: two forgotten tabs must not keep each other signed in.
    """
    return Response(status=204)


@pages.act("/session", EVERY_PERSON_ACCESS)
def stay_signed_in() -> Response:
    """Keep the session, which every request does: for the button of the warning before it ends."""
    return Response(status=204)


@pages.act("/view-as", PageAccess(scope="students:read"), form=ViewAs)
def view_as(form: dict[str, Any], visitor: Visitor) -> Response:
    """View the pages as a student, in protected mode only."""
    if not visitor.is_protected:
        raise NotFound
    student_id = form["student_id"]
    name = student_name(student_id) if student_id else None
    if student_id and name is None:
        raise StudentNotFound
    response = redirect("/" if student_id else "/registrar", None)
    if visitor.session:
        sessions.view_as(visitor.session.digest, student_id)
    elif student_id:
        set_cookie(response, sessions.begin("protected", Owner(student_id=student_id)))
    return response


def _begin(method: Method, owner: Owner, visitor: Visitor, path: str) -> Response:
    """Begin a session with a new id, whatever the browser had before, and end that."""
    if visitor.session:
        sessions.end(visitor.session.digest)
    session_id = sessions.begin(method, owner, _("You are signed in."))
    response = see_other(f"{root()}{path}")
    set_cookie(response, session_id)
    return response


def _sign_in() -> SignIn:
    found: SignIn | None = current_app.extensions["sign_in"]()
    if found is None:
        raise NotFound
    return found


def _cookie() -> str:
    """Return the name of the cookie that is kept until the issuer sends the browser back."""
    return str(current_app.extensions["authentication"].pages.cookie).replace("session", "sign-in")


def _cookie_path() -> str:
    return current_app.extensions["authentication"].pages.prefix or "/"
