"""Background work: jobs that no request triggers, done by one process per database.

`jobs` has the list of jobs and runs one; `promotion`, `import_rows` and `verification` are jobs; `worker` is the thread
that runs them while it holds the lease (`lease`); `backoff` gives the pauses after failures.

- **Jobs find their work from the state of the database.** No message can be lost, and a crash needs no recovery.
- **The lease only saves work; correctness never depends on it.** A frozen leader may resume after its lease has expired
  and do one more step beside its successor. Every step is one transaction that is safe in any process, and in several
  at the same time.
- **The time limits of the database are those of a request.** A step that exceeds them fails, is tried again later, and
  never delays a shutdown. Background work has its own connection, in addition to those of the requests.

`serve` does background work in its worker processes unless `BACKGROUND=off`. Under another WSGI server, run
`course-management worker` beside it.
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
