"""Which student is in which course.

student     somebody who takes courses
course      something with seats that students take
enrollment  one student and one course, and how they stand: enrolled, waitlisted or unenrolled
seat        what an enrolled student holds; a course has `capacity` of them
waitlist    the queue for a course whose seats are taken; a place in it has a position
ledger      the list of every change of an enrollment: what, when, by whom, in which request
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app

__version__ = "0.1.0"

__all__ = ["__version__", "create_app"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import the app when it is asked for: it takes a second, in which a command could not be interrupted."""
        if name != "create_app":
            raise AttributeError(name)
        from .app import create_app  # noqa: PLC0415 - see above

        return create_app
