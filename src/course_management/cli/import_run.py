"""One import at a time, with a progress bar where somebody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from ..background.lease import LEASE_S, RENEW_S, TRY_S, Lease, lease_of
from ..database import db

ANOTHER = "Another import is running on this database. Wait until it has ended, and import again."


class Run:
    """Holds the lease of imports, which an import that was killed keeps for some seconds, and shows the progress."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._renew_at = 0.0
        self._phase: str | None = None
        self._bar: Any = None

    def take(self) -> None:
        """Wait for the lease of an import that was killed. Raises `ClickException` if another import is running."""
        until = time.monotonic() + LEASE_S + TRY_S
        while not self._lease.acquire():
            if time.monotonic() > until:
                raise click.ClickException(ANOTHER)
            time.sleep(0.2)
        self._renew_at = time.monotonic() + RENEW_S

    def progress(self, phase: str, rows: int, total: int) -> None:
        """Show that rows of a phase were done, of so many (0: unknown). Raises `ClickException` as `take` does.

        Nothing depends on the lease but the report: each transaction of an import is safe beside another one.
        """
        if time.monotonic() > self._renew_at:
            if not self._lease.acquire():
                raise click.ClickException(ANOTHER)
            self._renew_at = time.monotonic() + RENEW_S
        if not sys.stderr.isatty():
            return
        if phase != self._phase:
            self.end()
            self._phase = phase
            if total:
                self._bar = click.progressbar(length=total, label=f"{phase:10}", file=sys.stderr).__enter__()
            else:
                click.echo(f"{phase} ...", err=True)
        if self._bar:
            self._bar.update(rows)

    def end(self) -> None:
        """End the bar of a phase."""
        if self._bar:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def release(self) -> None:
        """Return the lease."""
        self.end()
        with suppress(SQLAlchemyError):
            self._lease.release()


@contextmanager
def run_of_import() -> Iterator[Run]:
    """Let one import at a time pass. If it is interrupted, say what to do."""
    run = Run(lease_of(db.engine.url, "import"))
    run.take()
    try:
        yield run
    except (SQLAlchemyError, KeyboardInterrupt):
        run.end()
        click.echo("The import was interrupted. Give the same command again: it goes on where it stopped.", err=True)
        raise
    finally:
        run.release()
