"""Settings from the environment and `.env`: values are read literally, and names without effect are reported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from alembic import command
from alembic.config import Config
from click.testing import CliRunner

from course_management import cli, create_app
from course_management.config import ConfigurationError, Settings

from .support.databases import ROOT

Write = Callable[[bytes | str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the `.env` of the working directory; without any other setting in the environment."""
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        del os.environ["PYTHON_DOTENV_DISABLED"]

        def write_file(content: bytes | str) -> None:
            Path(".env").write_bytes(content.encode() if isinstance(content, str) else content)

        yield write_file


def problems() -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    return caught.value.problems


# --- values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["a${USER}b", "a$USER", "${NOT_SET}", "a$$b", "${A:-b}", "a%24b"])
def test_nothing_is_replaced_inside_a_value(write: Write, password: str) -> None:
    write(f"DATABASE_URL=postgresql://u:{password}@h/d\n")

    assert Settings.load().database_url.password == password.replace("%24", "$")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("OIDC_AUDIENCE=abc", "abc"),
        ("OIDC_AUDIENCE = abc  ", "abc"),
        ("export OIDC_AUDIENCE=abc", "abc"),
        ("OIDC_AUDIENCE=abc # a comment", "abc"),
        ("OIDC_AUDIENCE=a#b", "a#b"),
        ("OIDC_AUDIENCE='a # b'", "a # b"),
        ('OIDC_AUDIENCE="a # b"  # a comment', "a # b"),
        (r"OIDC_AUDIENCE='a\nb'", r"a\nb"),
        ("\ufeffOIDC_AUDIENCE=abc", "abc"),
        ("# first\r\n\r\nOIDC_AUDIENCE=abc\r\nPORT=8001\r\n", "abc"),
        ("OIDC_AUDIENCE=caf\u00e9", "caf\u00e9"),
    ],
)
def test_a_line_is_read_as_the_readme_says(write: Write, line: str, value: str) -> None:
    write(f"{line}\nOIDC_ISSUER=https://issuer\nOIDC_JWKS_URL=https://issuer/keys\n")

    assert Settings.load().oidc_audience == value


def test_the_environment_wins_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("PORT=8001\nTHREADS=5\n")
    monkeypatch.setenv("PORT", "8002")

    settings = Settings.load()

    assert (settings.port, settings.threads) == (8002, 5)


def test_a_variable_of_libpq_in_the_file_reaches_libpq(write: Write) -> None:
    write("PGSSLROOTCERT=/srv/school/ca.pem\n")

    Settings.load()

    assert os.environ["PGSSLROOTCERT"] == "/srv/school/ca.pem"
    assert Settings.misspelled() == []


