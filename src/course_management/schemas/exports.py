"""Exports of whole tables, and calendars."""

from __future__ import annotations

from marshmallow import Schema

from .enrollment import TermId


class ExportQuery(Schema):
    """Of which term."""

    term_id = TermId("Only those of this term.", load_default=None)


class ScheduleQuery(Schema):
    """Of which term."""

    term_id = TermId("Only those of this term.", load_default=None)
