"""What is wrong about a field, as people read it: a sentence with the label of the field.

The API names its fields in its errors. A form has labels, so each error of the API has a sentence here. A sentence of
the pages themselves is said as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import Problem
from .texts import N_, _

MISSING = "Missing data for required field."
SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            rf"{re.escape(MISSING)}|Field may not be null\.|Must not be empty\.",
            N_("%(label)s is required."),
        ),
        (r"Not a valid (integer|number)\.", N_("%(label)s must be a whole number, such as 30.")),
        (r"Must be from (?P<least>\d+) to (?P<most>\d+)\.", N_("%(label)s must be from %(least)s to %(most)s.")),
        (
            r"Must be a number from 0 to (?P<most>\d+) with at most two decimals\.",
            N_("%(label)s must be a number from 0 to %(most)s, with at most two decimals."),
        ),
        (
            r"Must be a time from 00:00 to 24:00, as 09:00\.",
            N_("%(label)s must be a time from 00:00 to 24:00, such as 09:00."),
        ),
        (
            r"Must be a date, as 2026-09-01, from (?P<first>\S+) to (?P<last>\S+)\.",
            N_("%(label)s must be a date such as 2026-09-01, from %(first)s to %(last)s."),
        ),
        (
            r"Must be a (time with its zone|date and a time).*",
            N_("%(label)s must be a date and a time, such as 2026-09-01 08:00."),
        ),
        (r"Must be in the future\..*", N_("%(label)s must be in the future.")),
        (
            r"(Must be at most|Longer than maximum length) (?P<most>\d+)( characters long)?\.",
            N_("%(label)s must have at most %(most)s characters."),
        ),
        (
            r"Must not contain control char.*|A zero-width joiner .*|Must not begin with a combining mark\.",
            N_("%(label)s contains characters that are not displayed. Remove them."),
        ),
        (r"Must be 1 to (?P<most>\d+) printable .*", N_("%(label)s must have 1 to %(most)s printable characters.")),
        (
            r"Not a valid email address\.|The domain of the email address is not valid\.",
            N_("%(label)s must be an e-mail address, such as name@example.edu."),
        ),
        (
            r"Use letters, digits, dots, dashes and underscores.*",
            N_("%(label)s must consist of letters, digits, dots, dashes and underscores."),
        ),
        (r"Must be later than (?P<other>\w+).*", N_("%(label)s must be later than “%(other)s”.")),
        (r"Must not be before (?P<other>\w+)\.", N_("%(label)s must not be before “%(other)s”.")),
        (r"Must not be less than (?P<other>\w+).*", N_("%(label)s must not be less than “%(other)s”.")),
        (r"Needs (?P<other>\w+), which decide\.", N_("%(label)s needs a value of “%(other)s”, which decides.")),
        (
            r"Must be there if (?P<other>\w+) is not, and only then\.",
            N_("Enter either “%(label)s” or “%(other)s”, and not both."),
        ),
        (r"Only an entry is completed or taken\.", N_("%(label)s is only for an entry, not for a group.")),
        (r"An entry cannot require itself\.", N_("%(label)s must be another entry: none can require itself.")),
        (r"A course cannot be linked to itself\.", N_("%(label)s must not contain the course itself.")),
        (r"Must be a course of the same term\.", N_("%(label)s must be courses of the same term.")),
        (
            r"Must not repeat .*\.",
            N_("%(label)s is there twice."),
        ),
        (r"Must be one of: .*|This id does not exist\.", N_("%(label)s: choose one that exists.")),
        (r"Must be 1 to \d+ \w+\.", N_("%(label)s: choose at least one.")),
        (r"Must be 0 to (?P<most>\d+) \w+\.", N_("%(label)s: at most %(most)s are possible.")),
        (r"Must be (greater|less) than .*|Shorter than minimum length .*", N_("%(label)s is out of range.")),
        (
            r"Not a valid \w+\.|Must be given once\.|String does not match expected pattern\.",
            N_("%(label)s is not valid."),
        ),
    )
)
"""Patterns of the API's errors, and the sentences of forms; `other` is another field."""
OF_CODES = {
    "account_taken": ("subject", N_("This subject is already the account of %(owner)s. Delete that account first.")),
    "capacity_below_enrollment": ("capacity", N_("More students are enrolled than this. Enter at least their number.")),
    "code_taken": ("code", N_("This code is already in use. Enter another code.")),
    "course_has_no_term": ("term_id", N_("The rules of registration need a term. Choose the term of the course.")),
    "email_taken": ("email", N_("Another student has this e-mail address. Enter another one, or leave it empty.")),
    "external_id_taken": ("external_id", N_("Another one has this id already. Enter another id.")),
    "permission_exists": ("rule", N_("The student already has this permission. To change it, revoke it first.")),
    "student_not_found": ("student_id", N_("There is no student with this id.")),
    "student_id_taken": ("student_id", N_("Another person is this student already. Enter another id.")),
    "term_is_fixed": ("term_id", N_("The term of a course never changes. Create a course in the other term instead.")),
    "too_many_keys": ("name", N_("Two keys of this name are active. Revoke one of them first, or use another name.")),
    "waitlist_capacity_below_waiting": (
        "waitlist_capacity",
        N_("More students wait than this. Enter at least their number."),
    ),
}
"""Refusals that are about one field: the field, and the sentence."""


def of_problem(problem: Problem) -> list[tuple[str, str]]:
    """Return the fields that a refusal names and what is wrong: JSON pointers without the first slash, and details."""
    if problem.code in OF_CODES:
        field, sentence = OF_CODES[problem.code]
        owner = _("person %(id)s", id=problem.members["person_id"]) if "person_id" in problem.members else ""
        owner = owner or _("student %(id)s", id=problem.members.get("student_id", "?"))
        return [(field, _(sentence) % {"owner": owner})]
    return [(error["pointer"].lstrip("/"), error["detail"]) for error in problem.members.get("errors", ())]


def in_words(detail: str, label: str, labels: Mapping[str, str]) -> str:
    """Return what is wrong about the field with this label. `labels` are those of all fields, by their names."""
    for pattern, sentence in SENTENCES:
        if match := pattern.fullmatch(detail):
            values = match.groupdict()
            if "other" in values:
                values["other"] = labels.get(values["other"], values["other"])
            return _(sentence, label=label, **values)
    return _(detail)
