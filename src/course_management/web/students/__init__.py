"""Pages of students: one module per topic, listed in `PAGES`."""

from . import courses

PAGES = (courses.pages,)
"""In the order of the navigation."""
