"""The last seats of one course, wanted by many connections at the same instant."""

from __future__ import annotations

import asyncio
import json
import resource
from collections import Counter
from typing import Any

from ..support.databases import PATIENCE_S
from .report import Check
from .stage import Stage

SEATS = 100


def prove(stage: Stage, seed: int, connections: int, rounds: int) -> tuple[dict[str, Any], list[Check]]:
    """Let all clients request one of 100 seats of a new course, in rounds: 100 get one, the others get the reason."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    people = stage.people(connections)
    courses = stage.courses([{"capacity": SEATS, "waitlist_capacity": 0}] * rounds, f"R{seed}-")
    wrong, sold = [], []
    for course in courses:
        statuses = asyncio.run(_rush(stage.server.port, people, course))
        if statuses != {201: SEATS, 409: connections - SEATS}:
            wrong.append(dict(statuses))
        sold += stage.sql(
            "SELECT seats_taken, (SELECT count(*) FROM student_courses WHERE course_id = :id AND status = 'enrolled')"
            " FROM courses WHERE id = :id",
            id=course,
        )
    checks = [
        Check(f"rounds without {SEATS} times 201 and {connections - SEATS} times 409", wrong, []),
        Check("rounds with other than 100 seats sold", sum(tuple(each) != (SEATS, SEATS) for each in sold)),
        stage.waves().check(),
        *stage.verified(),
    ]
    figures = {"rounds": rounds, "connections": connections, "seats sold": sum(each[0] for each in sold)}
    return {**figures, **stage.waves().figures()}, checks


async def _rush(port: int, people: list[int], course: int) -> Counter[int]:
    """Connect all clients, then send all requests; how many got which status (0: the response was lost)."""
    ready = asyncio.Barrier(len(people))
    body = json.dumps({"course_id": course}).encode()

    async def ask(student: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await ready.wait()
            writer.write(
                b"POST /students/%d/enroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (student, len(body), body)
            )
            line = await reader.readline()
            return int(line.split()[1]) if line else 0
        except ConnectionError:
            return 0
        finally:
            writer.close()

    async with asyncio.timeout(PATIENCE_S):
        return Counter(await asyncio.gather(*(ask(student) for student in people)))
