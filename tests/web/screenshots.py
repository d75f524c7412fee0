"""Take the screenshots of docs/pages: `make screenshots`. It needs Chromium (apt install chromium).

They show a small school in Chromium: a term that is open for registration, courses that are full, and students who
wait, one of whom a rule has stopped.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright

from course_management import create_app
from course_management.access import sessions
from course_management.access.sessions import Owner

from ..support.databases import ROOT, migrate
from ..support.keys import create_key
from ..support.real_server import PATIENT, Server, sqlite

FOLDER = ROOT / "docs" / "pages"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
SUBJECTS = (
    ("BIO 110", "Cell Biology"),
    ("CHEM 101", "General Chemistry"),
    ("CS 101", "Introduction to Programming"),
    ("CS 225", "Data Structures"),
    ("ECON 102", "Microeconomics"),
    ("ENG 120", "Academic Writing"),
    ("HIST 141", "Europe since 1789"),
    ("MATH 220", "Calculus"),
    ("MATH 257", "Linear Algebra"),
    ("PHYS 211", "Mechanics"),
    ("PSY 100", "Introduction to Psychology"),
    ("STAT 107", "Data Science Discovery"),
)
NAMES = [
    *("Amara Okafor", "Ben Schneider", "Chloe Martin", "Daniel Kim", "Elena Rossi", "Farid Haddad", "Grace Nguyen"),
    *("Hugo Larsen", "Ines Costa", "Jonas Weber", "Keiko Tanaka", "Liam Murphy", "Mei Chen", "Noah Dubois"),
    *("Olga Petrova", "Priya Sharma", "Quentin Moreau", "Rosa Alvarez", "Samuel Adeyemi", "Tara Singh", "Umar Farouk"),
    *("Vera Novak", "William Brown", "Ximena Diaz", "Yusuf Demir", "Zoe Papadakis"),
]


@dataclass(frozen=True)
class Shot:
    """A screenshot: the file, who looks, at which path, and on which screen."""

    name: str
    who: str
    path: str
    viewport: Mapping[str, int] = field(default_factory=lambda: DESKTOP)
    scheme: str = "light"


SHOTS = (
    Shot("find-courses", "student", "/app/courses"),
    Shot("course", "student", "/app/courses/{conflict}"),
    Shot("plan", "student", "/app/plan"),
    Shot("timetable", "student", "/app/timetable"),
    Shot("my-courses-phone", "student", "/app/my-courses", PHONE),
    Shot("timetable-phone-dark", "student", "/app/timetable", PHONE, "dark"),
    Shot("registrar-overview", "registrar", "/app/registrar"),
    Shot("registrar-courses", "registrar", "/app/registrar/courses"),
    Shot("registrar-course", "registrar", "/app/registrar/courses/{full}"),
    Shot("registrar-waitlist", "registrar", "/app/registrar/courses/{full}/waitlist"),
    Shot("registrar-student", "registrar", "/app/registrar/students/{student}"),
    Shot("roster-phone", "instructor", "/app/registrar/courses/{full}/roster", PHONE),
)


def build(client: FlaskClient) -> dict[str, int]:
    """Make the school through the API, and return the ids that the paths name."""

    def post(path: str, body: Any) -> dict[str, Any]:
        response = client.post(path, json=body)
        assert response.status_code < 300, response.text
        return dict(response.get_json())

    now, chance = datetime.now(UTC), random.Random(7)  # noqa: S311 - a repeatable choice
    begins = now.date() - timedelta(days=now.weekday())
    ends = begins + timedelta(weeks=15)
    dates = {"starts_on": begins.isoformat(), "ends_on": ends.isoformat()}
    term_id = post("/terms", {"code": "fall", "title": "Fall", "credit_limit": 18, **dates})["id"]
    window = {"opens_at": (now - timedelta(days=1)).isoformat(), "closes_at": (now + timedelta(weeks=2)).isoformat()}
    client.put(f"/terms/{term_id}/windows", json=[window])
    students = [post("/students", {"name": name, "external_id": f"{4700 + n}"})["id"] for n, name in enumerate(NAMES)]
    courses: dict[str, int] = {}
    for n, (code, title) in enumerate(SUBJECTS):
        entry = post("/catalog", {"code": code, "title": title, "credits": 3})["id"]
        values = {"catalog_id": entry, "term_id": term_id, "credits": 3, "component": "LEC"}
        seats = {"capacity": 12 if code == "CS 225" else 20 + 5 * (n % 3), "waitlist_capacity": 10}
        courses[code] = post("/courses", {"code": f"{code}-A", "title": title, **values, **seats})["id"]
        hour = 9 + 3 * (n // 4) if code != "MATH 257" else 9
        meetings = [
            {
                "weekday": day,
                "starts": f"{hour:02}:00",
                "ends": f"{hour + 1:02}:15",
                "place": f"Hall {1 + n % 5}",
                **dates,
            }
            for day in (1 + n % 4, 2 + n % 4)
        ]
        client.put(f"/courses/{courses[code]}/meetings", json=meetings)
    for student_id in students:
        wanted = ["CS 225", *chance.sample([code for code, _ in SUBJECTS if code != "CS 225"], 3)]
        for code in wanted:
            client.post(f"/students/{student_id}/enroll", json={"course_id": courses[code], "waitlist": True})
    full = courses["CS 225"]
    waiting = client.get(f"/courses/{full}/students?status=waitlisted").get_json()["items"]
    hold = {"kind": "library", "contact": "Library, library@example.edu", "blocks": "enroll", "note": "Overdue book"}
    stopped, student_id = waiting[0]["student_id"], waiting[1]["student_id"]
    client.post(f"/students/{stopped}/holds", json=hold)
    instructor = post("/people", {"name": "Lise Meitner"})["id"]
    client.put(f"/courses/{full}/instructors", json=[instructor])
    registrar = post("/people", {"name": "Rita Registrar", "roles": ["registrar"]})["id"]
    held = {each["id"] for each in client.get(f"/students/{student_id}/courses?status=any").get_json()["courses"]}
    free = [course_id for course_id in courses.values() if course_id not in held]
    refused = [
        course_id
        for course_id in free
        if client.post(f"/students/{student_id}/enroll?dry_run=true", json={"course_id": course_id}).get_json()[
            "decisions"
        ][0]["reasons"]
    ]
    return {
        "student": student_id,
        "instructor": instructor,
        "registrar": registrar,
        "full": full,
        "conflict": (refused or free)[0],
    }


@contextmanager
def served() -> Iterator[tuple[str, dict[str, str], dict[str, int]]]:
    """Serve the school. Yields the address, a sign-in link for each person, and the ids."""
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite(Path(folder))
        migrate(url)
        app = create_app({"DATABASE_URL": url.render_as_string(), "LOG_LEVEL": "error", **PATIENT})
        client = app.test_client()
        with app.app_context():
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {create_key('screenshots', ['admin'])}"
        ids = build(client)
        owners = {
            "student": Owner(student_id=ids["student"]),
            "instructor": Owner(person_id=ids["instructor"]),
            "registrar": Owner(person_id=ids["registrar"]),
        }
        with app.app_context():
            links = {who: sessions.create_link(owner) for who, owner in owners.items()}
        server = Server(Path(folder), url, LOG_LEVEL="warning", RATELIMIT_READS="none", **PATIENT)
        try:
            server.wait()
            yield f"http://127.0.0.1:{server.port}", links, ids
        finally:
            server.end()


def take(chromium: Browser, address: str, links: Mapping[str, str], ids: Mapping[str, int]) -> None:
    """Take the screenshots, each person in one session."""
    for who in dict.fromkeys(shot.who for shot in SHOTS):
        context = chromium.new_context(base_url=address, reduced_motion="reduce")
        page = context.new_page()
        page.goto(f"/app/sign-in/{links[who]}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("status").wait_for()
        for shot in (each for each in SHOTS if each.who == who):
            page.set_viewport_size(dict(shot.viewport))  # type: ignore[arg-type]
            page.emulate_media(color_scheme="dark" if shot.scheme == "dark" else "light")
            response = page.goto(shot.path.format_map(ids))
            assert response is not None, shot.path
            assert response.ok, shot.path
            page.screenshot(path=FOLDER / f"{shot.name}.png")
        context.close()


def main() -> None:
    """Take all screenshots."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.exit("Chromium is not installed. Run: apt install chromium")
    FOLDER.mkdir(exist_ok=True)
    with served() as (address, links, ids), sync_playwright() as playwright:
        # It may run as root in a container, where the sandbox of Chromium cannot start.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        take(chromium, address, links, ids)
        chromium.close()


if __name__ == "__main__":
    main()
