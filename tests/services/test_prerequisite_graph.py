"""Cycles of prerequisites, and entries that no student can reach."""

from __future__ import annotations

import random

import pytest

from course_management.services.prerequisite_graph import cycles, unreachable

Groups = dict[int, list[list[tuple[int, bool]]]]


def requiring(*groups: list[int], concurrent: bool = False) -> list[list[tuple[int, bool]]]:
    return [[(required, concurrent) for required in group] for group in groups]


def test_a_chain_has_no_cycle_and_all_of_it_can_be_reached() -> None:
    chain = {number: requiring([number - 1]) for number in range(2, 10_000)}  # longer than Python's stack

    assert list(cycles(chain)) == []
    assert unreachable(chain) == set()


def test_entries_that_require_each_other_are_a_cycle_and_cannot_be_reached_nor_what_requires_them() -> None:
    graph = {1: requiring([2]), 2: requiring([3]), 3: requiring([1]), 4: requiring([1]), 5: requiring([6])}

    assert list(cycles(graph)) == [[1, 2, 3]]
    assert unreachable(graph) == {1, 2, 3, 4}


def test_another_alternative_leads_out_of_a_cycle() -> None:
    graph = {1: requiring([2, 9]), 2: requiring([1])}

    assert list(cycles(graph)) == [[1, 2]]
    assert unreachable(graph) == set()


def test_one_of_two_groups_is_not_enough() -> None:
    assert unreachable({1: requiring([9], [2]), 2: requiring([1])}) == {1, 2}


def test_entries_that_permit_each_other_in_the_same_term_are_taken_together() -> None:
    lecture = {1: requiring([2], concurrent=True), 2: requiring([1], concurrent=True), 3: requiring([2])}

    assert list(cycles(lecture)) == [[1, 2]]
    assert unreachable(lecture) == set()
    assert unreachable({**lecture, 2: requiring([1])}) == {1, 2, 3}


def test_what_is_taken_together_may_need_what_was_taken_together_before() -> None:
    graph = {
        1: requiring([2], concurrent=True),
        2: requiring([1], concurrent=True),
        3: requiring([4], concurrent=True),
        4: [[(3, True)], [(1, False)]],
    }

    assert unreachable(graph) == set()
    assert unreachable({**graph, 2: requiring([1])}) == {1, 2, 3, 4}


def test_two_cycles_are_two_unless_they_share_an_entry() -> None:
    assert list(cycles({1: requiring([2]), 2: requiring([1]), 3: requiring([4]), 4: requiring([3])})) == [
        [1, 2],
        [3, 4],
    ]
    assert list(cycles({1: requiring([2, 3]), 2: requiring([1]), 3: requiring([1])})) == [[1, 2, 3]]


def can_be_reached(graph: Groups) -> set[int]:
    """Find term by term what a student can take, by trying: the most that fits together in each."""
    entries = set(graph) | {required for groups in graph.values() for group in groups for required, _ in group}
    reached: set[int] = set()
    while True:
        together = entries - reached
        while True:
            possible = {
                entry
                for entry in together
                if all(
                    any(required in reached or (concurrent and required in together) for required, concurrent in group)
                    for group in graph.get(entry, [])
                )
            }
            if possible == together:
                break
            together = possible
        if not together:
            return reached
        reached |= together


def needed_by(graph: Groups, entry: int) -> set[int]:
    """Return all that an entry requires, directly or not."""
    found: set[int] = set()
    new = {entry}
    while new:
        new = {required for each in new for group in graph.get(each, []) for required, _ in group} - found
        found |= new
    return found


@pytest.mark.parametrize("seed", range(200))
def test_random_catalogs_agree_with_trying_term_by_term(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    graph = {
        entry: [
            [(chance.randrange(14), chance.random() < 0.4) for _ in range(chance.randint(1, 3))]
            for _ in range(chance.randint(0, 2))
        ]
        for entry in range(12)
    }

    assert unreachable(graph) == set(graph) - can_be_reached(graph)
    needs = {entry: needed_by(graph, entry) for entry in graph}
    in_cycles = {tuple(sorted(other for other in needs[entry] if entry in needs.get(other, ()))) for entry in graph}
    assert sorted(cycles(graph)) == sorted(list(each) for each in in_cycles if len(each) > 1)
