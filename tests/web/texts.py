"""The texts of the pages, as translators get them: `make texts` writes `messages.pot`.

Texts are the arguments of `_`, `N_` and `ngettext` in the code and templates of the pages, and what the service says of
errors, rules and guarantees, which the pages translate where they show it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2.ext import babel_extract

from course_management.errors import ErrorCode, all_codes
from course_management.maintenance.verify import INVARIANTS
from course_management.services.enrollment.rules import RULES
from course_management.services.enrollment.rules.base import Rule

from ..support.databases import ROOT

WEB = ROOT / "src" / "course_management" / "web"
CATALOG = WEB / "translations" / "messages.pot"
FUNCTIONS = {"_": 1, "N_": 1, "gettext": 1, "ngettext": 2}
"""The functions that mark texts, and how many texts each takes."""
HEADER = """# Texts of the pages, written by `make texts`; docs/extending.md says how to translate them.
msgid ""
msgstr ""
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


class Text(NamedTuple):
    """A text, and its plural if it has one."""

    one: str
    many: str = ""


def texts() -> dict[Text, list[str]]:
    """Return all texts, sorted, with the places that have them."""
    places: dict[Text, list[str]] = {}
    for place, text in sorted({*_of_code(), *_of_templates(), *_of_errors()}):
        places.setdefault(text, []).append(place)
    return dict(sorted(places.items()))


def _of_code() -> Iterator[tuple[str, Text]]:
    for file in sorted(WEB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
                of_call = node.args[: FUNCTIONS[node.func.id]]
                arguments = [argument.value for argument in of_call if isinstance(argument, ast.Constant)]
                if arguments and all(isinstance(argument, str) for argument in arguments):
                    yield _place(file), Text(*map(str, arguments))


def _of_templates() -> Iterator[tuple[str, Text]]:
    options = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false", "newstyle_gettext": "true"}
    for file in sorted(WEB.rglob("*.html")):
        with file.open("rb") as stream:
            for _line, _function, message, _comments in babel_extract(stream, [*FUNCTIONS], [], options):
                parts = [message] if isinstance(message, str) else [part for part in message or () if part]
                if parts:  # otherwise the text is a variable, which is marked where it comes from
                    yield _place(file), Text(*parts[:2])


def _of_errors() -> Iterator[tuple[str, Text]]:
    codes: list[type[ErrorCode] | Rule] = [*all_codes().values(), *RULES]
    for code in codes:
        yield "errors", Text(code.title)
        yield "errors", Text(code.meaning)
    for invariant in INVARIANTS:
        yield "verify", Text(invariant.name)


def _place(file: Path) -> str:
    return str(file.relative_to(WEB))


def catalog() -> str:
    """Return the file for translators, in the format of GNU gettext."""
    entries = [HEADER]
    for text, places in texts().items():
        lines = [f"#: {' '.join(places)}"]
        if "%(" in text.one + text.many:
            lines.append("#, python-format")
        lines.append(f"msgid {_quoted(text.one)}")
        lines += [f"msgid_plural {_quoted(text.many)}", 'msgstr[0] ""', 'msgstr[1] ""'] if text.many else ['msgstr ""']
        entries.append("\n".join(lines) + "\n")
    return "\n".join(entries)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


if __name__ == "__main__":
    CATALOG.parent.mkdir(exist_ok=True)
    CATALOG.write_text(catalog())
