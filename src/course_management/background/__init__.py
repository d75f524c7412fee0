"""Background work: what the service does when no request asks for it.

One list of jobs (`jobs.py`), and one leader per database that works on them while it holds the lease (`lease.py`).

- **Jobs find their work from the state of the database.** No message can be lost, and a crash needs no recovery.
- **The lease saves work; correctness never depends on it.** A leader that was frozen may come back after its lease has
  expired and do one more step beside its successor. Every step is one transaction that is safe whoever runs it, and
  however many do at the same time.
- **The database's time limits are those of a request.** A step ends when they are over, is tried again later, and never
  delays a shutdown. The background work has a connection of its own, beside those of the requests.

`serve` does background work in its worker processes unless `BACKGROUND=off`. Under another WSGI server nothing does:
run `course-management worker` beside that server.
"""

from __future__ import annotations

from ..config import Settings
from .worker import Worker, run_until_stopped

__all__ = ["Worker", "run_until_stopped", "start"]


def start(settings: Settings) -> Worker | None:
    """Start the background work in a thread of this process, unless the settings turn it off."""
    if settings.background == "off":
        return None
    worker = Worker(settings)
    worker.start()
    return worker
