"""Structured logs: one line a request, one line an enrollment action; the request id binds them together.

Names, e-mail addresses, bodies and the texts of exceptions are never logged: ids, codes and figures only.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import orjson
import structlog

from .config import Settings
from .context import current
from .log_output import Output, output_to

CACHE_LOGGERS = True
"""A logger keeps its first configuration: a third off the cost of a line. The suite configures many times."""


def configure(settings: Settings) -> None:
    """Write log lines to standard output, those of libraries too: JSON, or a readable format in a terminal."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and is_terminal)
    renderer: Any = _pretty(structlog.dev.ConsoleRenderer()) if pretty else _json
    shared: list[Any] = [
        _add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]

    def report_lost(count: int) -> str:
        event: Any = {"event": "logs.lost", "count": count}
        for process in (*shared, renderer):
            event = process(None, "warning", event)
        return f"{event}\n"

    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    output = output_to(sys.stdout, report_lost)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: LineLogger(output),
        cache_logger_on_first_use=CACHE_LOGGERS,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def banner(stream: TextIO | None) -> Callable[[str], object]:
    """Return a function that prints a line to a stream like a log line: it never raises and never waits."""
    output = output_to(stream)
    return lambda line: output.write(f"{line}\n")


class LineLogger:
    """A logger for structlog that writes rendered lines to an output."""

    def __init__(self, output: Output) -> None:
        self._write = output.write

    def msg(self, line: str) -> None:
        """Write a line."""
        self._write(f"{line}\n")

    debug = info = warning = error = critical = exception = msg


def _json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except Exception:  # noqa: BLE001 - lone surrogates, huge numbers, objects that cannot be converted to text
        return json.dumps({name: _text(value) for name, value in event.items()})


def _pretty(renderer: structlog.dev.ConsoleRenderer) -> Any:
    def render(logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        try:
            return renderer(logger, name, dict(event))  # it removes keys from the event
        except Exception:  # noqa: BLE001 - as in `_json`
            return _json(logger, name, event)

    return render


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001
        return f"<{type(value).__name__}>"


def _add_context(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the id of the request, and the milliseconds since it began."""
    context = current.get()
    if context and context.request_id:
        event.setdefault("duration_ms", context.elapsed_ms())
        event["request_id"] = context.request_id
    return event


def frames_of(error: BaseException) -> list[str]:
    """Where an exception happened, the innermost 12 frames. Its text is never logged: a client may have sent it."""
    return [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(error.__traceback__)][-12:]


def milliseconds_since(started: float) -> float:
    """Milliseconds since `started`, a reading of `time.perf_counter`."""
    return round((time.perf_counter() - started) * 1000, 2)
