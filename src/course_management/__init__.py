"""Which student is in which course.

student     somebody who takes courses
course      something with seats that students take
enrollment  one student and one course, and how they stand: enrolled, waitlisted or unenrolled
seat        what an enrolled student holds; a course has `capacity` of them
waitlist    the queue for a course whose seats are taken; a place in it has a position
ledger      the list of every change of an enrollment: what, when, by whom, in which request
"""

__version__ = "0.1.0"

from .app import create_app

__all__ = ["__version__", "create_app"]
