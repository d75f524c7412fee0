"""The style sheets and scripts of pages, at addresses that change with their content."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response

from ..access.policy import PUBLIC
from ..errors import NotFound
from ..http import assets
from ..http.headers import NOTHING
from ..http.pages import Pages
from .pages import root

FOLDER = Path(__file__).parent / "static"
PERMANENT = "public, max-age=31536000, immutable"

files = Pages("assets", __name__, content_security_policy=NOTHING, url_prefix="/app")


def init_app(app: Flask) -> None:
    """Let templates name an asset: `asset("app.css")`."""
    app.jinja_env.globals["asset"] = address_of


def address_of(name: str) -> str:
    """Return the path of an asset. Raises `KeyError` if there is none with this name."""
    found = assets.of_folder(FOLDER)
    return f"{root()}/assets/{found[name].tag}/{name}"


@files.page("/assets/<version>/<name>", PUBLIC)
def asset(version: str, name: str) -> Response:
    """Return an asset. Caches keep it permanently: the address has its digest."""
    found = assets.of_folder(FOLDER).get(name)
    if found is None or version != found.tag:
        raise NotFound
    return found.response(PERMANENT)
