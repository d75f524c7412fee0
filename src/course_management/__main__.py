"""The program `course-management`, also run as `python -m course_management`."""

from __future__ import annotations

import sys

INTERRUPTED = 128 + 2
"""Exit code that shells use for SIGINT."""


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, also during the imports."""
    try:
        from .cli import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise  # an error in this package
        sys.stderr.write(
            f"Error: {error}. The installed packages do not fit this version: run `make install` in the checkout, or "
            "`pip install --require-hashes -r requirements.txt`.\n"
        )
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
