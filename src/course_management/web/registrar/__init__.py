"""Pages of registrars, of instructors and of advisors: one module per topic, listed in `PAGES`."""

from . import overview

PAGES = (overview.pages,)
"""In the order of the navigation."""
