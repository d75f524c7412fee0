"""The examples of every page work as the page shows it, in the order of the page.

`tests/docs/test_examples.py` follows the README, and the API guide on PostgreSQL.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from ..docs.pages import PAGES, RUN, blocks, name
from ..docs.reader import readers


def to_run(page: Path) -> bool:
    return any(block.language in RUN and block.reason_not_run is None for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page) and page.name != "README.md"], ids=name)
def test_the_examples_of_a_page_work_in_their_order(page: Path, tmp_path: Path, postgresql_server: URL) -> None:
    with readers(tmp_path) as make:
        make().follow_page(page, postgresql_server)
