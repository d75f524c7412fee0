"""The files of an import: files, folders and zip archives, without unpacking anything to disk."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from .findings import FileRefused

MAX_FILES = 1_000
MAX_UNPACKED = 4 * 1024**3
"""Bytes of an archive's files together. A million enrollments take about 0.1 GB."""
MAX_RATIO = 200
"""Unpacked to packed size; rosters reach about 20."""
SMALL = 1024**2
"""Below this size in bytes the ratio says nothing."""
SUFFIXES = {".csv", ".txt", ".tsv"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of an import: `open` returns its bytes from the start, each time it is called."""

    name: str
    open: Callable[[], IO[bytes]]

    @property
    def base(self) -> str:
        """Return the name without folders, in lower case."""
        return PurePosixPath(self.name).name.lower()

    def digest(self) -> str:
        """Return the SHA-256 of the bytes, in hexadecimal. Raises `FileRefused`."""
        try:
            with self.open() as file:
                return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise _damaged(self.name, error) from None
        except OSError as error:
            raise FileRefused(self.name, "unreadable", f"The file cannot be read: {error.strerror}.") from None


def find(paths: Collection[Path]) -> list[Source]:
    """Return the files of these paths: of a folder its CSV files, of an archive those in it.

    A folder without CSV files may have one archive instead. Raises `FileRefused`.
    """
    sources = [source for path in paths for source in _of_path(path)]
    if not sources:
        places = ", ".join(map(str, paths))
        raise FileRefused("", "no_files", f"There is no file .csv, .txt or .tsv in {places}.")
    return sources


def _of_path(path: Path) -> Iterable[Source]:
    try:
        if path.is_dir():
            children = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
            files = [_of_file(entry) for entry in children if entry.is_file() and not entry.name.startswith(".")]
            return files or _of_only_archive(path)
        if not path.is_file():
            raise FileRefused(str(path), "no_such_file", "There is no such file or folder.")
        if zipfile.is_zipfile(path):
            return list(_of_archive(path))
    except OSError as error:
        raise FileRefused(str(path), "unreadable", f"The file cannot be read: {error.strerror}.") from None
    return [_of_file(path)]


def _of_only_archive(folder: Path) -> Iterable[Source]:
    archives = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() == ".zip")
    if len(archives) > 1:
        detail = (
            f"The folder has several archives: {', '.join(entry.name for entry in archives)}. Name the one to import."
        )
        raise FileRefused(str(folder), "several_archives", detail)
    return [source for entry in archives for source in _of_path(entry)]


def _of_file(path: Path) -> Source:
    return Source(path.name, lambda: path.open("rb"))


def _of_archive(path: Path) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path.name, error) from None
    _check(path.name, members)
    for member in members:
        name = PurePosixPath(member.filename)
        is_hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
        if name.suffix.lower() in SUFFIXES and not is_hidden:
            yield Source(f"{path.name}/{member.filename}", _opener(path, member.filename))


def _check(archive: str, members: Sequence[zipfile.ZipInfo]) -> None:
    """Raise `FileRefused` for an archive that no system would write."""
    if len(members) > MAX_FILES:
        raise FileRefused(archive, "archive_too_large", f"The archive has more than {MAX_FILES} files.")
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise FileRefused(archive, "unsafe_archive", "The archive has two files with the same name.")
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or is_link:
            raise FileRefused(
                archive, "unsafe_archive", f"The archive has a file outside of its folder: {member.filename!r}."
            )
        if member.flag_bits & 1:
            raise FileRefused(archive, "encrypted", "The archive is encrypted. Unpack it, and import the folder.")
        if member.file_size > max(SMALL, member.compress_size * MAX_RATIO):
            raise FileRefused(
                archive,
                "archive_too_large",
                f"{member.filename!r} unpacks to more than {MAX_RATIO} times its size. Unpack it, look at it, and "
                "import the folder.",
            )
    if sum(member.file_size for member in members) > MAX_UNPACKED:
        raise FileRefused(archive, "archive_too_large", f"The archive unpacks to more than {MAX_UNPACKED} bytes.")


def _opener(path: Path, name: str) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        try:
            with zipfile.ZipFile(path) as archive:  # an open member keeps the file open
                return archive.open(name)
        except (zipfile.BadZipFile, NotImplementedError, KeyError) as error:
            raise _damaged(path.name, error) from None

    return opened


def _damaged(name: str, error: Exception) -> FileRefused:
    return FileRefused(name, "damaged_archive", f"The archive is damaged: {error}. Export it again.")
