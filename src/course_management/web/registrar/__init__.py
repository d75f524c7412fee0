"""Pages of registrars, of instructors and of advisors: one module per topic, listed in `PAGES`."""

from . import (
    completions,
    exports,
    health,
    holds,
    imports,
    keys,
    ledger,
    overview,
    people,
    permissions,
    student_courses,
    students,
)

PAGES = (
    overview.pages,
    students.pages,
    students.advised,
    student_courses.pages,
    holds.pages,
    permissions.pages,
    completions.pages,
    ledger.pages,
    imports.pages,
    exports.pages,
    people.pages,
    keys.pages,
    health.pages,
)
"""In the order of the navigation."""
