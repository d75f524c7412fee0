"""Course enrollment: which students are enrolled or waitlisted in which courses.

student     a person who takes courses
course      what students enroll in
enrollment  one student, one course and a status: enrolled, waitlisted, unenrolled or withdrawn
seat        a place in a course; a course has `capacity` seats
waitlist    the queue for the seats of a full course; each student on it has a position, from 1
ledger      the list of all changes of enrollments: what, when, by which caller, in which request
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app

__version__ = "0.2.0"

__all__ = ["__version__", "create_app"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import the app when it is first used: that takes a second, in which a command could not be interrupted."""
        if name != "create_app":
            raise AttributeError(name)
        from .app import create_app  # noqa: PLC0415 - see above

        return create_app
