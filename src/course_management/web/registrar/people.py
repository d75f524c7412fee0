"""The staff: names, roles, the students whom they advise, and the accounts with which they sign in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, current_app, request
from marshmallow import Schema
from marshmallow.fields import Integer, String
from marshmallow.validate import Length, Range

from ...access.policy import PageAccess
from ...context import RequestContext
from ...database.types import MAX_ID
from ...errors import AccountNotFound, PersonNotFound, PreconditionFailed
from ...repositories import accounts as account_repository
from ...repositories import resources
from ...repositories.student_names import students_by_name
from ...schemas.fields import Id
from ...schemas.people import AccountBody, PersonSchema
from ...services import accounts
from ...services import resources as service
from ...services.accounts import PERSON
from ...services.people import PERSON_RESOURCE
from ..field_forms import FieldForm
from ..forms import EntryForm
from ..pages import AppPages, Form, redirect, render
from ..texts import N_, _

pages = AppPages("registrar_people", area=N_("Registrar"))
MANAGE_ACCESS = PageAccess(scope="admin")
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


class AdviseeForm(Schema):
    """A student whom the person advises from now on, or no longer."""

    student_id = Id(required=True)


FORM = FieldForm(
    PersonSchema,
    {
        "name": N_("Name"),
        "given_name": N_("Given name"),
        "family_name": N_("Family name"),
        "email": N_("E-mail"),
        "external_id": N_("Id in another system"),
        "student_id": N_("Id as a student"),
        "roles": N_("Roles"),
    },
    {
        "email": N_("To write to the person. Nobody signs in with it: for that, link an account."),
        "external_id": N_("Such as the id in the student information system."),
        "student_id": N_("Only if the person is a student as well."),
        "roles": N_("Instructors need no role: the instructors of a course are on the page of the course."),
    },
    {"roles": lambda: [*_roles().items()]},
)
ADVISEE = FieldForm(AdviseeForm, {"student_id": N_("Id of the student")}, prefix="advisee-")
ACCOUNT = FieldForm(
    AccountBody,
    {"issuer": N_("Issuer"), "subject": N_("Subject")},
    {
        "issuer": N_("Exactly as in the tokens."),
        "subject": N_("The id of the account at the issuer, exactly as in the tokens."),
    },
)


@pages.show(PATH, MANAGE_ACCESS, query=ListQuery, link=N_("People"))
def show_people(query: Mapping[str, Any]) -> Response:
    """Show the staff, by id."""
    rows = resources.page(PERSON_RESOURCE.model, PersonSchema.stored(), query["after"], SHOWN + 1, {})
    following = rows[SHOWN - 1].id if len(rows) > SHOWN else None
    return _people(rows[:SHOWN], "", following)


@pages.act(f"{PATH}/search", MANAGE_ACCESS, form=SearchForm)
def search_people(form: Mapping[str, Any]) -> Response:
    """Show the people who were found."""
    filters = {"q": form["q"].strip()} if form["q"].strip() else {}
    return _people(resources.page(PERSON_RESOURCE.model, PersonSchema.stored(), 0, SHOWN, filters), form["q"], None)


@pages.act(PATH, MANAGE_ACCESS, form=FORM, page=show_people)
def create_person(form: Mapping[str, Any], context: RequestContext) -> Response:
    """Create a person."""
    person = service.create(PERSON_RESOURCE, {**form, "advises": []}, context)
    sentence = _("%(name)s is one of the staff now. Add an account to sign in with.", name=person.name)
    return redirect(f"{PATH}/{person.id}", f"{sentence} {_others(person)}".strip())


@pages.show(ONE, MANAGE_ACCESS)
def show_person(person_id: int) -> Response:
    """Show a person, with roles, students and accounts."""
    person = _find(person_id)
    issuer = current_app.extensions["settings"].oidc_issuer
    return render(
        "registrar/person.html",
        person=person,
        form=FORM.shown(person),
        account_form=ACCOUNT.shown(values={"issuer": issuer or ""}),
        advisee_form=ADVISEE.shown(),
        advised=students_by_name(sorted(person.advises)),
        accounts=_accounts(person_id),
    )


@pages.act(ONE, MANAGE_ACCESS, form=FORM.of_changes, page=show_person)
def change_person(form: Mapping[str, Any], person_id: int, context: RequestContext) -> Response:
    """Change what is stored about a person, unless somebody else has changed it since the page was shown."""
    person = service.change(PERSON_RESOURCE, person_id, form, FORM.unchanged(request.form, form), context)
    sentence = _("The person is changed. It has effect within 5 seconds.")
    return redirect(f"{PATH}/{person_id}", f"{sentence} {_others(person)}".strip())


def _others(person: Any) -> str:
    """Say who else has the e-mail address of a person: it may be a mistake, and nobody signs in with it."""
    filters = {"email": person.email}
    rows = resources.page(PERSON_RESOURCE.model, ["id", "name"], 0, SHOWN, filters) if person.email else []
    names = [_("%(name)s (id %(id)s)", name=row.name, id=row.id) for row in rows if row.id != person.id]
    if not names:
        return ""
    return _(
        "The same e-mail address has: %(names)s. Each of them signs in with an own account.", names=", ".join(names)
    )


@pages.act(f"{ONE}/advise", MANAGE_ACCESS, form=ADVISEE, page=show_person)
def advise(form: Mapping[str, Any], person_id: int, context: RequestContext) -> Response:
    """Let the person advise a student."""
    _change_advised(person_id, lambda ids: ids | {form["student_id"]}, context)
    return redirect(f"{PATH}/{person_id}", _("The person advises the student now."))


@pages.act(f"{ONE}/stop-advising", MANAGE_ACCESS, form=ADVISEE, page=show_person)
def stop_advising(form: Mapping[str, Any], person_id: int, context: RequestContext) -> Response:
    """Undo that; doing so again changes nothing."""
    _change_advised(person_id, lambda ids: ids - {form["student_id"]}, context)
    return redirect(f"{PATH}/{person_id}", _("The person no longer advises the student."))


@pages.act(f"{ONE}/accounts", MANAGE_ACCESS, form=ACCOUNT, page=show_person)
def add_account(form: Mapping[str, Any], person_id: int) -> Response:
    """Let a subject of an issuer sign in as the person."""
    accounts.add(PERSON, person_id, form["issuer"], form["subject"])
    return redirect(f"{PATH}/{person_id}", _("The account is linked. The person can sign in with it."))


@pages.show(f"{ONE}/accounts/<id:account_id>/delete", MANAGE_ACCESS)
def confirm_account_deletion(person_id: int, account_id: int) -> Response:
    """Say what is lost with an account, before it is deleted."""
    person = _find(person_id)
    found = [each for each in _accounts(person_id) if each.id == account_id]
    if not found:
        raise AccountNotFound
    return render(
        "registrar/account_delete.html", person=person, account=found[0], others=len(_accounts(person_id)) - 1
    )


@pages.act(f"{ONE}/accounts/<id:account_id>/delete", MANAGE_ACCESS)
def delete_account(person_id: int, account_id: int) -> Response:
    """Delete an account, and end the sessions that began with it."""
    accounts.remove(PERSON, person_id, account_id)
    return redirect(f"{PATH}/{person_id}", _("The account is deleted. Nobody can sign in with it any more."))


def _people(rows: Any, q: str, following: int | None) -> Response:
    form = FORM.shown()
    return render("registrar/people.html", rows=rows, q=q, following=following, roles=_roles(), form=form)


def _accounts(person_id: int) -> Sequence[Any]:
    return account_repository.page("person_id", person_id, 0, 200) or ()


def _roles() -> dict[str, str]:
    return {role: _(text) for role, text in ROLES.items()}


def _change_advised(person_id: int, change: Callable[[set[int]], set[int]], context: RequestContext) -> None:
    """Change the list by what it is under the lock, so that of two changes none is lost."""
    person = _find(person_id)
    before = _advised(person)

    def is_as_read(row: Any) -> None:
        if _advised(row) != before:
            raise PreconditionFailed

    service.change(PERSON_RESOURCE, person_id, {"advises": sorted(change(before))}, is_as_read, context)


def _advised(person: Any) -> set[int]:
    return set(person.advises)


def _find(person_id: int) -> Any:
    found = resources.find(PERSON_RESOURCE.model, PersonSchema.stored(), person_id)
    if found is None:
        raise PersonNotFound
    return found
