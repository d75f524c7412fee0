"""What somebody has looked for among the students, in a cookie: it is personal, so no address and no log has it.

The browser sends it to the page of the search only, no script reads it, and it ends with the browser or the sign-out.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from flask import Response, current_app, request

from .pages import visitor

NAME = "students-search"
LASTS_S = 1800


def keep_search(response: Response, words: str) -> None:
    """Let the browser keep the words of a search; none: forget them."""
    path = f"{current_app.extensions['authentication'].pages.prefix}/app/registrar/students"
    response.set_cookie(
        NAME,
        quote(words, safe=""),
        max_age=LASTS_S if words else 0,
        path=path,
        secure=not visitor().is_protected,  # over http on this machine, not every browser keeps a cookie that is secure
        httponly=True,
        samesite="Strict",
    )


def last_search() -> str:
    """Return the words of the last search; empty without one."""
    return unquote(request.cookies.get(NAME, ""))[:100]
