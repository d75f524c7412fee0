"""Settings: each has a meaning and a check, and all errors are reported at once in sentences."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine

from course_management.config import ConfigurationError, Settings
from course_management.database_urls import database_url
from course_management.urls import without_password


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
    ("hosts", "parameters"),
    [
        ("u:p%2Cw@db1:5433,db2/school?sslmode=require", {"host": "db1,db2", "port": "5433,5432", "sslmode": "require"}),
        ("db1,db2", {"host": "db1,db2", "port": "5432,5432"}),
        ("[::1]:5433,[::2]/school", {"host": "::1,::2", "port": "5433,5432"}),
        ("u@/school?host=db1:5433&host=db2", {"host": "db1,db2", "port": "5433,5432"}),
        ("u@/school?host=[::1]:5433&host=/run/postgresql", {"host": "::1,/run/postgresql", "port": "5433,5432"}),
        ("u@/school?host=db1,db2&port=5433,5432", {"host": "db1,db2", "port": "5433,5432"}),
    ],
)
def test_every_way_to_write_several_hosts_is_understood(hosts: str, parameters: dict[str, str]) -> None:
    url = database_url(f"postgresql://{hosts}")
    assert (url.host, url.port, dict(url.query)) == (None, None, parameters)
    [_, for_libpq] = create_engine(url).dialect.create_connect_args(url)
    assert (for_libpq["host"], for_libpq["port"]) == (parameters["host"], parameters["port"])


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ("db1:5432,db2:99999/school", "a port that is not between 1 and 65535"),
        ("db1:5432,db2:x/school", "a host that cannot be read"),
        ("/school?host=db1,db2&port=1,2,3", "another number of ports than of hosts"),
        ("/school?host=db1:1&host=db2:2&port=3", "in two ways"),
        ("db1/school?host=db2", "in two ways"),
        ("db1,db2/school?port=5432", "in two ways"),
    ],
)
def test_hosts_that_cannot_be_read_are_a_sentence(hosts: str, sentence: str) -> None:
    (problem,) = problems(DATABASE_URL=f"postgresql://{hosts}")
    assert sentence in problem


def test_the_time_zone_is_a_zone_of_the_iana_database() -> None:
    assert Settings.load(environ={}).time_zone == ZoneInfo("UTC")
    assert Settings.load(environ={"TIME_ZONE": "America/Chicago"}).time_zone == ZoneInfo("America/Chicago")


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
        ("TIME_ZONE", "Europe/Berlni", "no IANA time zone, such as Europe/Berlin; use Europe/Berlin"),
        ("TIME_ZONE", "Europe", "'Europe', which is no IANA time zone"),
        ("TIME_ZONE", "../../etc/passwd", "which is no IANA time zone"),
        ("TIME_ZONE", "+02:00", "which is no IANA time zone"),
    ],
)
def test_a_wrong_setting_is_reported_in_a_sentence(name: str, value: str, sentence: str) -> None:
    (problem,) = problems(**{name: value})

    assert problem.startswith(f"{name} ")
    assert sentence in problem


CANARY = "Tw33ty"
ADDRESSES = {
    "DATABASE_URL": ("postgresql", "sqlite", "mysql"),
    "RATELIMIT_STORAGE_URI": ("redis", "rediss", "redis+unix", "memory", "redisx", "memcached"),
    "OIDC_ISSUER": ("https", "http"),
    "OIDC_JWKS_URL": ("https", "ftp"),
    "CORS_ORIGINS": ("https", "http"),
}
MALFORMED = [
    "u:Tw33ty@h",
    "scheme://u:Tw33ty@h1:1,h2:x/1",
    "scheme://u:12,Tw33ty/b@h1:1,h2/1",
    "scheme://u:Tw33ty@h1,Tw33ty@h2/1",
    "scheme:u:Tw33ty@h",
    "scheme:/u:Tw33ty@h",
    "scheme://u:Tw33ty@h:port/1",
    "scheme://u:Tw33ty@h:99999/1",
    "scheme://u:Tw33ty@h:-1/1",
    "scheme://u:Tw33ty@[::1/1",
    "scheme://u:Tw33ty@[::1]]:1:2/1",
    "scheme://u:Tw33ty@[nonsense]/1",
    "scheme://u:a/Tw33ty@h/1",
    "scheme://u:a@Tw33ty@h/1",
    "scheme://u:a#Tw33ty@h/1",
    "scheme://u:a?Tw33ty@h/1",
    "scheme://u:a Tw33ty@h/1",
    "scheme://u:a[Tw33ty@h/1",
    "scheme://u:a\nTw33ty@h/1",
    "scheme://u:éTw33ty@bücher.example/1",
    "scheme://u:%zzTw33ty@h/1",
    "scheme://Tw33ty",
    "scheme://u:Tw33ty@",
    "scheme://u:Tw33ty@h/a?nonsense=Tw33ty",
    "scheme://u:Tw33ty@h/1?socket_timeout=Tw33ty",
    "scheme://u:Tw33ty@h?password=Tw33ty",
    "scheme://u:Tw33ty@h/\x00",
    "scheme://u:Tw33ty@\N{FULLWIDTH FULL STOP}h",
    " scheme://u:Tw33ty@h ",
]


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize(("name", "scheme"), [(name, each) for name, all_ in ADDRESSES.items() for each in all_])
def test_no_sentence_about_an_address_repeats_its_password(name: str, scheme: str, value: str) -> None:
    value = value.replace("scheme", scheme)
    sentences, said = [], ""
    try:
        said = without_password(Settings.load({"OIDC_AUDIENCE": "courses"}, {name: value}).database_url)
    except ConfigurationError as error:
        sentences, said = error.problems, "".join(traceback.format_exception(error))

    assert all(each.startswith((f"{name} ", "OIDC_ISSUER, ")) and each.endswith(".") for each in sentences)
    # A host may be called anything; what stands where a password may stand is not shown.
    assert CANARY not in said or f"//{CANARY}" in value


def test_a_wrong_setting_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "course-management"), "serve"]
    environ = {**os.environ, "RATELIMIT_STORAGE_URI": f"redisx://u:{CANARY}@h"}

    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("RATELIMIT_STORAGE_URI must begin with memory://, redis://, rediss:// or redis+unix://.\n")


@pytest.mark.parametrize(
    "value",
    [
        "redisx://h",
        "memcached://h:11211",
        "mongodb://h",
        "etcd://h:2379",
        "redis+cluster://h:6379",
        "redis+sentinel://h:26379/mymaster",
        "valkey://h",
        "async+redis://h",
        "h:6379",
        "redis",
    ],
)
def test_rate_limits_are_counted_only_where_this_service_can(value: str) -> None:
    (problem,) = problems(RATELIMIT_STORAGE_URI=value)
    assert "must begin with memory://, redis://, rediss:// or redis+unix://" in problem


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("redis://", "names no host"),
        ("redis://h/db", "a database of Redis that is not a number"),
        ("redis://h?foo=1", "has a parameter that Redis does not know"),
        ("redis://h?socket_timeout=soon", "with a wrong value"),
        ("rediss://h?ssl_cert_reqs=perhaps", "with a wrong value"),
        ("redis://h:6379x", "is not a well-formed URL"),
        ("redis://h:0", "is not a well-formed URL"),
        ("redis://[::1", "is not a well-formed URL"),
        ("redis://u:p@ss@h", "%40 for @"),
        ("redis://u:p ss@h", "has a space"),
        ("redis://bücher.example", "not ASCII"),
    ],
)
def test_a_wrong_address_of_redis_is_a_sentence(value: str, sentence: str) -> None:
    (problem,) = problems(RATELIMIT_STORAGE_URI=value)
    assert problem.startswith("RATELIMIT_STORAGE_URI ")
    assert sentence in problem


@pytest.mark.parametrize(
    "value",
    [
        "memory://",
        "redis://h",
        "redis://:pa%40ss@h:6379/2",
        "redis://u:p@[::1]:6379/0?socket_timeout=1",
        "rediss://u:p@h?ssl_cert_reqs=none",
        "redis+unix:///run/redis.sock",
    ],
)
def test_an_address_where_rate_limits_can_be_counted(value: str) -> None:
    assert Settings.load(environ={"RATELIMIT_STORAGE_URI": value}).ratelimit_storage_uri == value


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OIDC_ISSUER", "login.example.edu", "is not a URL"),
        ("OIDC_ISSUER", "file:///etc/passwd", "is not a URL"),
        ("OIDC_ISSUER", "https://", "is not a URL"),
        ("OIDC_ISSUER", "http://login.example.edu", "must begin with https"),
        ("OIDC_ISSUER", "https://u@login.example.edu", "has a user name or password"),
        ("OIDC_JWKS_URL", "https://login.example.edu:port/keys", "is not a well-formed URL"),
        ("OIDC_JWKS_URL", "https://bücher.example/keys", "xn--"),
        ("CORS_ORIGINS", "https://a.example, https://b.example/path", "not an origin (number 2)"),
        ("CORS_ORIGINS", "https://a.example?x", "not an origin (number 1)"),
        ("CORS_ORIGINS", "https://*.example", "not an origin"),
        ("CORS_ORIGINS", "https://u@a.example", "not an origin"),
        ("CORS_ORIGINS", "https://a.example:port", "is not a well-formed URL"),
        ("DATABASE_URL", "postgresql://h:99999/db", "names a port"),
        ("DATABASE_URL", "postgresql://h:port/db", "percent-encoded"),
    ],
)
def test_a_wrong_address_is_a_sentence(name: str, value: str, sentence: str) -> None:
    problem = next(each for each in problems(**{name: value}) if each.startswith(f"{name} "))
    assert sentence in problem


def test_a_password_in_the_parameters_of_the_database_is_not_shown() -> None:
    url = database_url(f"postgresql://u:{CANARY}@h/db?password={CANARY}&sslpassword={CANARY}&sslmode=require")
    assert without_password(url) == "postgresql://u:***@h/db?sslmode=require"


def test_everything_wrong_is_said_at_once() -> None:
    assert len(problems(PORT="0", THREADS="none", LOG_FORMAT="xml")) == 3


def test_an_options_parameter_of_the_url_is_kept() -> None:
    from course_management.database.session_settings import service_arguments  # noqa: PLC0415

    settings = Settings.load(environ={"DATABASE_URL": "postgresql://db/s?options=-csearch_path%3Dschool"})

    assert " -csearch_path=school -c " in service_arguments(settings)["options"]
