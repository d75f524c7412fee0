"""Decide and write records: what every kind has in common, and three ways of writing.

A kind is one class in `transfer/kinds`. It is a `ResourceHandler` for rows that clients create and change, a
`ListHandler` for lists that are replaced as a whole, or a `StudentRecordHandler` for what is true of a student.

A handler decides the same way when it plans and when it applies: by the present state of the database. So a killed
import goes on where it stopped, and what is there already is unchanged.
"""

from __future__ import annotations

from .base import Decided, Handler, KindHandler
from .facts import StudentRecordHandler
from .lists import ListHandler
from .resources import ResourceHandler

__all__ = ["Decided", "Handler", "KindHandler", "ListHandler", "ResourceHandler", "StudentRecordHandler"]
