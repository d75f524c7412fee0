"""What a person can do about a problem. The remedies in `errors` are for programs that use the API.

Those of the reasons against a course are in `reason_texts`.
"""

from __future__ import annotations

from .texts import N_, _

LATER = N_("Wait a few seconds, then try again.")
REMEDIES = {
    # refusals of changes
    "account_taken": N_("Delete that account first, or use another subject."),
    "capacity_below_enrollment": N_("Enter at least as many seats as are taken, or drop students first."),
    "catalog_entry_in_use": N_("Take it from the courses, completions and prerequisites that name it first."),
    "code_taken": N_("Use another code."),
    "course_has_enrollments": N_("Drop every student of the roster and the waitlist first, or close the course."),
    "course_has_no_term": N_("Choose a term for the course first."),
    "course_is_linked": N_("Take it from the linked courses of the others first."),
    "email_taken": N_("Use another e-mail address."),
    "external_id_taken": N_("Use another external id."),
    "group_in_use": N_("Take it from the students, windows, restrictions and prerequisites that name it first."),
    "permission_exists": N_("Nothing is left to do. To change it, revoke it first."),
    "plan_full": N_("Enroll in the courses of the plan, or remove some of them."),
    "student_id_taken": N_("Use another student id."),
    "term_has_courses": N_("Delete the courses of the term first."),
    "term_is_fixed": N_("Keep the term, and create another course in the other term."),
    "too_many_keys": N_("Revoke a key of this name first, or use another name."),
    "waitlist_capacity_below_waiting": N_("Enter at least as many places as students wait."),
    # faults
    "database_unavailable": LATER,
    "internal_error": N_("If you were changing something, look whether it was changed before you do it again."),
    "issuer_unavailable": LATER,
    "not_found": N_("The address may be mistyped, or what it was about is gone."),
    "overloaded": LATER,
    "payload_too_large": N_("Send less at once."),
    "sign_in_failed": N_("Sign in again from the start page, in one browser and within ten minutes."),
    "too_many_requests": N_("Wait a minute, then go on. Nothing of this request was applied."),
}


def remedy_of(code: str) -> str:
    """Return what a person can do about a problem with this code; empty if nothing general is known."""
    return _(REMEDIES[code]) if code in REMEDIES else ""
