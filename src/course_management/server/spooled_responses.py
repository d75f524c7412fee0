"""Write and send the bodies of exports, in threads of their own: neither may hold a thread that other requests need.

One export is written at a time, and only a few are sent at once; others get 503. The file of an export has no name, so
it is gone when it was sent, or when the process ends.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, NamedTuple

import structlog

from ..spooled_body import SpooledBody
from .large_responses import PIECE

if TYPE_CHECKING:
    from .application import Response, Transport

MAX_SENDING = 8
"""Maximum number of exports that one process writes or sends at once. A client that reads slowly holds one for long."""

log = structlog.get_logger(__name__)


class SpooledResponse(NamedTuple):
    """A response whose body is to be written."""

    status: int
    headers: list[tuple[str, str]]
    body: SpooledBody


class SpooledResponses:
    """Writes the bodies of a process one after the other, and sends each in its thread."""

    def __init__(self, at_once: int = MAX_SENDING) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._writing = threading.Lock()

    def send(
        self, transport: Transport, response: SpooledResponse, error_response: Callable[[BaseException], Response]
    ) -> bool:
        """Write and send a response in a new thread. Return False if too many are in progress.

        If the body cannot be written, `error_response` makes another one.
        """
        if not self._free.acquire(blocking=False):
            return False
        if not self._writing.acquire(blocking=False):
            self._free.release()
            return False
        try:
            threading.Thread(
                target=self._send, args=(transport, response, error_response), name="export", daemon=True
            ).start()
        except RuntimeError:
            self._writing.release()
            self._free.release()
            return False
        return True

    def _send(
        self, transport: Transport, response: SpooledResponse, error_response: Callable[[BaseException], Response]
    ) -> None:
        try:
            try:
                file = self._write(response.body)
            except BaseException as error:  # noqa: BLE001 - the client gets a response, whatever was raised
                transport.response_bytes(*error_response(error))
                return
            finally:
                self._writing.release()
            with file:
                size = file.seek(0, 2)
                file.seek(0)
                headers = [*response.headers, ("Content-Length", str(size))]
                transport.response_iter(response.status, headers, _Pieces(file))
        finally:
            self._free.release()

    @staticmethod
    def _write(body: SpooledBody) -> IO[bytes]:
        started = time.monotonic()
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed here on an error, else by `_send`
        try:
            body.write_to(file)
        except BaseException:
            file.close()
            raise
        log.info("export.written", bytes=file.tell(), seconds=round(time.monotonic() - started, 3))
        return file


class _Pieces(Iterator[bytes]):
    """The pieces of a file, with the `close` that granian calls after the last one or when the connection ended."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __next__(self) -> bytes:
        if piece := self._file.read(PIECE):
            return piece
        raise StopIteration

    def close(self) -> None:
        """Do nothing: the file is closed by `SpooledResponses`."""
