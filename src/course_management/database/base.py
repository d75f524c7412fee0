"""The base class of the models, and the engine and sessions of an application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.orm import DeclarativeBase

PACKAGE = Path(__file__).parent.parent


def migrations_folder(package: Path = PACKAGE) -> Path:
    """Return the folder of the migrations: inside the installed `package`, or in its checkout."""
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent.parent / "migrations"


SCHEMA_REVISION = max(path.name[:4] for path in migrations_folder().glob("versions/[0-9]*.py"))
"""The migration this code is written for, the newest one: `/readyz` compares it with the database."""


class Base(DeclarativeBase):
    """Base of the models. Every constraint has a name, because refusals are recognized by it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, which rounds `pool_timeout` to whole seconds, with fractions of a second."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:  # noqa: ARG002
        return create_engine(**options)


# Objects are read after the commit: without this, each would be loaded again.
db = Database(model_class=Base, session_options={"expire_on_commit": False})
