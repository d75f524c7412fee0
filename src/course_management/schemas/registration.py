"""What decides in advance about the registration of a student for a term."""

from __future__ import annotations

from marshmallow import Schema, fields

from .enrollment import TermId
from .fields import Credits
from .holds import Hold
from .response_fields import Moment, ResponseId, Word


class RegistrationQuery(Schema):
    """Which term."""

    term_id = TermId("The term.", required=True)


class RegistrationWindow(Schema):
    """A registration window of the term. `mine`: whether it is for this student."""

    opens_at = Moment()
    closes_at = Moment()
    mine = fields.Boolean(required=True)


class RegistrationCredits(Schema):
    """The student's credit limit in the term (null: none), and the credits of the courses of the student there."""

    limit = Credits(allow_none=True, required=True)
    held = Credits(required=True)


class RegistrationGroup(Schema):
    """A group that the student is in."""

    id = ResponseId()
    kind = Word()
    code = Word()
    title = Word()


class Registration(Schema):
    """The holds of a student that are in force, the windows and the credits of a term, and the student's groups."""

    holds = fields.List(fields.Nested(Hold), required=True)
    windows = fields.List(fields.Nested(RegistrationWindow), required=True)
    credits = fields.Nested(RegistrationCredits, required=True)
    groups = fields.List(fields.Nested(RegistrationGroup), required=True)
