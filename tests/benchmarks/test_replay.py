"""benchmarks/replay.py: what it reads, and that each of its checks can fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import client, enrollments, replay

from ..support.databases import PATIENCE_S

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


# --- the file ---------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "small.stu"


def test_a_line_is_a_student(file: Path) -> None:
    file.write_bytes(b"0001 0002 \r\n0002 \r\n")

    assert replay.read(file) == [[1, 2], [2]]


def test_a_repeated_number_counts_once(file: Path) -> None:
    file.write_text("0007 0003 0007 7\n")

    assert replay.read(file) == [[7, 3]]


def test_an_empty_line_is_no_student(file: Path) -> None:
    file.write_text("\n1\n   \n2\n\n")

    assert replay.read(file) == [[1], [2]]


@pytest.mark.parametrize("word", ["x", "-1", "1.5", "1_0", "\u0663", "1234567890"])
def test_a_bad_number_names_its_line(file: Path, word: str) -> None:
    file.write_text(f"1 2\n\n3 {word}\n", encoding="utf-8")

    found = CliRunner().invoke(replay.main, [str(file), "--url", "http://127.0.0.1:9"])

    assert found.exit_code == 2
    assert "small.stu, line 3: " in found.stderr


def test_a_file_without_students_is_refused(file: Path) -> None:
    file.write_text("\n \n")

    with pytest.raises(client.Unusable, match="no student"):
        replay.read(file)


# --- the plan ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand", "fraction", "seats"),
    [(10, 0.9, 9), (19, 0.9, 17), (1, 0.9, 1), (100, 0.29, 29), (5, 1.0, 5), (5, None, None)],
)
def test_seats_are_rounded_down_but_never_none(demand: int, fraction: float | None, seats: int | None) -> None:
    assert replay.capacity_for(demand, fraction) == seats


def test_a_third_of_the_seats_is_dropped_and_no_place_on_a_waitlist() -> None:
    enrolled: dict[int, dict[str, int | None]] = {student: {"A": None} for student in range(6)}
    waiting: dict[int, dict[str, int | None]] = {6 + place: {"A": place} for place in range(1, 31)}

    dropped = replay.choose_to_unenroll(seen(enrolled | waiting), seed=1)

    assert list(dropped.values()) == [["A"]] * 2
    assert dropped.keys() <= enrolled.keys()


def test_a_seed_repeats_its_choice() -> None:
    held = seen({student: {"A": None} for student in range(30)})

    assert replay.choose_to_unenroll(held, seed=1) == replay.choose_to_unenroll(held, seed=1)
    assert replay.choose_to_unenroll(held, seed=1) != replay.choose_to_unenroll(held, seed=2)


# --- the checks -------------------------------------------------------------------------------------------

CAPACITIES = {"A": 1, "B": None}
REQUESTS = {1: ["A", "B"], 2: ["A"], 3: ["A"]}
RIGHT: dict[str, list[Any]] = {"wrong_counts": [], "wrong_lists": [], "wrong_waitlists": []}


def seen(lists: dict[int, dict[str, int | None]]) -> Any:
    """Return what a correct service reports for these students, by course: a position or, with a seat, None."""
    courses: dict[str, dict[str, Any]] = {}
    for code in sorted({code for held in lists.values() for code in held}):
        positions = {student: held[code] for student, held in lists.items() if code in held}
        waitlist = sorted((position, student) for student, position in positions.items() if position)
        courses[code] = {"seats_taken": len(positions) - len(waitlist), "waiting": len(waitlist), "waitlist": waitlist}
    rows = {
        student: [{"code": code, "position": position} for code, position in held.items()]
        for student, held in lists.items()
    }
    return enrollments.Seen(rows, courses)


@pytest.fixture
def found() -> Any:
    """Return the state with one seat and a waitlist of two for A, and no limit for B."""
    return seen({1: {"A": None, "B": None}, 2: {"A": 1}, 3: {"A": 2}})


def check(found: Any, before: Any = None, requests: dict[int, list[str]] = REQUESTS) -> Any:
    return enrollments.check(CAPACITIES, requests, found, before or found)


def test_what_is_right_is_not_reported(found: Any) -> None:
    assert check(found) == RIGHT


@pytest.mark.parametrize("count", [0, 2])
def test_a_wrong_count_is_found(found: Any, count: int) -> None:
    found.courses["B"]["seats_taken"] = count

    assert check(found) == RIGHT | {"wrong_counts": ["B"]}


def test_an_oversold_course_is_found_though_count_and_lists_agree() -> None:
    oversold = seen({1: {"A": None, "B": None}, 2: {"A": None}, 3: {"A": 1}})

    assert check(oversold)["wrong_counts"] == ["A"]


def test_a_free_seat_beside_waiting_students_is_found() -> None:
    idle = seen({1: {"A": 1, "B": None}, 2: {"A": 2}, 3: {"A": 3}})

    assert check(idle)["wrong_counts"] == ["A"]


def test_a_count_that_the_lists_contradict_is_found(found: Any) -> None:
    found.lists[2][0]["position"] = None

    assert check(found)["wrong_counts"] == ["A"]


@pytest.mark.parametrize(
    "held", [[], ["A"], ["A", "B", "B"], ["A", "B", "C"]], ids=["nothing", "one missing", "one twice", "one too many"]
)
def test_a_wrong_list_is_found(found: Any, held: list[str]) -> None:
    found.lists[1] = [{"code": code, "position": None} for code in held]

    assert check(found)["wrong_lists"] == [1]


@pytest.mark.parametrize(
    "waitlist", [[], [(1, 2)], [(1, 2), (3, 3)], [(1, 2), (1, 3)], [(2, 3), (1, 2)], [(1, 3), (2, 2)]],
    ids=["empty", "one missing", "a gap", "one place twice", "out of order", "other than the lists say"],
)  # fmt: skip
def test_a_wrong_waitlist_is_found(found: Any, waitlist: list[tuple[int, int]]) -> None:
    found.courses["A"]["waitlist"] = waitlist

    assert check(found) == RIGHT | {"wrong_waitlists": ["A"]}


def test_a_wrong_number_of_waiting_is_found(found: Any) -> None:
    found.courses["A"]["waiting"] = 1

    assert check(found) == RIGHT | {"wrong_waitlists": ["A"]}


def test_a_student_lost_from_waitlist_and_roster_is_found() -> None:
    lost = seen({1: {"A": None, "B": None}, 2: {"A": 1}, 3: {}})
    lost.courses["A"]["waiting"] = 2

    assert check(lost) == RIGHT | {"wrong_lists": [3], "wrong_waitlists": ["A"]}


@pytest.mark.parametrize(("promoted", "waits", "wrong"), [(2, 3, []), (3, 2, ["A"])])
def test_a_seat_that_goes_to_anybody_but_the_first_is_found(
    found: Any, promoted: int, waits: int, wrong: list[str]
) -> None:
    after = seen({1: {"B": None}, promoted: {"A": None}, waits: {"A": 1}})

    assert check(after, before=found, requests=REQUESTS | {1: ["B"]}) == RIGHT | {"wrong_waitlists": wrong}


# --- the connection ---------------------------------------------------------------------------------------


@pytest.fixture
def closing_once() -> Iterator[str]:
    """Return the URL of a server that closes the first connection after a request, and serves the next."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)

        def serve() -> None:
            with suppress(OSError):  # no other connection came, or the client has gone: the test reports it
                for response in (b"", RESPONSE):
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def service(url: str) -> Any:
    return closing(client.Service(url, 1))


def test_a_lost_connection_is_opened_again_once(closing_once: str) -> None:
    with service(closing_once) as found:
        response = found.each("", lambda path: found.call("POST", path, {}), ["/"])["/"]

    assert (response.status, response.repeated) == (200, True)
    assert response.has_enrolled()


@pytest.mark.parametrize(
    ("status", "repeated", "enrolled"), [(201, False, True), (200, False, False), (200, True, True), (409, True, False)]
)
def test_only_a_repeated_request_may_find_it_done_already(status: int, repeated: bool, enrolled: bool) -> None:
    assert client.Response(status, b"", 0.0, repeated).has_enrolled() is enrolled


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:x"])
def test_an_unreachable_service_is_reported_in_a_sentence(file: Path, url: str) -> None:
    file.write_text("1\n")

    found = CliRunner().invoke(replay.main, [str(file), "--url", url])

    assert found.exit_code == 2
    assert "127.0.0.1" in found.stderr.splitlines()[-1]
