"""Report the results of a run: medians, goals, tables and a chart."""

from __future__ import annotations

import html
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import by_rules, paired
from .goal import Goal

POSTGRESQL, SQLITE = "this service, PostgreSQL", "this service, SQLite"
KEYED = "this service, PostgreSQL, with a key"
FLOOR = "pgbench, the statement alone"
HELLO_FLASK, HELLO_WSGI = "Flask, hello", "WSGI, hello"
REFERENCES = FASTAPI, FLASK, EXPRESS = "FastAPI, asyncpg", "Flask, ORM, gunicorn", "Express, pg"
GOAL_HEADINGS = ["what", "measured", "goal", ""]
Results = dict[str, Any]


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Return the median with the minimum and maximum."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def goals(results: Results) -> list[Goal]:
    """Return the goals for which the run has both measurements."""
    return [*goals_of_rules(results), *paired.goals(results.get("paired", {})), *_other_goals(results)]


def _other_goals(results: Results) -> list[Goal]:
    comparison = _goals_of_loads(results) if "loads" in results else ()
    return [*comparison, *_goals_of_growth(results)]


def goals_of_rules(results: Results) -> Iterator[Goal]:
    """Yield the goals of enrolling by rules."""
    for backend, turns in results.get("rules", {}).items():
        for (load, other), figure in by_rules.FIGURES.items():
            if other in turns:
                name = f"{load} / {other}, {backend}, by CPU time"
                yield Goal(name, cpu_ratio(turns[load], turns[other]), figure)


def _goals_of_loads(results: Results) -> list[Goal]:
    found: list[Goal] = []

    def middle(load: str, system: str) -> float:
        return float(statistics.median(results["loads"][load][system]))

    def compare(load: str, other: str, figure: float, system: str = POSTGRESQL) -> None:
        measured = results["loads"][load]
        if system in measured and other in measured:
            name = f"{load}: {system} / {other}"
            found.append(Goal(name, middle(load, system) / middle(load, other), figure))

    for load, figures in {"enroll": (0.25, 3, 5, 1.3), "list": (0.25, 2.5, None, 1.2)}.items():
        for other, figure in zip((FLOOR, *REFERENCES), figures, strict=True):
            if figure:
                compare(load, other, figure)
    compare("enroll", POSTGRESQL, 0.5, SQLITE)
    compare("list", POSTGRESQL, 1, SQLITE)
    for load in ("enroll", "list"):
        compare(load, POSTGRESQL, 0.9, KEYED)
    hot = {name: statistics.median([each["seconds"] for each in runs]) for name, runs in results["hot"].items()}
    others = [hot[name] for name in REFERENCES if name in hot]
    if others and POSTGRESQL in hot:
        found.append(Goal("hot course: fastest reference's time / this service's", min(others) / hot[POSTGRESQL], 4))
    return found


def _goals_of_growth(results: Results) -> list[Goal]:
    found: list[Goal] = []
    for backend, measured in results.get("growth", {}).items():
        for load in ("enroll", "list"):
            small, large = (
                statistics.median([each["p99_ms"] for each in measured[f"{load} {size}"]])
                for size in ("small", "large")
            )
            found.append(
                Goal(f"p99 of {load}, {backend}: 100 times the data / small", large / small, 1.5, at_most=True)
            )
    for backend, measured in results.get("queue", {}).items():
        for call in ("join", "position", "leave"):
            ratio = measured[f"{call} long"] / measured[f"{call} empty"]
            found.append(Goal(f"{call}, {backend}: behind 10,000 / alone", ratio, 2, at_most=True))
        ratio = measured["middle"] / measured["position empty"]
        found.append(Goal(f"position, {backend}: in the middle of 10,000 / alone", ratio, 2, at_most=True))
    for backend, measured in results.get("memory", {}).items():
        (_, early), *_, (requests, late) = measured["requests and MB"][1:]
        found.append(Goal(f"a worker on {backend} after {requests:,} requests, MB", late, 90, at_most=True))
        found.append(Goal(f"a worker on {backend}, grown since the second look", late / early, 1.05, at_most=True))
    return found


def cpu_ratio(turns: Sequence[Results], others: Sequence[Results]) -> float:
    """Return the rate that the processors allow, as a ratio to that of `others`: the median of the rounds."""

    def cpu_ms(turn: Results) -> float:
        return float(turn["service_ms"] + turn["database_ms"])

    return statistics.median(cpu_ms(other) / cpu_ms(turn) for turn, other in zip(turns, others, strict=True))


