"""Pages of students: one module per topic, listed in `PAGES`."""

from . import courses, enrolling, my_courses, plan

PAGES = (courses.pages, plan.pages, my_courses.pages, enrolling.pages)
"""In the order of the navigation."""
