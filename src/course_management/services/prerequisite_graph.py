"""Find what is wrong with prerequisites as a whole: cycles, and entries that no student can reach.

Both take time in proportion to the number of prerequisites: 30,000 of 10,000 entries take 0.1 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

Alternative = tuple[int, bool]
"""A required entry, and whether taking it in the same term is enough."""
Graph = Mapping[int, Sequence[Sequence[Alternative]]]
"""The groups of each entry, of each of which a student needs one alternative. A group with an alternative that is no
entry, such as a group of students, is left out: it can be satisfied."""


def warnings_about(graph: Graph, catalog_id: int) -> list[tuple[str, list[int]]]:
    """Return the codes of what is probably wrong about an entry, each with the entries that it concerns.

    `prerequisite_cycle`: these entries require each other; `entry_unreachable`: no student can reach these entries.
    """
    warnings = [("prerequisite_cycle", cycle) for cycle in cycles(graph) if catalog_id in cycle]
    out_of_reach = unreachable(graph)
    if catalog_id in out_of_reach:
        warnings.append(("entry_unreachable", sorted(out_of_reach)))
    return warnings


def cycles(graph: Graph) -> Iterator[list[int]]:
    """Yield the entries of each cycle, ascending; cycles that share an entry are one.

    Tarjan's algorithm, with a stack of its own: a chain of prerequisites can be longer than Python's.
    """
    numbers: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    visits: list[tuple[int, Iterator[int]]] = []

    def visit(entry: int) -> None:
        numbers[entry] = lowest[entry] = len(numbers)
        path.append(entry)
        on_path.add(entry)
        visits.append((entry, (required for group in graph.get(entry, ()) for required, _ in group)))

    for start in graph:
        if start not in numbers:
            visit(start)
        while visits:
            entry, following = visits[-1]
            required = next(following, None)
            if required is not None:
                if required not in numbers:
                    visit(required)
                elif required in on_path:
                    lowest[entry] = min(lowest[entry], numbers[required])
                continue
            visits.pop()
            if visits:
                before = visits[-1][0]
                lowest[before] = min(lowest[before], lowest[entry])
            if lowest[entry] == numbers[entry]:
                cycle = [path.pop()]
                while cycle[-1] != entry:
                    cycle.append(path.pop())
                on_path.difference_update(cycle)
                if len(cycle) > 1:
                    yield sorted(cycle)


def unreachable(graph: Graph) -> set[int]:
    """Return the entries that a student cannot reach, in whatever order and however many terms.

    Entries that permit each other in the same term can be taken together.
    """
    reached: set[int] = set()
    missing = {entry: len(groups) for entry, groups in graph.items()}
    satisfied: set[tuple[int, int]] = set()
    uses: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for entry, groups in graph.items():
        for group_index, group in enumerate(groups):
            for required, _ in group:
                uses[required].append((entry, group_index))

    def reach(entries: Iterable[int]) -> None:
        to_visit = list(entries)
        reached.update(to_visit)
        while to_visit:
            for use in uses[to_visit.pop()]:
                if use not in satisfied:
                    satisfied.add(use)
                    missing[use[0]] -= 1
                    if missing[use[0]] == 0 and use[0] not in reached:
                        reached.add(use[0])
                        to_visit.append(use[0])

    reach([*(entry for entry in uses if entry not in graph), *(entry for entry, count in missing.items() if not count)])
    while together := _together(graph, graph.keys() - reached, satisfied):
        reach(together)
    return set(graph.keys() - reached)


def _together(graph: Graph, entries: set[int], satisfied: set[tuple[int, int]]) -> set[int]:
    """Return the most of these entries that can be taken in one term, when the `satisfied` groups are."""
    possible = set(entries)
    uses: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    alternatives: dict[tuple[int, int], int] = {}
    for entry in entries:
        for group_index, group in enumerate(graph[entry]):
            if (entry, group_index) not in satisfied:
                concurrent = [required for required, is_concurrent in group if is_concurrent and required in entries]
                alternatives[entry, group_index] = len(concurrent)
                for required in concurrent:
                    uses[required].append((entry, group_index))
    impossible = [entry for (entry, _), count in alternatives.items() if not count]
    while impossible:
        entry = impossible.pop()
        if entry in possible:
            possible.remove(entry)
            for use in uses[entry]:
                alternatives[use] -= 1
                if not alternatives[use]:
                    impossible.append(use[0])
    return possible
