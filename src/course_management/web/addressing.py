"""Whom a text speaks to: the student ("you"), or the staff about the student ("the student").

Students and the staff share pages. Each text is written once, where it is shown; this module has the other form of
those that name the reader. `texts` looks it up before it translates. Reasons have both forms in `reason_texts`.
"""

from __future__ import annotations


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools find texts that are translated later
    """Mark a text that is translated where it is shown."""
    return text


TO_STUDENT = {
    "The student cannot be unenrolled from at least one of the requested courses, so nothing was changed.": N_(
        "You cannot drop at least one of the requested courses, so nothing was changed."
    ),
}
"""What the API says of a student, as it is said to the student."""
OF_STUDENT = {
    "%(num)s student waits for it, so you probably cannot get it back.": N_("%(num)s student waits for it."),
    "%(num)s students wait for it, so you probably cannot get it back.": N_("%(num)s students wait for it."),
    "A seat was free, but you could not get it:": N_("A seat was free, but the student could not get it:"),
    "For you": N_("For the student"),
    "None of your courses has meetings here.": N_("None of the student's courses has meetings here."),
    "Not possible for you": N_("Not possible"),
    "Required: ask the instructor, your advisor or the registrar.": N_(
        "Required: the instructor, the advisor or the registrar can grant one."
    ),
    "The time for dropping is over: your record shows that you have withdrawn.": N_(
        "The time for dropping is over: the record shows that the student has withdrawn."
    ),
    "There are no terms. You can enroll in every course with a free seat.": N_(
        "There are no terms. The student can enroll in every course with a free seat."
    ),
    "You are enrolled in %(code)s.": N_("The student is enrolled in %(code)s."),
    "You are neither enrolled in this course nor on its waitlist, so there is nothing to drop.": N_(
        "The student is neither enrolled in this course nor on its waitlist, so there is nothing to drop."
    ),
    "You are on the waitlist of %(code)s, position %(position)s.": N_(
        "The student is on the waitlist of %(code)s, position %(position)s."
    ),
    "You cannot enroll in at least one of the requested courses, so nothing was changed.": N_(
        "The student cannot enroll in at least one of the requested courses, so nothing was changed."
    ),
    "You have %(held)s credits. There is no limit.": N_("The student has %(held)s credits. There is no limit."),
    "You have %(held)s of at most %(limit)s credits.": N_("The student has %(held)s of at most %(limit)s credits."),
    "You have dropped %(code)s.": N_("The student has dropped %(code)s."),
    "You have left the waitlist of %(code)s.": N_("The student has left the waitlist of %(code)s."),
    "You have no courses yet.": N_("The student has no courses yet."),
    "You have no holds.": N_("The student has no holds."),
    "You have no registration window that is open or will open. Ask the registrar if you need one.": N_(
        "The student has no registration window that is open or will open."
    ),
    "You have withdrawn from %(code)s.": N_("The student has withdrawn from %(code)s."),
    "You keep your position, and are tried again.": N_("The student keeps the position, and is tried again."),
    "You lose your position %(position)s. If you join again, you are the last.": N_(
        "The student loses the position %(position)s, and would be the last after joining again."
    ),
    "You lose your seat at once.": N_("The student loses the seat at once."),
    "You were enrolled in %(code)s already.": N_("The student was enrolled in %(code)s already."),
    "You were not enrolled in %(code)s.": N_("The student was not enrolled in %(code)s."),
    "You were on the waitlist of %(code)s already, position %(position)s.": N_(
        "The student was on the waitlist of %(code)s already, position %(position)s."
    ),
    "Your groups": N_("The student's groups"),
    "Your registration for %(term)s": N_("The student's registration for %(term)s"),
    "that I can take now": N_("that the student can take now"),
    "that fit my timetable": N_("that fit the timetable"),
}
"""What pages say to a student, as it is said of the student to the staff."""


def addressed(text: str, *, is_student: bool) -> str:
    """Return a text as it is said to the student whom a page is about or, if the reader is somebody else, of one."""
    return (TO_STUDENT if is_student else OF_STUDENT).get(text, text)
