"""Files of a command: written whole or not at all, and readable only by the user who runs it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import click

MODE = 0o700


class OutputFiles:
    """New files of a folder. They get their names together at the end of the block, if it raises nothing.

    Until then they are hidden files of the same folder; afterwards these are gone in either case.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a new file for writing, with mode 600."""
        descriptor, path = tempfile.mkstemp(prefix=f".{name}.", dir=self._folder)
        self._files[name] = Path(path)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)

    def publish(self) -> None:
        """Give the files their names."""
        for name, path in self._files.items():
            path.replace(self._folder / name)

    def discard(self) -> None:
        """Remove the files that have not got their names."""
        for path in self._files.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def output_files(folder: Path, names: Iterable[str], *, force: bool) -> Iterator[OutputFiles]:
    """Open the files of a folder, which is created; raise `BadParameter` if one exists, unless `force` is true."""
    if not force and (existing := [name for name in names if (folder / name).exists()]):
        raise click.UsageError(
            f"{folder} has these files already: {', '.join(existing)}. Choose another folder, or replace them with "
            "--force."
        )
    folder.mkdir(mode=MODE, parents=True, exist_ok=True)
    files = OutputFiles(folder)
    with ExitStack() as stack:
        stack.callback(files.discard)
        yield files
        files.publish()
