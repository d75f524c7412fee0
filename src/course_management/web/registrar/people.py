"""The staff: names, roles, the students whom they advise, and the accounts with which they sign in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, current_app
from marshmallow.fields import Integer, List, String
from marshmallow.validate import Length, Range

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database.types import MAX_ID
from ...errors import AccountNotFound, PersonNotFound, PreconditionFailed
from ...http.responses import fingerprint
from ...repositories import accounts as account_repository
from ...repositories import resources, student_records
from ...schemas.fields import Email, ExternalId, Text
from ...schemas.lists import Choice
from ...schemas.people import Opaque, PersonSchema
from ...services import accounts
from ...services import resources as service
from ...services.accounts import PERSON
from ...services.people import PEOPLE
from ..forms import EntryForm, FormId
from ..pages import AppPages, Form, done, render
from ..texts import N_, _
from .students import STALE

pages = AppPages("registrar_people", area=N_("Registrar"))
MANAGE = PageAccess(scope="admin")
ROLES = {"registrar": N_("Registrar"), "advisor": N_("Advisor")}
SHOWN = 50
PATH = "/registrar/people"
ONE = f"{PATH}/<id:person_id>"


class ListQuery(Form):
    """The person after whom the page starts."""

    after = Integer(load_default=0, validate=Range(0, MAX_ID))


class SearchForm(EntryForm):
    """Words of the name or the e-mail address. Not in the address of the page: they are personal."""

    q = String(load_default="", validate=Length(max=100))


class PersonForm(EntryForm):
    """What is stored about a person; `tag` stands for what the page showed."""

    name = Text(200, joiners=True, required=True)
    email = Email(load_default=None)
    external_id = ExternalId()
    roles = List(Choice(tuple(ROLES)), load_default=list)
    tag = String(load_default="")


class AdviseeForm(EntryForm):
    """A student whom the person advises from now on, or no longer."""

    student_id = FormId(required=True)


class AccountForm(EntryForm):
    """The account with which the person signs in."""

    issuer = Opaque(required=True)
    subject = Opaque(required=True)


@pages.show(PATH, MANAGE, query=ListQuery, link=N_("People"))
def show_people(query: Mapping[str, Any]) -> Response:
    """Show the staff, by id."""
    rows = resources.page(PEOPLE.model, PersonSchema.stored(), query["after"], SHOWN + 1, {})
    following = rows[SHOWN - 1].id if len(rows) > SHOWN else None
    return _people(rows[:SHOWN], "", following)


@pages.act(f"{PATH}/search", MANAGE, form=SearchForm)
def search_people(form: Mapping[str, Any]) -> Response:
    """Show the people who were found."""
    filters = {"q": form["q"].strip()} if form["q"].strip() else {}
    return _people(resources.page(PEOPLE.model, PersonSchema.stored(), 0, SHOWN, filters), form["q"], None)


@pages.act(PATH, MANAGE, form=PersonForm)
def create_person(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a person."""
    person = service.create(PEOPLE, {**_values(form), "advises": []}, context)
    return done(
        f"{PATH}/{person.id}", _("%(name)s is one of the staff now. Add an account to sign in with.", name=person.name)
    )


@pages.show(ONE, MANAGE)
def show_person(person_id: int) -> Response:
    """Show a person, with roles, students and accounts."""
    person = _find(person_id)
    issuer = current_app.extensions["settings"].oidc_issuer
    return render(
        "registrar/person.html",
        person=person,
        tag=_tag(person),
        roles=_roles(),
        advised=student_records.names_of_students(sorted(person.advises)),
        accounts=_accounts(person_id),
        issuer=issuer or "",
    )


@pages.act(ONE, MANAGE, form=PersonForm)
def change_person(form: Mapping[str, Any], person_id: int, context: RequestContext) -> Response:
    """Change what is stored about a person, unless somebody else has changed it since the page was shown."""

    def is_as_shown(row: Any) -> None:
        if _tag(row) != form["tag"]:
            raise PreconditionFailed(STALE)

    service.change(PEOPLE, person_id, _values(form), is_as_shown, context)
    return done(f"{PATH}/{person_id}", _("The person is changed. It has effect within 5 seconds."))


@pages.act(f"{ONE}/advise", MANAGE, form=AdviseeForm)
def advise(form: Mapping[str, Any], person_id: int, context: RequestContext) -> Response:
    """Let the person advise a student."""
    _change_advised(person_id, lambda ids: ids | {form["student_id"]}, context)
    return done(f"{PATH}/{person_id}", _("The person advises the student now."))


@pages.act(f"{ONE}/stop-advising", MANAGE, form=AdviseeForm)
def stop_advising(form: Mapping[str, Any], person_id: int, context: RequestContext) -> Response:
    """Undo that; doing so again changes nothing."""
    _change_advised(person_id, lambda ids: ids - {form["student_id"]}, context)
    return done(f"{PATH}/{person_id}", _("The person no longer advises the student."))


@pages.act(f"{ONE}/accounts", MANAGE, form=AccountForm)
def add_account(form: Mapping[str, Any], person_id: int) -> Response:
    """Let a subject of an issuer sign in as the person."""
    accounts.add(PERSON, person_id, form["issuer"], form["subject"])
    return done(f"{PATH}/{person_id}", _("The account is linked. The person can sign in with it."))


@pages.show(f"{ONE}/accounts/<id:account_id>/delete", MANAGE)
def confirm_account_deletion(person_id: int, account_id: int) -> Response:
    """Say what is lost with an account, before it is deleted."""
    person = _find(person_id)
    found = [each for each in _accounts(person_id) if each.id == account_id]
    if not found:
        raise AccountNotFound
    return render(
        "registrar/account_delete.html", person=person, account=found[0], others=len(_accounts(person_id)) - 1
    )


@pages.act(f"{ONE}/accounts/<id:account_id>/delete", MANAGE)
def delete_account(person_id: int, account_id: int) -> Response:
    """Delete an account, and end the sessions that began with it."""
    accounts.remove(PERSON, person_id, account_id)
    return done(f"{PATH}/{person_id}", _("The account is deleted. Nobody can sign in with it any more."))


def _people(rows: Any, q: str, following: int | None) -> Response:
    return render("registrar/people.html", rows=rows, q=q, following=following, roles=_roles())


def _accounts(person_id: int) -> Sequence[Any]:
    return account_repository.page("person_id", person_id, 0, 200) or ()


def _roles() -> dict[str, str]:
    return {role: _(text) for role, text in ROLES.items()}


def _values(form: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: form[name] for name in ("name", "email", "external_id")},
        "roles": list(dict.fromkeys(form["roles"])),
    }


def _change_advised(person_id: int, change: Callable[[set[int]], set[int]], context: RequestContext) -> None:
    """Change the list by what it is under the lock, so that of two changes none is lost."""
    person = _find(person_id)
    before = _advised(person)

    def is_as_read(row: Any) -> None:
        if _advised(row) != before:
            raise PreconditionFailed(STALE)

    service.change(PEOPLE, person_id, {"advises": sorted(change(before))}, is_as_read, context)


def _advised(person: Any) -> set[int]:
    return set(person.advises)


def _tag(person: Any) -> str:
    return fingerprint([person.id, person.name, person.email, person.external_id, sorted(person.roles)])


def _find(person_id: int) -> Any:
    found = resources.find(PEOPLE.model, PersonSchema.stored(), person_id)
    if found is None:
        raise PersonNotFound
    return found
