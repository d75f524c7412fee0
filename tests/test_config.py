"""Settings: each with a meaning and a check; what is wrong is said in a plain sentence, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from course_management.config import ConfigurationError, Settings

from .databases import ROOT


def problems(**environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(environ=environ)
    return caught.value.problems


def test_without_any_setting_the_service_runs_on_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.load(environ={})

    assert settings.database_url.database == str(tmp_path / "course_management.db")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_an_empty_variable_means_the_default() -> None:
    assert Settings.load(environ={"PORT": ""}).port == 8000


def test_an_override_wins_over_the_environment() -> None:
    assert Settings.load({"PORT": 9000}, {"PORT": "8001"}).port == 9000


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_understood(scheme: str) -> None:
    url = Settings.load(environ={"DATABASE_URL": f"{scheme}://ada:secret@db/school?sslmode=require"}).database_url

    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://ada:secret@db/school?sslmode=require"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://host/db", "names the unknown database 'mysql'"),
        ("DATABASE_URL", "not a url", "is not a database URL"),
        ("DATABASE_URL", "sqlite://", "needs a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "needs a file"),
        ("DATABASE_URL", "sqlite:////no/such/place/school.db", "a directory that does not exist"),
        ("DATABASE_URL", "sqlite:////tmp", "is a directory"),
        ("PORT", "abc", "'abc', which is not a whole number"),
        ("PORT", "70000", "70000, which is not between 1 and 65535"),
        ("LOG_LEVEL", "loud", "'loud', which is none of debug, info, warning, error"),
        ("HOST", "  ", "is empty"),
    ],
)
def test_a_wrong_setting_is_a_plain_sentence(name: str, value: str, sentence: str) -> None:
    (problem,) = problems(**{name: value})

    assert problem.startswith(f"{name} ")
    assert sentence in problem


def test_everything_wrong_is_said_at_once() -> None:
    assert len(problems(PORT="0", THREADS="none", LOG_FORMAT="xml")) == 3


def test_the_example_file_lists_every_setting_at_its_default() -> None:
    example = (ROOT / ".env.example").read_text()

    assert example.endswith(Settings.example())
    assert all(f"#{name.upper()}=" in example for name in Settings.__dataclass_fields__)


def test_an_options_parameter_of_the_url_is_kept() -> None:
    from course_management.database.connections import postgresql_arguments  # noqa: PLC0415

    settings = Settings.load(environ={"DATABASE_URL": "postgresql://db/s?options=-csearch_path%3Dschool"})

    assert postgresql_arguments(settings)["options"].startswith("-csearch_path=school -c ")
