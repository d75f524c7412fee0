"""Statements are compiled once for all engines of a backend."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from course_management.database.compile import compile_statement


def test_a_second_engine_compiles_nothing(make_app: Callable[..., Flask]) -> None:
    """A service of many schools has an engine for each, and room for the statements of one."""

    def compiled_for(name: str) -> int:
        client = make_app().test_client()
        student = client.post("/students", json={"name": name, "email": f"{name}@example.edu"}).get_json()["id"]
        course = client.post("/courses", json={"code": name, "title": "Programming"}).get_json()["id"]
        assert client.post(f"/students/{student}/enroll", json={"course_id": course}).status_code == 201
        assert client.get(f"/students/{student}/courses").status_code == 200
        return compile_statement.cache_info().misses

    compile_statement.cache_clear()
    assert 0 < compiled_for("ada") == compiled_for("bob")
