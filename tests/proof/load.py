"""All the clients of a stage, wanting the same few courses."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .clients import CAPACITIES, Client, Hand
from .stage import Stage

COURSES, STUDENTS_EACH = 6, 8


class Load:
    """All the clients of a stage, their students and the few courses that all of them want."""

    def __init__(self, stage: Stage, seed: int, clients: int, *, faults: bool = False) -> None:
        chance = random.Random(seed)  # noqa: S311
        limits = [
            {"capacity": chance.randint(*CAPACITIES), "waitlist_capacity": chance.choice([0, 3, None, None])}
            for _ in range(COURSES)
        ]
        self.stage, self.courses = stage, stage.courses(limits)
        people = stage.people((clients + 1) * STUDENTS_EACH)
        self.clients = [
            Client(
                stage.server.port,
                f"{seed}-{n}",
                people[n :: clients + 1],
                self.courses,
                self.courses[n::clients],
            )
            for n in range(clients)
        ]
        for each in self.clients:
            each.faults = faults
        self.hand = Hand(stage, f"{seed}-hand", people[clients :: clients + 1], self.courses)

    def close(self) -> None:
        """Close all connections."""
        for client in self.clients:
            client.caller.close()

    def run(self, operations: int, *, with_hand: bool = False) -> None:
        """Divide the operations among the clients. With `with_hand`, SQL statements change the database meanwhile."""
        over = threading.Event()

        def work(client: Client) -> None:
            for _ in range(operations // len(self.clients)):
                if over.is_set():
                    return
                client.step()

        def meddle() -> None:
            while not over.wait(0.005):
                self.hand.step()

        with ThreadPoolExecutor(len(self.clients) + 1) as pool:
            meddling = pool.submit(meddle) if with_hand else None
            try:
                for done in [pool.submit(work, client) for client in self.clients]:
                    done.result()
            finally:
                over.set()
            if meddling:
                meddling.result()

    def run_during(self, disturbance: Callable[[], None]) -> None:
        """Operations of all clients for as long as the disturbance lasts."""
        over = threading.Event()

        def work(client: Client) -> None:
            while not over.is_set():
                client.step()

        with ThreadPoolExecutor(len(self.clients)) as pool:
            working = [pool.submit(work, client) for client in self.clients]
            try:
                disturbance()
            finally:
                over.set()
            for each in working:
                each.result()

    @property
    def held(self) -> dict[int, dict[int, str]]:
        """Return the enrollments that were reported to all clients."""
        reported = [client.held for client in self.clients]
        return {student: held for each in (*reported, self.hand.held) for student, held in each.items()}

    def union(self, name: str) -> set[Any]:
        """Return the union of one of the sets of all clients."""
        return set().union(*(getattr(client, name) for client in self.clients))

    def count(self, name: str) -> int:
        """Return how often the clients have seen something."""
        return sum(client.caller.seen[name] for client in self.clients)

    @property
    def operations(self) -> int:
        """Return the number of requests that got a response."""
        return sum(client.done for client in self.clients)

    @property
    def contradictions(self) -> list[str]:
        """Responses that did not agree with those before them."""
        return [each for client in self.clients for each in client.contradictions]

    @property
    def capacities(self) -> Iterable[tuple[int, int]]:
        """Return the capacity of each course by the last response that reported one."""
        return [pair for client in self.clients for pair in client.capacities.items()]
