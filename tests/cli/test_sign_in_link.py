"""People who sign in to the pages with a link: the commands that let the first registrar in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from ..support.fixture_types import Make

Run = Callable[..., Result]
ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


def sign_in(app: Flask, link: str) -> FlaskClient:
    """Use a link in a new browser."""
    browser = FlaskClient(app, app.response_class)
    assert browser.post(urlsplit(link.strip()).path, headers=ORIGIN).status_code == 303
    return browser


def test_after_the_first_key_a_registrar_signs_in_as_the_command_says(run: Run, make_app: Callable[..., Flask]) -> None:
    key = run("keys", "create", "--name", "portal", "--scope", "admin")
    person = run("people", "create", "--name", "Grace Hopper", "--role", "registrar")
    link = run("sign-in-link", "--person", person.stdout.strip())

    assert "course-management people create --name NAME --role registrar" in key.stderr
    assert link.stdout.startswith("http://127.0.0.1:8000/app/sign-in/")
    assert "it works once, for ten minutes" in link.stderr
    assert sign_in(make_app(), link.stdout).get("/app/registrar").status_code == 200


def test_a_student_signs_in_at_the_public_address(
    run: Run, make_app: Callable[..., Flask], student: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = student()
    run("keys", "create", "--name", "portal", "--scope", "admin")
    monkeypatch.setenv("BASE_URL", "https://school.example/enrollment")

    link = run("sign-in-link", "--student", ada)

    assert link.stdout.startswith("https://school.example/enrollment/app/sign-in/")
    assert sign_in(make_app(), link.stdout).get("/enrollment/app/my-courses").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("sign-in-link", "--person", 7), 1, "There is no person 7."),
        (("sign-in-link", "--student", 7), 1, "There is no student 7."),
        (("sign-in-link",), 2, "Give either --person or --student."),
        (("sign-in-link", "--person", 1, "--student", 1), 2, "Give either --person or --student."),
        (("people", "create", "--name", " "), 2, "--name: Must not be empty."),
    ],
    ids=str,
)
def test_what_is_impossible_is_refused_in_a_sentence(
    run: Run, arguments: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    result = run(*arguments)

    assert (result.exit_code, sentence in result.output, "Traceback" in result.output) == (exit_code, True, False)
