"""Prerequisites with the columns `CourseName, PrereqName, ConcurrentAllowed, PrereqGroupNum`.

One prerequisite per row: OR within a group, AND across groups. Courses are named by the code of their catalog entry.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import kinds
from ..records import Record
from .base import Files, Format, shape

COLUMNS = {
    "catalog": "coursename",
    "requires": "prereqname",
    "group_number": "prereqgroupnum",
    "concurrent_allowed": "concurrentallowed",
}


def _records(files: Files) -> Iterator[Record]:
    for row, reader in files.rows("prerequisites"):
        record = reader.record(kinds.PREREQUISITES, row, COLUMNS)
        if record and record.values["catalog"] == record.values["requires"]:
            reader.refuse(row, "PrereqName", "requires_itself", "A catalog entry cannot require itself.")
        elif record:
            yield record


UIUC = Format(
    "prerequisite columns",
    (shape("prerequisites", "coursename prereqname prereqgroupnum", columns="concurrentallowed"),),
    _records,
)
