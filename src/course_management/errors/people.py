"""Refusals that concern people and the accounts with which people and students sign in."""

from __future__ import annotations

from .base import Conflict, Problem


class PersonNotFound(Problem):
    code, status, title = "person_not_found", 404, "Person not found"
    meaning = "There is no person with this id."
    remedy = "Check the id, or create the person with POST /people."


class StudentIdTaken(Conflict):
    code, title = "student_id_taken", "Student id taken"
    meaning = "Another person is this student."
    remedy = "Use another student_id, or the person that has it: `existing_id`."


class AccountNotFound(Problem):
    code, status, title = "account_not_found", 404, "Account not found"
    meaning = "The person or student has no account with this id."
    remedy = "List the accounts with GET /people/{id}/accounts or GET /students/{id}/accounts."


class AccountTaken(Conflict):
    """Facts: `existing_id` (the account), and `person_id` or `student_id` (whose it is)."""

    code, title = "account_taken", "Account taken"
    meaning = "This subject of this issuer is the account of a person or student already."
    remedy = "Delete the account with the id `existing_id` first, or use another subject."
