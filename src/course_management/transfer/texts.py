"""The text of a file, line by line in bounded memory: nothing is guessed, and nothing is replaced."""

from __future__ import annotations

import codecs
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from .findings import FileRefused
from .sources import Source

LONGEST_LINE = 1_000_000
"""Characters. The longest line of a real roster has about 1,000."""
# UTF-32 first: its little-endian mark begins with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_CHUNK = 64 * 1024


def read_lines(source: Source, encoding: str | None = None) -> Iterator[str]:
    """Yield the lines with their ends (LF, CRLF or CR). Raises `FileRefused`.

    A byte order mark decides the encoding, else `encoding`, else it is UTF-8.
    """
    try:
        with source.open() as file:
            start = file.read(4)
        marked = _marked(start)
        if b"\0" in start and not (marked or encoding):
            raise _has_nul(source, 1)
        encoding = marked or encoding or "utf-8"
        with source.open() as file, _decoded(file, encoding) as text:
            number = 0
            while line := text.readline(LONGEST_LINE):
                number += 1
                _check(source, number, line)
                yield line
    except UnicodeError:
        raise _undecodable(source, encoding or "utf-8") from None
    except OSError as error:
        raise FileRefused(source.name, "unreadable", f"The file cannot be read: {error.strerror}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FileRefused(source.name, "damaged_archive", f"The archive is damaged: {error}.") from None


def known_encoding(name: str) -> bool:
    """Return whether Python has an encoding of text with this name."""
    try:
        _decoded(io.BytesIO(), name)
    except LookupError:
        return False
    return True


def _decoded(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding, newline="")


def _marked(start: bytes) -> str | None:
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), None)


def _check(source: Source, number: int, line: str) -> None:
    if len(line) >= LONGEST_LINE and line[-1] not in "\r\n":
        detail = f"The line is longer than {LONGEST_LINE} characters, so this is not a table."
        raise FileRefused(source.name, "line_too_long", detail, number)
    if "\0" in line:
        raise _has_nul(source, number)


def _has_nul(source: Source, number: int) -> FileRefused:
    detail = (
        "The line has a NUL character: the file is damaged, or it is UTF-16 without a byte order mark. Export it as "
        "UTF-8, or name the encoding: --encoding utf-16-le."
    )
    return FileRefused(source.name, "nul", detail, number)


def _undecodable(source: Source, encoding: str) -> FileRefused:
    """Read the file again up to the first byte that is not in the encoding, to say where it is."""
    decoder = codecs.getincrementaldecoder(encoding)()
    place, line, ends_with_cr = 0, 1, False
    with source.open() as file:
        while True:
            chunk = file.read(_CHUNK)
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "ignore")
                line += len(_LINE_END.findall(before)) - (ends_with_cr and before.startswith("\n"))
                offset = place - waiting + error.start
                remedy = "If it comes from a Windows program, try --encoding cp1252; or export it as UTF-8."
                what = f"Byte {offset + 1} of the file (0x{error.object[error.start]:02x}) is not {encoding}."
                return FileRefused(source.name, "not_in_encoding", f"{what} {remedy}", line)
            except UnicodeError as error:  # UTF-16 without its mark after `--encoding`
                return FileRefused(source.name, "not_in_encoding", f"The file is not {encoding}: {error}.", line)
            if not chunk:  # pragma: no cover - the file was changed between both readings
                return FileRefused(source.name, "changed", "The file changed while it was read. Try again.")
            line += len(_LINE_END.findall(text)) - (ends_with_cr and text.startswith("\n"))
            ends_with_cr = text.endswith("\r") if text else ends_with_cr
            place += len(chunk)
