"""Load the prerequisites of a university, and compare the warnings of the service with a brute force.

The rows of the file are put as they are. The service refuses a row that repeats another one or requires the entry
itself; it is counted by the reason, and left out. Then the warnings are read: entries that require each other, and
entries that no student can reach. So are those of the same prerequisites if none could be taken in the same term.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from .client import OK, Json, Response, Service, Unusable, create

INVALID = 422
CYCLE, UNREACHABLE = "prerequisite_cycle", "entry_unreachable"


class Alternative(NamedTuple):
    """An entry that is required, by its code, and whether taking it in the same term is enough."""

    code: str
    concurrent: bool


Groups = dict[str, list[list[Alternative]]]
"""The groups of alternatives of each entry: a student needs one of each group."""


def read(path: Path) -> Groups:
    """Return the groups of each entry, from all rows of the file."""
    groups: defaultdict[str, defaultdict[str, list[Alternative]]] = defaultdict(lambda: defaultdict(list))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            alternative = Alternative(row["PrereqName"], row["ConcurrentAllowed"] == "True")
            groups[row["CourseName"]][row["PrereqGroupNum"]].append(alternative)
    return {entry: list(numbered.values()) for entry, numbered in groups.items()}


class Catalog:
    """The entries at the service, and what it says about their prerequisites."""

    def __init__(self, service: Service, prefix: str, groups: Groups) -> None:
        """Create the entries."""
        codes = sorted(groups.keys() | {each.code for _, each in alternatives(groups)})
        bodies = {code: {"code": f"{prefix} {code}", "title": code, "credits": 3} for code in codes}
        self.service = service
        self.ids = create(service, "/catalog", bodies)
        self.codes = {catalog_id: code for code, catalog_id in self.ids.items()}
        self.left_out: Counter[str] = Counter()
        """The number of rows that the service refused, by the reason."""

    def put(self, groups: Groups) -> Groups:
        """Put the prerequisites of each entry, without the alternatives that the service refuses. Return the others."""
        return self.service.each("Putting prerequisites", lambda entry: self._put(entry, groups[entry]), groups)

    def warnings(self, groups: Groups) -> dict[str, set[frozenset[str]]]:
        """Put the same again, now that all of it is there. Return the entries of each warning, by its code."""
        responses = self.service.each("Reading warnings", lambda entry: self._send(entry, groups[entry]), groups)
        found: dict[str, set[frozenset[str]]] = defaultdict(set)
        for warning in chain.from_iterable(json.loads(response.body)["warnings"] for response in responses.values()):
            found[warning["code"]].add(frozenset(self.codes[catalog_id] for catalog_id in warning["catalog_ids"]))
        return found

    def _put(self, entry: str, listed: Sequence[Sequence[Alternative]]) -> list[list[Alternative]]:
        kept = [list(group) for group in listed]
        while (response := self._send(entry, kept)).status == INVALID:
            for group, index, reason in sorted(map(_place, json.loads(response.body)["errors"]), reverse=True):
                del kept[group][index]
                self.left_out[reason] += 1
            kept = [group for group in kept if group]
        return kept

    def _send(self, entry: str, listed: Sequence[Sequence[Alternative]]) -> Response:
        body = [
            [{"catalog_id": self.ids[each.code], "concurrent_allowed": each.concurrent} for each in group]
            for group in listed
        ]
        response = self.service.call("PUT", f"/catalog/{self.ids[entry]}/prerequisites", {"groups": body})
        if response.status not in {OK, INVALID}:
            raise Unusable(f"The service responds to the prerequisites of {entry} with {response.status}.")
        return response


def _place(error: Json) -> tuple[int, int, str]:
    """Return the group and the index of an alternative that is refused, and the reason."""
    group, index = re.findall(r"[0-9]+", error["pointer"])
    return int(group), int(index), error["detail"]


def compare(service: Service, prefix: str, groups: Groups) -> tuple[Json, dict[str, list[str]]]:
    """Load the prerequisites. Return the figures, and where the service differs from the brute force."""
    catalog = Catalog(service, prefix, groups)
    loaded = catalog.put(groups)
    found = catalog.warnings(loaded)
    # The same without concurrency, which makes many entries unreachable; then back to the prerequisites of the file.
    strict = one_after_the_other(loaded)
    concurrent = {entry for entry, each in alternatives(loaded) if each.concurrent}
    catalog.put({entry: strict[entry] for entry in concurrent})
    found_strict = catalog.warnings(strict)
    catalog.put({entry: loaded[entry] for entry in concurrent})

    requires = {(entry, each.code) for entry, each in alternatives(loaded)}
    pairs = {frozenset(pair) for pair in requires if pair[::-1] in requires}
    together, alone = out_of_reach(loaded), out_of_reach(strict)
    figures = {
        "prerequisites": sum(1 for _ in alternatives(groups)),
        "prerequisites loaded": sum(1 for _ in alternatives(loaded)),
        **{f"left out: {reason}": number for reason, number in sorted(catalog.left_out.items())},
        "entries": len(catalog.ids),
        "pairs that require each other": len(pairs),
        "out of reach": len(together),
        "out of reach, one term after the other": len(alone),
        "out of reach, one term after the other, with those that require themselves": len(
            out_of_reach(one_after_the_other(groups))
        ),
    }
    wrong = {
        "wrong pairs": [" and ".join(sorted(pair)) for pair in pairs if not any(map(pair.issubset, found[CYCLE]))],
        "wrong out of reach": sorted(together.symmetric_difference(chain.from_iterable(found[UNREACHABLE]))),
        "wrong out of reach, one term after the other": sorted(
            alone.symmetric_difference(chain.from_iterable(found_strict[UNREACHABLE]))
        ),
    }
    return figures, wrong


def alternatives(groups: Groups) -> Iterator[tuple[str, Alternative]]:
    """Yield each alternative, with the entry that requires it."""
    return ((entry, each) for entry, listed in groups.items() for group in listed for each in group)


def one_after_the_other(groups: Groups) -> Groups:
    """Return the prerequisites without permission to take one in the same term, so that some groups are the same."""
    return {
        entry: list(
            map(list, {tuple(sorted({Alternative(each.code, concurrent=False) for each in g})) for g in listed})
        )
        for entry, listed in groups.items()
    }


def out_of_reach(groups: Groups) -> set[str]:
    """Return the entries that no student can reach, by trying: term after term, take all that is possible."""
    left, before = set(groups), None
    while left != before:
        before = set(left)
        taken = set(left)
        while impossible := {entry for entry in taken if not all(_is_met(g, left, taken) for g in groups[entry])}:
            taken -= impossible
        left -= taken
    return left


def _is_met(group: Sequence[Alternative], left: set[str], taken: set[str]) -> bool:
    return any(each.code not in left or (each.concurrent and each.code in taken) for each in group)
