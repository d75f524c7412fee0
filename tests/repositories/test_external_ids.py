"""The tables whose rows files can name."""

from __future__ import annotations

from course_management.database import Base
from course_management.repositories.external_ids import REFERENCED


def test_files_can_name_the_rows_of_each_table_that_has_external_ids() -> None:
    with_external_ids = {table.name for table in Base.metadata.tables.values() if "external_id" in table.c}

    listed = {referenced.table.name for referenced in REFERENCED.values()}

    assert listed == with_external_ids, "List them in REFERENCED of repositories/external_ids.py."
