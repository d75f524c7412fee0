"""An issuer of tokens on this machine: it publishes its keys over HTTP, signs anything, and can fail."""

from __future__ import annotations

import base64
import functools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "course-management"


class LocalIssuer:
    """Signs with `key_id`; `keys` are what it publishes, `fetches` how often clients fetched them."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.name = f"http://127.0.0.1:{port}"
        self.jwks_url = f"{self.name}/jwks.json"
        self.private: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = []
        self.fetches = 0
        self.responding = threading.Event()
        """While this is not set, who fetches the keys waits."""
        self.responding.set()
        self.fails = False
        self.moved_to: str | None = None
        self.make_key("first")

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings that make the service accept this issuer."""
        return {"oidc_issuer": self.name, "oidc_audience": AUDIENCE, "oidc_jwks_url": self.jwks_url}

    def make_key(self, key_id: str, algorithm: str = "RS256") -> None:
        """Sign with a new key from now on, and publish it."""
        private = _private_key(key_id, algorithm)
        kind = RSAAlgorithm if algorithm == "RS256" else ECAlgorithm
        public: dict[str, Any] = kind.to_jwk(private.public_key(), as_dict=True)
        self.private[key_id] = private
        self.keys.append({**public, "kid": key_id, "use": "sig", "alg": algorithm})
        self.key_id, self.algorithm = key_id, algorithm

    def claims(self, subject: str = "ada", **changed: Any) -> dict[str, Any]:
        """Return valid claims; those changed to None are left out."""
        now = int(time.time())
        whole = {"iss": self.name, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300, **changed}
        return {name: value for name, value in whole.items() if value is not None}

    def token(self, subject: str = "ada", headers: dict[str, Any] | None = None, **changed: Any) -> str:
        """Return a valid token, except for what is changed."""
        whole = {"kid": self.key_id, "typ": "at+jwt", **(headers or {})}
        return jwt.PyJWS().encode(  # which signs what `jwt.encode` would refuse to
            json.dumps(self.claims(subject, **changed)).encode(),
            self.private[self.key_id],
            algorithm=self.algorithm,
            headers={name: value for name, value in whole.items() if value is not None or name == "typ"},
        )


@functools.cache
def _private_key(key_id: str, algorithm: str) -> Any:  # noqa: ARG001 - each id has a key of its own
    """Return a private key. Issuers share those of one name: making an RSA key takes longer than most tests."""
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def unsigned(header: dict[str, Any], claims: Any, signature: bytes = b"") -> str:
    """Return a token with exactly these parts."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@contextmanager
def running() -> Iterator[LocalIssuer]:
    """Run an issuer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            issuer.responding.wait()
            body = json.dumps({"keys": issuer.keys}).encode()
            self.send_response(500 if issuer.fails else 302 if issuer.moved_to else 200)
            if issuer.moved_to:
                self.send_header("Location", issuer.moved_to)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = LocalIssuer(server.server_port)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield issuer
        finally:
            server.shutdown()
