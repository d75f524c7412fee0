"""Accounts: which student or person of the staff a subject of an issuer of tokens is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...errors import AccountTaken
from ...repositories import import_targets as targets
from ...schemas.people import AccountBody
from ...services import accounts
from ..handlers import StudentRecordHandler
from ..kind import Kind, Reference, of_body
from ..staging import Staged
from ..verdicts import REFUSE, Verdict

ACCOUNT_KIND = Kind(
    "accounts",
    {"student": Reference(), "person": Reference(), **of_body(AccountBody)},
    ("subject", "issuer"),
    ("issuer subject",),
    optional=("student", "person"),
    one_of=("student", "person"),
)


class AccountHandler(StudentRecordHandler):
    """Adds accounts. One that belongs to somebody else is refused: an import gives no access away."""

    kind = ACCOUNT_KIND
    references: ClassVar = {"student": "student", "person": "person"}

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the accounts with these subjects."""
        self._present = targets.accounts_of({row.values["subject"] for row in rows})

    def _owner(self, row: Staged) -> tuple[accounts.Owner, int]:
        name, owner = ("student", accounts.STUDENT) if row.values.get("student") else ("person", accounts.PERSON)
        return owner, self.id_of(name, row.values[name]) or 0

    def check(self, row: Staged) -> Verdict | None:
        """Return the refusal of a subject that belongs to somebody else."""
        present = self._present.get((row.values["subject"], row.values["issuer"]))
        owner, owner_id = self._owner(row)
        if present is None or getattr(present, owner.column) == owner_id:
            return None
        what = "student" if present.student_id else "person"
        detail = f"The subject belongs to the {what} with the id {present.student_id or present.person_id}. "
        return Verdict(row.number, REFUSE, AccountTaken.code, f"{detail}Delete that account first, if it is wrong.")

    def present(self, row: Staged) -> Any:
        """Return the account, or None."""
        return self._present.get((row.values["subject"], row.values["issuer"]))

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Add the account."""
        del is_new
        owner, owner_id = self._owner(row)
        accounts.add(owner, owner_id, row.values["issuer"], row.values["subject"])