# --- files that cannot be read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("PORT=8001\n".encode("utf-16"), "is not UTF-8 text (it looks like UTF-16)"),
        ("PORT=8001\n".encode("utf-16-be"), "is not UTF-8 text (it looks like UTF-16)"),
        (b"PORT=8001\0\n", "is not UTF-8 text"),
        (b"PORT=8001\nOIDC_AUDIENCE=caf\xe9\n", ".env, line 2: this is not UTF-8 text"),
        (b"PORT=8001\n\nDATABASE_URL\n", ".env, line 3: this is not NAME=value"),
        (b"PORT='8001\n", ".env, line 1: this is not NAME=value"),
        (b"PORT='8001' 8002\n", ".env, line 1: this is not NAME=value"),
        (b"PORT=8001\n# PORT=1\n\n  PORT=8002\n", ".env, line 4: PORT is set in line 1 already"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_as_a_sentence(write: Write, content: bytes, sentence: str) -> None:
    write(content)

    (problem,) = problems()

    assert sentence in problem


def test_a_problem_of_the_file_quotes_no_value(write: Write) -> None:
    write("OIDC_AUDIENCE 'SECRET'\nPORT=1\nPORT=SECRET\nDATABASE_URL='postgresql://u:SECRET@h/d\n")

    found = problems()

    assert len(found) == 3
    assert "SECRET" not in str(found)


@pytest.mark.usefixtures("write")
def test_a_directory_or_a_broken_link_in_place_of_the_file_is_reported_as_a_sentence() -> None:
    Path(".env").mkdir()
    assert problems() == [".env is a directory. It must be a text file with the settings, or absent."]
    Path(".env").rmdir()
    Path(".env").symlink_to("nowhere")
    assert problems() == [".env is a link to a file that does not exist."]
    Path(".env").unlink()
    Path(".env").symlink_to(".env")
    assert problems()[0].startswith(".env cannot be read: ")


def test_a_file_of_another_user_is_reported_as_a_sentence(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("PORT=8001\n")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")  # root, who may run this, can read every file

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert problems() == [".env cannot be read: Permission denied."]


@pytest.mark.usefixtures("write")
def test_no_file_means_the_defaults() -> None:
    assert Settings.load().port == 8000


def test_alembic_reads_the_same_file_and_says_the_same(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("PORT=8001\n".encode("utf-16"))

    with pytest.raises(SystemExit) as caught:
        command.upgrade(Config(ROOT / "alembic.ini"), "head")

    assert caught.value.code == 2
    assert "looks like UTF-16" in capsys.readouterr().err


# --- names without effect -------------------------------------------------------------------------------------


def test_a_misspelled_name_in_the_file_is_reported_with_its_line_and_the_closest_setting(write: Write) -> None:
    write("\nDATABSE_URL=postgresql://u:SECRET@h/d\nlog_level=debug\nCOLOR=SECRET\n")

    found = Settings.misspelled()

    assert found == [
        ".env, line 2: DATABSE_URL is not a setting and has no effect. Did you mean DATABASE_URL?",
        ".env, line 3: log_level is not a setting and has no effect. Did you mean LOG_LEVEL?",
        ".env, line 4: COLOR is not a setting and has no effect.",
    ]


def test_a_line_of_a_pasted_key_is_not_repeated(write: Write) -> None:
    write("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj==\n")

    assert Settings.misspelled() == [".env, line 1: this name is not a setting and has no effect."]


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("name", ["DATABSE_URL", "DATABASE_URI", "LOGLEVEL", "log_level", "WORKER"])
def test_a_near_miss_in_the_environment_is_reported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "SECRET")

    (sentence,) = Settings.misspelled()

    assert sentence.startswith(f"The environment variable {name} is not a setting and has no effect. Did you mean ")


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("name", ["HOSTNAME", "SSH_CONNECTION", "PGHOST", "EDITOR", "SUPPORT", "TEST_DATABASE_URL"])
def test_a_variable_of_another_program_is_not_reported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")

    assert Settings.misspelled() == []


@pytest.mark.usefixtures("write")
def test_a_near_miss_beside_the_setting_itself_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URI", "of another program")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///school.db")

    assert Settings.misspelled() == []


def test_every_command_says_that_a_name_has_no_effect(write: Write) -> None:
    write("DATABSE_URL=postgresql://u:SECRET@h/d\n")

    status, check = (CliRunner().invoke(cli.cli, [name]) for name in ("status", "check"))

    assert status.stderr.startswith("Warning: .env, line 1: DATABSE_URL is not a setting")
    assert "unsafe  .env, line 1: DATABSE_URL is not a setting" in check.stdout
    assert "SECRET" not in status.output + check.output


def test_alembic_says_that_a_name_has_no_effect(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("DATABSE_URL=postgresql://u:SECRET@h/d\nDATABASE_URL=postgresql://h/d\n")

    command.upgrade(Config(ROOT / "alembic.ini"), "head", sql=True)

    assert capsys.readouterr().err.startswith("Warning: .env, line 1: DATABSE_URL is not a setting")


def test_an_app_under_another_server_logs_that_a_name_has_no_effect(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("DATABSE_URL=postgresql://u:SECRET@h/d\n")

    create_app()

    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["problem"] == ".env, line 1: DATABSE_URL is not a setting and has no effect. Did you mean DATABASE_URL?"
