"""`course-management people`: the people and students that the subjects of tokens stand for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from marshmallow import ValidationError

from ..config import ConfigurationError, Settings
from ..context import RequestContext
from ..database import AnyRow
from ..errors import Problem
from ..repositories.accounts import all_accounts
from ..schemas.people import PersonSchema
from ..services import people as services
from ..services import resources
from .service import service


@click.group()
def people() -> None:
    """People with tokens: which student or member of the staff each subject is. Changes count within 5 seconds."""


def _of_issuer(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the issuer and an application context. A refusal becomes an error message and exit code 1."""

    @click.option("--subject", required=True, help="The `sub` of the person's tokens.")
    @click.option("--issuer", help="The `iss` of the tokens; default: OIDC_ISSUER.")
    @wraps(command)
    def run(*, issuer: str | None, **options: Any) -> None:
        issuer = issuer or Settings.load().oidc_issuer
        if not issuer:
            raise ConfigurationError(["OIDC_ISSUER is not set; give --issuer."])
        with service("warning"):
            try:
                command(issuer, **options)
            except (services.PersonConflict, Problem) as error:
                raise click.ClickException(str(error)) from None

    return run


@people.command()
@click.option("--name", required=True, help="The name that others see.")
@click.option("--role", "roles", multiple=True, type=click.Choice(["advisor", "registrar"]), help="May be repeated.")
def create(name: str, roles: tuple[str, ...]) -> None:
    """Create a person without an account, who signs in with a link (`sign-in-link`), and show the id."""
    try:
        values = PersonSchema(only=["name", "roles"]).load({"name": name, "roles": list(roles)})
    except ValidationError as error:
        raise click.UsageError(f"--name: {' '.join(error.messages_dict['name'])}") from None
    with service("warning"):
        person = resources.create(services.PERSON_RESOURCE, values, RequestContext())
    click.echo(person.id)


@people.command()
@click.option("--student", required=True, type=click.IntRange(1), help="The student's id.")
@_of_issuer
def student(issuer: str, subject: str, student: int) -> None:
    """Link a subject to a student."""
    services.link_student(issuer, subject, student)
    click.echo(f"{subject} is student {student}.")


@people.command()
@click.option("--role", required=True, type=click.Choice(["advisor", "registrar"]))
@click.option("--name", help="The name of a new person; default: the subject.")
@_of_issuer
def staff(issuer: str, subject: str, role: str, name: str | None) -> None:
    """Give a subject a role. A person may have both roles; a new subject becomes a new person."""
    services.appoint(issuer, subject, role, name)
    click.echo(f"{subject} is {role}.")


@people.command()
@click.option("--student", required=True, type=click.IntRange(1), help="The student's id.")
@click.option("--stop", is_flag=True, help="Remove the advisor instead.")
@_of_issuer
def advise(issuer: str, subject: str, student: int, stop: bool) -> None:
    """Make a subject the advisor of a student."""
    if not stop:
        services.advise(issuer, subject, student)
        click.echo(f"{subject} advises student {student}.")
    elif services.stop_advising(issuer, subject, student):
        click.echo(f"{subject} no longer advises student {student}.")
    else:
        raise click.ClickException(f"{subject} does not advise student {student}.")


@people.command()
@_of_issuer
def remove(issuer: str, subject: str) -> None:
    """Delete the account of a subject: its tokens are refused from then on."""
    if not services.delete_account(issuer, subject):
        raise click.ClickException(f"{subject} has no account.")
    click.echo(f"Deleted the account of {subject}.")


@people.command("list")
def list_people() -> None:
    """List the accounts, with the people and students that they belong to."""
    with service("warning"):
        for account in all_accounts():
            click.echo(f"{account.subject}  {_what(account)}  {account.issuer}")


def _what(account: AnyRow) -> str:
    if account.role is None:
        return f"student {account.student_id}" if account.student_id else f"person {account.person_id}"
    return f"advisor of {account.advised}" if account.role == "advisor" else str(account.role)
