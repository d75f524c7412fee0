"""Prepared statements of PostgreSQL survive lost sessions, migrations and poolers."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from course_management.database.compile import compile_statement
from course_management.database.execute import _name
from course_management.repositories.enrollments import HELD

from ..support.fixture_types import Enroll, Held, Make, Sql


@pytest.fixture(autouse=True)
def only_postgresql(backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite's statements are the driver's, and prepared anew when the schema has changed")


def on_the_pooled_connection(engine: Engine, statement: str) -> None:
    with engine.connect().execution_options(autocommit=True) as connection:
        connection.exec_driver_sql(statement)


def test_a_session_that_has_lost_its_statements_is_replaced(
    engine: Engine, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    """As after a pooler's DISCARD ALL."""
    ada, programming, logic = student(), course(), course()
    enroll(ada, programming)
    held(ada)

    on_the_pooled_connection(engine, "DEALLOCATE ALL")
    assert held(ada) == {programming: "enrolled"}

    on_the_pooled_connection(engine, "DEALLOCATE ALL")
    assert enroll(ada, logic).status_code == 201


def test_a_running_service_survives_a_migration(
    client: FlaskClient, sql: Sql, student: Make, course: Make, enroll: Enroll
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)
    assert client.get(f"/students/{ada}/courses").status_code == 200

    sql("ALTER TABLE courses ALTER title TYPE varchar(300)")

    assert client.get(f"/students/{ada}/courses").get_json()["courses"][0]["title"] == "Programming"


def test_a_transaction_with_a_lost_statement_is_tried_again(
    client: FlaskClient, engine: Engine, student: Make, course: Make, held: Held
) -> None:
    ada, programming, logic = student(), course(), course()
    put = client.put(f"/students/{ada}/enroll", json={"course_ids": [programming]})
    assert put.status_code == 200

    on_the_pooled_connection(engine, "DEALLOCATE ALL")

    assert client.put(f"/students/{ada}/enroll", json={"course_ids": [logic]}).status_code == 200
    assert held(ada) == {logic: "enrolled"}


def test_a_statement_that_a_pooler_has_prepared_for_another_client_is_used(
    engine: Engine, student: Make, course: Make, enroll: Enroll, held: Held
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)
    statement = compile_statement(HELD, "postgresql", ("id",)).text
    on_the_pooled_connection(engine, "DEALLOCATE ALL")
    on_the_pooled_connection(engine, f'PREPARE "{_name(statement).decode()}" AS {statement}')
    with engine.connect() as connection:
        connection.info.pop("prepared")

    assert held(ada) == {programming: "enrolled"}
