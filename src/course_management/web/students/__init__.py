"""Pages of students: one module per topic, listed in `PAGES`."""

from . import courses, enrolling, mine, plan

PAGES = (courses.pages, plan.pages, mine.pages, enrolling.pages)
"""In the order of the navigation."""
