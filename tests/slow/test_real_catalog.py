"""The prerequisites of a real university, as a machine read them from its catalog: 4,949 rows.

Run with `TEST_DATA=/path/to/data`, the folder with `uiuc/prerequisites.csv` of wadefagen/datasets.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from course_management.services.prerequisite_graph import cycles, unreachable

Groups = dict[str, dict[str, list[tuple[str, bool]]]]
"""By entry and number of the group: what is required, and whether it may be taken in the same term."""


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, bool, str]]:
    """Return each row: an entry, what it requires, whether in the same term, and the number of the group."""
    folder = os.environ.get("TEST_DATA")
    if not folder:
        pytest.skip("TEST_DATA does not name the folder with the data of the university")
    with (Path(folder) / "uiuc" / "prerequisites.csv").open(encoding="utf-8", newline="") as file:
        return [
            (row["CourseName"], row["PrereqName"], row["ConcurrentAllowed"] == "True", row["PrereqGroupNum"])
            for row in csv.DictReader(file)
        ]


def without_errors(rows: list[tuple[str, str, bool, str]]) -> tuple[Groups, Counter[str]]:
    """Return the groups of each entry, and how many rows repeat another one or require the entry itself."""
    groups: Groups = {}
    left_out: Counter[str] = Counter()
    for entry, required, concurrent, number in rows:
        alternatives = groups.setdefault(entry, {}).setdefault(number, [])
        if entry == required:
            left_out["itself"] += 1
        elif required in {each for each, _ in alternatives}:
            left_out["repeated"] += 1
        else:
            alternatives.append((required, concurrent))
    return groups, left_out


def test_the_whole_catalog_is_searched_for_cycles_and_entries_out_of_reach(
    rows: list[tuple[str, str, bool, str]],
) -> None:
    groups, left_out = without_errors(rows)
    codes = {code: number for number, code in enumerate(sorted({each for row in rows for each in row[:2]}))}
    graph = {
        codes[entry]: [[(codes[required], concurrent) for required, concurrent in group] for group in found.values()]
        for entry, found in groups.items()
        if all(found.values())
    }
    alone = {entry: [[(required, False) for required, _ in group] for group in found] for entry, found in graph.items()}
    requires = {(entry, required) for entry, found in graph.items() for group in found for required, _ in group}

    assert (len(rows), sum(left_out.values())) == (4_949, 20)
    assert left_out == {"itself": 13, "repeated": 7}
    mutual = {frozenset(pair) for pair in requires if pair[::-1] in requires}
    assert len(mutual) == 40
    found = list(cycles(graph))
    assert all(any(pair <= set(cycle) for cycle in found) for pair in mutual)
    assert sum(map(len, found)) == 40
    # All of these pairs may be taken in the same term; by one term after the other, they are out of reach.
    assert unreachable(graph) == set()
    assert len(unreachable(alone)) == 51


def test_the_prerequisites_of_three_subjects_are_loaded_with_warnings(
    client: FlaskClient, rows: list[tuple[str, str, bool, str]]
) -> None:
    of_subjects = [row for row in rows if row[0].split()[0] in {"CS", "MATH", "THEA"}]
    groups, _ = without_errors(of_subjects)
    ids = {
        code: client.post("/catalog", json={"code": code, "title": code, "credits": 3}).get_json()["id"]
        for code in sorted({each for row in of_subjects for each in row[:2]})
    }

    last: dict[str, Any] = {}
    for _ in range(2):  # the second time, every cycle is complete
        for entry, found in groups.items():
            body = [
                [{"catalog_id": ids[required], "concurrent_allowed": concurrent} for required, concurrent in group]
                for group in found.values()
                if group
            ]
            response = client.put(f"/catalog/{ids[entry]}/prerequisites", json={"groups": body})
            assert response.status_code == 200, response.text
            last[entry] = response.get_json()

    warned = {entry: found["warnings"] for entry, found in last.items() if found["warnings"]}
    assert {each["code"] for found in warned.values() for each in found} == {"prerequisite_cycle"}
    pairs = {
        frozenset(pair)
        for pair in combinations(groups, 2)
        if all(
            other in {required for group in groups[one].values() for required, _ in group}
            for one, other in (pair, pair[::-1])
        )
    }
    assert len(pairs) > 20
    assert {entry for pair in pairs for entry in pair} <= warned.keys()
    for entry, found in last.items():
        assert client.get(f"/catalog/{ids[entry]}/prerequisites").get_json()["groups"] == found["groups"]
        assert sum(map(len, found["groups"])) == sum(map(len, groups[entry].values()))
