"""Pages for browsers: views that return HTML, with an access row and their own Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import flask

from .declarations import HasScope
from .endpoints import with_access
from .headers import ON_EVERY_RESPONSE, PRIVATE

View = TypeVar("View", bound=Callable[..., Any])


class Pages(flask.Blueprint):
    """A blueprint of pages.

    `headers` are added to every response of its views, refusals included (`hooks.add_headers`), except those that the
    view has set itself, such as the Cache-Control of a public page.
    """

    def __init__(self, name: str, import_name: str, *, content_security_policy: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.headers = [*ON_EVERY_RESPONSE, PRIVATE, ("Content-Security-Policy", content_security_policy)]

    def page(self, rule: str, access: HasScope, *, methods: Sequence[str] = ("GET",)) -> Callable[[View], View]:
        """Register the decorated view at a route, for the callers of its access row."""

        def register(view: View) -> View:
            self.add_url_rule(rule, view.__name__, with_access(access, view), methods=methods)
            return view

        return register
