"""The page about observability names every metric, alert and log line as they are; real log lines have its schema."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from course_management import metrics
from course_management.metrics.instruments import NAMESPACE

from ..support.databases import ROOT
from ..support.real_server import Server, serving, until

PAGE = ROOT / "docs" / "observability.md"
API = ROOT / "src" / "course_management" / "api"
ALERTS = ROOT / "contrib" / "prometheus" / "alerts.yaml"
LEVELS = {"debug", "info", "warning", "error"}
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in {int, float},
    "boolean": lambda value: isinstance(value, bool),
    "texts": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "integers": lambda value: isinstance(value, list) and all(type(each) is int for each in value),
    "object": lambda value: isinstance(value, dict),
}


class Event(NamedTuple):
    """A row of the table of events."""

    level: str
    members: dict[str, str]
    """The type of each member; with `?` if it may be missing or null."""


def section(title: str) -> str:
    return PAGE.read_text().partition(f"{title}\n")[2].partition("\n## ")[0]


@cache
def events() -> dict[str, Event]:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \|([^|]*)\|", section("### Events"), re.MULTILINE)
    return {event: Event(level, dict(re.findall(r"`(\w+)` (\w+\??)", members))) for event, level, members in rows}


def faults(line: dict[str, Any]) -> list[str]:
    """Return what a log line has or lacks that its row does not say."""
    common = {"event": "text", "level": "text", "timestamp": "text"}
    if "request_id" in line:
        common |= {"request_id": "text", "duration_ms": "number", "traceparent": "text?"}
    if "logger" in line:
        return _faults(line, common | {"logger": "text"})
    event = events().get(line["event"])
    if event is None:
        return [f"{line['event']} is not in the table"]
    members = common | event.members
    if line["event"] == "request":
        members |= dict.fromkeys(re.findall(r"<id:(\w+)>", line["route"] or ""), "integer")
    return _faults(line, members) + ([] if line["level"] == event.level else [f"{line['event']}: {line['level']}"])


def _faults(line: dict[str, Any], members: Mapping[str, str]) -> list[str]:
    wrong = [f"{line['event']} has {name}" for name in line.keys() - members.keys()]
    for name, kind in members.items():
        value = line.get(name)
        if value is None and kind.endswith("?"):
            continue
        if not TYPES[kind.removesuffix("?")](value):
            wrong.append(f"{line['event']}: {name} is {value!r} and not {kind}")
    return wrong


# --- log lines --------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A call of a logger in the source."""

    place: str
    event: re.Pattern[str]
    level: str
    members: set[str] | None
    """None: some are passed as a dict."""


def calls() -> Iterator[Call]:
    for source in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            is_logger = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
            if is_logger and node.func.attr in LEVELS:
                names = [keyword.arg for keyword in node.keywords]
                members = None if None in names else {str(name) for name in names}
                yield Call(f"{source.name}:{node.lineno}", _pattern(node.args[0]), node.func.attr, members)


def _pattern(text: ast.expr) -> re.Pattern[str]:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return re.compile(
        "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+" for part in parts)
    )


@pytest.mark.parametrize("call", list(calls()), ids=lambda call: call.place)
def test_every_log_line_of_the_code_is_in_the_table(call: Call) -> None:
    rows = [row for event, row in events().items() if call.event.fullmatch(event)]

    assert any(_fits(call, row) for row in rows), f"{call} does not fit {rows}"


def _fits(call: Call, row: Event) -> bool:
    required = {name for name, kind in row.members.items() if not kind.endswith("?")}
    return call.level == row.level and (call.members is None or required <= call.members <= row.members.keys())


