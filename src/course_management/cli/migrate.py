"""`course-management migrate`: bring the schema of the database up to date."""

from __future__ import annotations

import click

from ..database import SCHEMA_REVISION, migrations


@click.command()
def migrate() -> None:
    """Migrate the database to the schema of this version. If a migration fails, nothing is changed."""

    def announce(revision: str, title: str) -> None:
        click.echo(f"Migration {revision}: {title}")

    try:
        migrations.upgrade(announce)
    except migrations.MigrationRefused as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The database is ready for this version, whose schema is {SCHEMA_REVISION}.")
