"""An issuer at which people sign in: the one of the tests of tokens, with the authorization code flow."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..access.issuer import LocalIssuer

CLIENT_ID, CLIENT_SECRET = "pages", "a secret of the pages"
BASE_URL = "http://localhost"


class SignInIssuer(LocalIssuer):
    """Gives a code for the parameters of an authorization request, and an ID token for the code, once."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.given: dict[str, dict[str, str]] = {}
        self.changed: dict[str, Any] = {}
        """Claims of the next ID tokens that differ from the valid ones."""
        self.is_down = False
        self.client_method = "client_secret_basic"
        """How the service shows its secret at the token endpoint."""

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a service whose people sign in here."""
        client = {"oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET, "base_url": BASE_URL}
        return {**super().settings, **client}

    def authorize(self, url: str, subject: str) -> dict[str, str]:
        """Do what the issuer does after a sign-in: return the query with which it sends the browser back."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (query["client_id"], query["redirect_uri"]) == (CLIENT_ID, f"{BASE_URL}/app/login/back")
        assert (query["code_challenge_method"], query["response_type"]) == ("S256", "code")
        code = f"code-{len(self.given)}"
        self.given[code] = {**query, "subject": subject}
        return {"code": code, "state": query["state"]}

    def token_response(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the response to a code: the ID token, or an error."""
        asked = self.given.pop(form.get("code", ""), None)
        if not self._is_client(authorization, form):
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        claims = {"aud": CLIENT_ID, "nonce": asked["nonce"], **self.changed}
        token = self.token(asked["subject"], {"typ": "JWT"}, **claims)
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": token}

    def _is_client(self, authorization: str, form: dict[str, str]) -> bool:
        if self.client_method == "client_secret_post":
            return (form.get("client_id"), form.get("client_secret"), authorization) == (CLIENT_ID, CLIENT_SECRET, "")
        client = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        return authorization == f"Basic {client}" and "client_secret" not in form

    def document(self) -> dict[str, Any]:
        """Return the document by which clients find everything."""
        return {
            "issuer": self.name,
            "authorization_endpoint": f"{self.name}/authorize",
            "token_endpoint": f"{self.name}/token",
            "jwks_uri": self.jwks_url,
            "end_session_endpoint": f"{self.name}/end",
            "token_endpoint_auth_methods_supported": [self.client_method],
        }


@contextmanager
def running() -> Iterator[SignInIssuer]:
    """Run such an issuer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("openid-configuration"):
                self._send(200, issuer.document())
            else:
                self._send(200, {"keys": issuer.keys})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._send(*issuer.token_response(self.headers.get("Authorization", ""), form))

        def _send(self, status: int, document: Any) -> None:
            body = b"down" if issuer.is_down else json.dumps(document).encode()
            self.send_response(503 if issuer.is_down else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = SignInIssuer(server.server_port)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield issuer
        finally:
            server.shutdown()
