"""The texts of pages in the language of the visitor, by gettext: the English texts are the keys.

The standard library suffices: what Flask-Babel adds is the formats of numbers and dates, for 30 MB of locale data.
"""

from __future__ import annotations

import gettext as library
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, has_request_context, request
from markupsafe import escape
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

FOLDER = Path(__file__).parent / "translations"
DOMAIN = "messages"
ENGLISH = library.NullTranslations()


def init_app(app: Flask) -> None:
    """Let templates translate with `_` and `ngettext`."""
    app.extensions["translations"] = None
    # Not Jinja's own functions: they cost a text 8 µs and not 2, half of the time of a page with 50 rows.
    app.jinja_env.globals.update(_=_in_template, ngettext=_ngettext_in_template, language=language)


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Return the languages that there are: English, and those of the folder `translations`."""
    return ("en", *(path.parent.parent.name for path in sorted(FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))))


def language() -> str:
    """Return the language of the present page: the one of the browser's languages that is available, or English."""
    known = languages()
    if len(known) == 1 or not has_request_context():
        return "en"
    return request.accept_languages.best_match(known, "en") or "en"


def of_environ(environ: Mapping[str, Any]) -> tuple[str, library.NullTranslations]:
    """Return the language of a request without Flask, and its translations."""
    known = languages()
    accepted = parse_accept_header(environ.get("HTTP_ACCEPT_LANGUAGE"), LanguageAccept) if len(known) > 1 else None
    name = (accepted and accepted.best_match(known)) or "en"
    return name, _of(name)


@lru_cache(maxsize=32)
def _of(name: str) -> library.NullTranslations:
    return ENGLISH if name == "en" else library.translation(DOMAIN, FOLDER, [name])


def translations() -> library.NullTranslations:
    """Return the translations for the present page; a test can set others (`app.extensions["translations"]`)."""
    others: library.NullTranslations | None = current_app.extensions["translations"]
    if others is None and len(languages()) == 1:
        return ENGLISH
    return others or _of(language())


def _(text: str, **values: Any) -> str:
    """Translate a text, and fill in values as in `_("%(code)s is full.", code=course.code)`."""
    translated = translations().gettext(text)
    return translated % values if values else translated


def ngettext(one: str, many: str, number: int, **values: Any) -> str:
    """Translate the text for a number, which it may contain as `%(num)s`."""
    return translations().ngettext(one, many, number) % {"num": number, **values}


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools find texts that are translated later
    """Mark a text that is translated where it is shown."""
    return text


def _in_template(text: str, **values: Any) -> str:
    """Translate a text for a template, which escapes it unless values were filled in."""
    translated = translations().gettext(text)
    return escape(translated) % values if values else translated


def _ngettext_in_template(one: str, many: str, number: int, **values: Any) -> str:
    """Translate the text for a number, as `_in_template`."""
    return escape(translations().ngettext(one, many, number)) % {"num": number, **values}
