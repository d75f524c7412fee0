"""Texts that do not change while the process runs: compressed once, with a strong ETag for each encoding."""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import cast

from flask import Response, request


@dataclass(frozen=True, slots=True)
class Form:
    """The bytes of an asset in one content encoding, and their ETag."""

    data: bytes
    tag: str


class Asset:
    """An asset, as it is and compressed."""

    def __init__(self, data: bytes, media_type: str) -> None:
        self.media_type = media_type
        self.tag = blake2b(data, digest_size=8).hexdigest()
        self._plain = Form(data, self.tag)
        compressed = gzip.compress(data, mtime=0)
        self._gzip = Form(compressed, f"{self.tag}-gzip") if len(compressed) < len(data) else self._plain

    def response(self, cache_control: str | None = None) -> Response:
        """Return the asset in an encoding that the client accepts, or 304 if the client has it."""
        form = self._gzip if request.accept_encodings.quality("gzip") > 0 else self._plain
        response = Response(form.data, mimetype=self.media_type)
        if form is not self._plain:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        if cache_control:
            response.headers["Cache-Control"] = cache_control
        response.set_etag(form.tag)
        return cast("Response", response.make_conditional(request))


@cache
def of_folder(folder: Path) -> dict[str, Asset]:
    """Return the files of a folder by name. They are compressed in the first call: 0.07 s for 2.5 MB."""
    return {
        path.name: Asset(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "text/plain")
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def version_of(assets: dict[str, Asset]) -> str:
    """Return a digest of all assets. An address that contains it can be cached permanently."""
    return blake2b("".join(asset.tag for asset in assets.values()).encode(), digest_size=6).hexdigest()
