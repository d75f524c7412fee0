"""The table of mutants follows the code; `tests/slow/test_proof.py` runs one of them."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from .mutants import MUTANTS, edited

SCHEMA = "SELECT name, sql FROM sqlite_schema ORDER BY name"


@pytest.mark.parametrize("name", MUTANTS)
def test_each_guard_is_where_the_table_of_mutants_says(name: str) -> None:
    mutant = MUTANTS[name]

    assert mutant.statements or edited(mutant)


@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if mutant.statements])
def test_each_guard_of_the_database_is_where_the_table_of_mutants_says(name: str, backend: str, database: URL) -> None:
    engine = create_engine(database, poolclass=NullPool)

    with engine.connect() as connection:
        before = connection.exec_driver_sql(SCHEMA).all() if backend == "sqlite" else None
        for statement in MUTANTS[name].statements[backend]:  # PostgreSQL refuses one that finds nothing
            connection.exec_driver_sql(statement)
        after = connection.exec_driver_sql(SCHEMA).all() if backend == "sqlite" else None

    assert before is None or before != after
