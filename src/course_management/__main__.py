"""The program `course-management`, also as `python -m course_management`."""

from __future__ import annotations

import sys

INTERRUPTED = 128 + 2
"""What a shell makes of SIGINT."""


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly from the first moment on, also while it imports what it needs."""
    try:
        from .cli import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
