"""The texts of pages in the language of the visitor, by gettext: the English texts are the keys.

The standard library suffices: what Flask-Babel adds is the formats of numbers and dates, for 30 MB of locale data.
"""

from __future__ import annotations

import gettext as library
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, has_request_context, request

FOLDER = Path(__file__).parent / "translations"
DOMAIN = "messages"
ENGLISH = library.NullTranslations()


def init_app(app: Flask) -> None:
    """Let templates translate with `_`, `ngettext` and `{% trans %}`."""
    app.extensions["translations"] = None
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: translations().gettext(text),
        lambda one, many, number: translations().ngettext(one, many, number),
        newstyle=True,
    )
    app.jinja_env.globals["language"] = language


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


@lru_cache(maxsize=32)
def _of(name: str) -> library.NullTranslations:
    return ENGLISH if name == "en" else library.translation(DOMAIN, FOLDER, [name])


def translations() -> library.NullTranslations:
    """Return the translations for the present page; a test can set others (`app.extensions["translations"]`)."""
    others: library.NullTranslations | None = current_app.extensions["translations"]
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
