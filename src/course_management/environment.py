"""The sources of settings: the environment, and the file `.env` with one NAME=value per line.

python-dotenv parses the lines. Values are literal: a password may contain `${USER}`. A line that python-dotenv would
skip (not NAME=value, a repeated name) is an error, and a misspelled name is reported, because silently ignoring a
setting can mean a service on the wrong database.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream

ENV_FILE = Path(".env")
"""In the working directory."""
OF_LIBRARIES = re.compile(
    r"PG[A-Z]+|SSL_CERT_(FILE|DIR)|(HTTPS?|NO)_PROXY|TZ|FLASK_DEBUG|TEST_DATABASE_URL", re.IGNORECASE
)
"""Names that libpq, OpenSSL, Python, Flask or the tests read from the environment."""
NEAR = 0.85
"""Similarity (`difflib`, 0 to 1) from which on an environment variable counts as a misspelled setting."""
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The content of a file: values and line numbers by name, and a sentence for each problem."""

    values: Mapping[str, str]
    lines: Mapping[str, int]
    problems: Sequence[str]


def env_file() -> EnvFile:
    """Read the settings in `.env`; none if PYTHON_DOTENV_DISABLED is set, as with python-dotenv."""
    disabled = os.environ.get("PYTHON_DOTENV_DISABLED", "").lower() in {"1", "true", "t", "yes", "y"}
    return EnvFile({}, {}, []) if disabled else read(ENV_FILE)


def completed_by(file: EnvFile) -> Mapping[str, str]:
    """Add missing variables from the file to the environment, where libraries and worker processes read them."""
    for name, value in file.values.items():
        os.environ.setdefault(name, value)
    return os.environ


def misspelled(settings: Sequence[str]) -> list[str]:
    """Return a sentence for each name without effect: unknown ones in `.env`, near misses in the environment.

    Most variables of the environment belong to other programs, so only names close to a setting that is not set count.
    """
    return [*_misspelled_in_file(settings), *_misspelled_in_environment(settings)]


def _misspelled_in_file(settings: Sequence[str]) -> Iterator[str]:
    for name, line in env_file().lines.items():
        if name not in settings and not OF_LIBRARIES.fullmatch(name):
            shown = name if re.fullmatch(r"\w{1,40}", name) else "this name"  # it may be part of a pasted secret
            yield f"{ENV_FILE}, line {line}: {shown} " + _no_effect(get_close_matches(name.upper(), settings, 1))


def _misspelled_in_environment(settings: Sequence[str]) -> Iterator[str]:
    for name in sorted(os.environ.keys() - env_file().lines.keys() - set(settings)):
        closest = get_close_matches(name.upper(), settings, 1, NEAR)
        if closest and closest[0] not in os.environ and not OF_LIBRARIES.fullmatch(name):
            yield f"The environment variable {name} " + _no_effect(closest)


def _no_effect(closest: Sequence[str]) -> str:
    return " ".join(["is not a setting and has no effect.", *(f"Did you mean {name}?" for name in closest)])


def read(path: Path) -> EnvFile:
    """Read a file. A missing file is empty; a problem never quotes a value."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _only(f"{path} is a link to a file that does not exist.") if path.is_symlink() else EnvFile({}, {}, [])
    except IsADirectoryError:
        return _only(f"{path} is a directory. It must be a text file with the settings, or absent.")
    except OSError as error:
        return _only(f"{path} cannot be read: {error.strerror}.")
    if content.startswith(UTF_16) or b"\0" in content:
        return _only(f"{path} is not UTF-8 text (it looks like UTF-16). Save it in the encoding UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _only(f"{path}, line {line}: this is not UTF-8 text. Save the file in the encoding UTF-8.")
    return _parse(path, text)


def _only(problem: str) -> EnvFile:
    return EnvFile({}, {}, [problem])


def _parse(path: Path, text: str) -> EnvFile:
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    for binding in parse_stream(io.StringIO(text, newline="")):
        line = _first_line(binding)
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(f"{path}, line {line}: this is not NAME=value. Check the = and the quotes.")
        elif binding.key is None or binding.value is None:
            continue  # a comment, or empty lines
        elif binding.key in lines:
            problems.append(
                f"{path}, line {line}: {binding.key} is set in line {lines[binding.key]} already. Remove one."
            )
        else:
            values[binding.key], lines[binding.key] = binding.value, line
    return EnvFile(values, lines, problems)


def _first_line(binding: Binding) -> int:
    """Return the line of a binding; python-dotenv counts the empty lines before it as part of it."""
    text = binding.original.string
    before = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(re.findall(r"\r\n|\n|\r", before))
