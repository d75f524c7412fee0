"""Configure structured logs: one line per request, one per enrollment action, bound together by the request id.

Names, e-mail addresses, bodies and the texts of exceptions are never logged: ids, codes and figures only.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import structlog

from . import metrics
from .config import Settings
from .log_output import Event, Output, add_context, json_line, output_to

CACHE_LOGGERS = True
"""A logger keeps its first configuration: a third off the cost of a line. The suite configures many times."""

UNCOUNTED = frozenset({"debug", "info"})


def configure(settings: Settings) -> None:
    """Write log lines to standard output, those of libraries too: JSON, or a readable format in a terminal."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and is_terminal)
    render: Any = _pretty_line(structlog.dev.ConsoleRenderer()) if pretty else json_line

    def report_lost(count: int) -> str:
        metrics.event("warning", "logs.lost")
        return str(render(None, "warning", {"event": "logs.lost", "count": count}))

    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    output = output_to(sys.stdout, report_lost)
    structlog.configure(
        processors=[count_warning, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: LineLogger(output),
        cache_logger_on_first_use=CACHE_LOGGERS,
    )
    handler = logging.StreamHandler(output)
    handler.terminator = ""  # a rendered line has its end
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def count_warning(_: Any, level: str, event: Event) -> Event:
    """Count a line of level warning or above by its event. A processor of structlog."""
    if level not in UNCOUNTED:
        metrics.event(level, event["event"])
    return event


def banner(stream: TextIO | None) -> Callable[[str], object]:
    """Return a function that prints a line to a stream like a log line: it never raises and never waits."""
    output = output_to(stream)
    return lambda line: output.write(f"{line}\n")


class LineLogger:
    """A logger for structlog: each of its methods is the `write` of an output."""

    def __init__(self, output: Output) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = output.write


def _pretty_line(renderer: structlog.dev.ConsoleRenderer) -> Any:
    def render(logger: Any, level: str, event: Event) -> str:
        add_context(logger, level, event)
        try:
            return f"{renderer(logger, level, dict(event))}\n"  # it removes keys from the event
        except Exception:  # noqa: BLE001 - as in `json_line`
            return json_line(logger, level, event)

    return render


def frames_of(error: BaseException) -> list[str]:
    """Where an exception happened, the innermost 12 frames. Its text is never logged: a client may have sent it."""
    return [f"{entry.filename}:{entry.lineno} {entry.name}" for entry in traceback.extract_tb(error.__traceback__)][
        -12:
    ]
