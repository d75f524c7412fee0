"""`course-management sign-in-link`: a link with which somebody signs in to the pages once."""

from __future__ import annotations

import click
from sqlalchemy.exc import IntegrityError

from ..access import sessions
from ..access.sessions import Owner
from ..config import Settings
from .service import service


@click.command("sign-in-link")
@click.option("--person", "person_id", type=click.IntRange(1), help="The id of a member of the staff.")
@click.option("--student", "student_id", type=click.IntRange(1), help="The id of a student.")
def sign_in_link(person_id: int | None, student_id: int | None) -> None:
    """Create a link that signs a person or a student in to the pages. It works once, within ten minutes."""
    if (person_id is None) == (student_id is None):
        raise click.UsageError("Give either --person or --student.")
    settings = Settings.load()
    with service("warning"):
        try:
            code = sessions.create_link(Owner(person_id, student_id))
        except IntegrityError:
            who = f"person {person_id}" if person_id else f"student {student_id}"
            raise click.ClickException(f"There is no {who}.") from None
    base = settings.base_url or f"http://{'127.0.0.1' if settings.host == '*' else settings.host}:{settings.port}"
    click.echo(f"{base}/app/sign-in/{code}")
    click.echo("Give this link only to the person who signs in with it: it works once, for ten minutes.", err=True)