def test_the_table_has_no_event_that_the_code_does_not_log() -> None:
    patterns = [call.event for call in calls()]

    assert [event for event in events() if not any(pattern.fullmatch(event) for pattern in patterns)] == ["logs.lost"]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what a server logs that enrolls, refuses, exports, and stops."""
    with serving(tmp_path_factory.mktemp("logs"), LOG_FORMAT="json", LOG_LEVEL="debug") as server:
        _use(server)
        until(lambda: "export.written" in server.log.read_text(), "the line of the export")
    found = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert all(isinstance(line, dict) for line in found)
    return found


def _use(server: Server) -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    server.ask("POST", "/students/1/enroll", {"course_id": 1}, **trace)
    server.ask("POST", "/students/1/enroll", {"course_id": 1})
    server.ask("POST", "/students/1/enroll?dry_run=true", {"course_id": 1})
    server.ask("POST", "/students/1/enroll", {"course_id": 99})
    server.ask("PUT", "/students/1/enroll", {"course_ids": []})
    server.ask("DELETE", "/students/1/unenroll", {"course_id": 1})
    server.ask("POST", "/courses", {"code": "FULL", "title": "Full", "capacity": 1, "waitlist_capacity": 1})
    server.ask("POST", "/students", {"name": "Grace"})
    server.ask("PATCH", "/students/2", {"name": "Grace Hopper"})
    server.ask("POST", "/students/1/enroll", {"course_id": 2})
    server.ask("POST", "/students/2/enroll", {"course_id": 2, "waitlist": True})
    server.ask("DELETE", "/students/1/unenroll", {"course_id": 2})
    server.ask("DELETE", "/courses/1")
    server.ask("GET", "/nowhere")
    with server.connect() as connection:
        connection.send("GET /exports/students.csv")
        assert connection.read()[0] == 200


def test_real_log_lines_have_the_schema_of_the_page(lines: list[dict[str, Any]]) -> None:
    seen = {line["event"] for line in lines if "logger" not in line}

    assert seen >= {
        "request",
        *(f"enrollment.{each}" for each in ("enrolled", "unchanged", "dry_run", "refused", "unenrolled", "waitlisted")),
        "enrollment.promoted",
        *(f"resource.{each}" for each in ("created", "changed", "deleted")),
        "export.written",
        "background.leader",
        "background.stopped",
    }
    assert [fault for line in lines for fault in faults(line)] == []


def test_both_lines_of_an_enroll_carry_its_traceparent(lines: list[dict[str, Any]]) -> None:
    traced = [line["event"] for line in lines if "traceparent" in line]

    assert traced == ["enrollment.enrolled", "request"]


@pytest.mark.parametrize(
    "change",
    [{"name": "Ada"}, {"status": "200"}, {"status": True}, {"method": None}, {"level": "error"}, {"event": "x"}],
)
def test_a_line_that_differs_from_the_schema_is_noticed(lines: list[dict[str, Any]], change: dict[str, Any]) -> None:
    line = next(line for line in lines if line["event"] == "request")

    assert faults(line) == []
    assert faults(line | change) != []


# --- metrics and alerts -----------------------------------------------------------------------------------


def exposed() -> dict[str, tuple[str, set[str]]]:
    """Return the kind and the labels of each metric."""
    from course_management.metrics import exposition  # noqa: PLC0415 - the service imports it late, too

    metrics.start()
    registered = {
        metric.name + ("_total" if metric.type == "counter" else ""): metric.type
        for metric in exposition.Everything().collect()
    }
    collectors: Any = metrics.start().registry._collector_to_names  # noqa: SLF001 - a metric without series shows none
    labels = {f"{NAMESPACE}_{each._original_name}": set(each._labelnames) for each in collectors}  # noqa: SLF001
    labels[f"{NAMESPACE}_build_info"] = {"version", "schema", "python"}
    return {name: (kind, labels[name]) for name, kind in registered.items()}


def test_the_page_names_every_metric_with_its_kind_and_labels() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| (\w+) \|([^|]*)\|", section("## Metrics"), re.MULTILINE)
    named = {
        f"{NAMESPACE}_{name}": (kind, set(re.findall(r"`(\w+)`", labels)))
        for names, kind, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }

    assert named == exposed()


def test_alerts_use_only_metrics_labels_and_events_that_exist() -> None:
    text = ALERTS.read_text()
    names = {name.removesuffix("_bucket").removesuffix("_count") for name in re.findall(rf"{NAMESPACE}_\w+", text)}
    event_labels = re.findall(r'event=(~?)"([^"]+)"', text)

    assert names <= exposed().keys()
    assert event_labels
    for _, pattern in event_labels:
        assert any(re.fullmatch(pattern, event) for event in events()), pattern
    for route in re.findall(r'route="([^"]+)"', text):
        assert any(f'"{route}"' in source.read_text() for source in API.glob("*.py")), route


def test_the_page_names_every_alert() -> None:
    named = re.findall(r"^\| `(\w+)` \|", section("## Alerts"), re.MULTILINE)

    assert named == re.findall(r"- alert: (\w+)", ALERTS.read_text())


def test_the_page_about_the_cluster_names_every_alert_of_the_cluster() -> None:
    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "cluster.md").read_text(), re.MULTILINE)

    assert named == re.findall(r"- alert: (\w+)", (ALERTS.parent / "cluster-alerts.yaml").read_text())