def _by_rules(results: Results) -> list[list[str]]:
    return [
        [
            f"{load}, {backend}",
            spread([each["rate"] for each in turns]),
            spread([each["service_ms"] for each in turns], ".2f"),
            spread([each["database_ms"] for each in turns], ".2f") if backend == "PostgreSQL" else "",
        ]
        for backend, loads in results.get("rules", {}).items()
        for load, turns in loads.items()
    ]


def tables(results: Results) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Return the headings and rows of each table, by its name."""
    loads = results.get("loads", {})
    systems = list(dict.fromkeys(name for load in loads.values() for name in load))
    speed = []
    for name in systems:
        hot = results["hot"].get(name, [])
        right = all(each["right"] for each in hot)
        speed.append(
            [
                name,
                *(
                    spread(loads[load][name]) if name in loads.get(load, {}) else ""
                    for load in ("enroll", "list", "cycle")
                ),
                spread([each["seconds"] for each in hot], ".2f") if hot else "",
                ("exactly 100 sold" if right else "NOT RIGHT") if hot else "",
            ]
        )
    found = {
        "by rules": (
            ["median (from-to)", "requests per second", "service, CPU ms", "PostgreSQL, CPU ms"],
            _by_rules(results),
        ),
        "speed": (
            [
                "requests per second: median (from-to)",
                "enroll",
                "list",
                "enroll and unenroll, pairs",
                "hot course, s",
                "",
            ],
            speed,
        ),
        "earlier": (paired.HEADINGS, list(paired.rows(results.get("paired", {})))),
        "goals by rules": (GOAL_HEADINGS, [each.row() for each in goals_of_rules(results)]),
        "goals of speed": (GOAL_HEADINGS, [each.row() for each in paired.goals(results.get("paired", {}))]),
        "goals": (GOAL_HEADINGS, [each.row() for each in _other_goals(results)]),
    }
    return {name: table for name, table in found.items() if table[1]}


# --- the picture ------------------------------------------------------------------------------------------

WIDTH, BAR, LABEL = 760, 20, 220
COLORS = {POSTGRESQL: "#1a7f5a", KEYED: "#1a7f5a", SQLITE: "#53b58f", FLOOR: "#9aa4ae", HELLO_FLASK: "#9aa4ae"}


def chart(results: Results) -> str:
    """Return the bar charts of the measurements as SVG."""
    parts: list[tuple[str, dict[str, float], Callable[[float], str]]] = [
        (f"{title} per second", _medians(results["loads"][load]), lambda value: f"{value:,.0f}")
        for load, title in {
            "enroll": "Enroll, requests",
            "list": "List a student's courses, requests",
            "cycle": "Enroll and unenroll, pairs",
        }.items()
    ]
    hot = {name: [each["seconds"] for each in runs] for name, runs in results["hot"].items()}
    parts.append(
        ("2,000 students for 100 seats, seconds (less is better)", _medians(hot), lambda value: f"{value:.2f}")
    )
    lines: list[str] = []
    y = 10
    for title, bars, form in parts:
        y += 24
        lines.append(f'<text x="0" y="{y}" font-weight="bold">{html.escape(title)}</text>')
        y += 10
        longest = max(bars.values())
        for name, value in bars.items():
            width = max(1, (WIDTH - LABEL - 70) * value / longest)
            color = COLORS.get(name, "#c9826b")
            middle = y + BAR * 0.7
            lines += [
                f'<text x="{LABEL - 8}" y="{middle:.0f}" text-anchor="end">{html.escape(name)}</text>',
                f'<rect x="{LABEL}" y="{y + 2}" width="{width:.0f}" height="{BAR - 4}" fill="{color}"/>',
                f'<text x="{LABEL + width + 6:.0f}" y="{middle:.0f}">{form(value)}</text>',
            ]
            y += BAR
    size, font = f"{WIDTH} {y + 12}", 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" {font}>'
    ground = f'<rect width="{WIDTH}" height="{y + 12}" fill="#ffffff"/>'
    return "\n".join([head, ground, *lines, "</svg>"]) + "\n"


def _medians(measured: dict[str, list[float]]) -> dict[str, float]:
    # Without the empty WSGI application: on its scale, all other bars would be too short to compare.
    return {name: statistics.median(values) for name, values in measured.items() if name != HELLO_WSGI}
