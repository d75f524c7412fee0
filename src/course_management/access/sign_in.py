"""Sign in to the pages at the issuer: OpenID Connect, the authorization code flow with PKCE.

Authlib speaks the protocol. Its connection is `fetching.fetch`, which has one time limit for all of it, and ID tokens
are verified as access tokens are (`tokens`): Authlib itself would need an HTTP client without either.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hmac import compare_digest
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlencode

import structlog
from authlib.common.security import generate_token
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from itsdangerous import BadData, URLSafeTimedSerializer

from ..config import Settings
from ..errors import IssuerUnavailable, SignInFailed
from ..urls import web_address
from .callers import InvalidToken
from .fetching import Refused, fetch
from .issuer_keys import KeySet
from .tokens import ID_TOKEN_TYPES, Issuer

WITHIN_S = 5
"""Time limit for one call to the issuer, in seconds; a request waits for it."""
MAX_BYTES = 256 * 1024
LASTS_S = 600
"""Seconds that a person has to sign in at the issuer."""
TURN_S = 1
"""Seconds that a request waits until others have called the issuer."""

log = structlog.get_logger(__name__)


class StartedSignIn(NamedTuple):
    """A sign-in that has begun: where to send the browser, and what the browser keeps in a cookie meanwhile."""

    url: str
    kept: str


class CompletedSignIn(NamedTuple):
    """A sign-in that succeeded: the subject of the ID token, and where the visitor wanted to go."""

    subject: str
    next_path: str


class SignIn:
    """The sign-in of one app at its issuer."""

    def __init__(self, settings: Settings, keys: KeySet) -> None:
        self.issuer = Issuer(settings.oidc_issuer, settings.oidc_client_id, keys, ID_TOKEN_TYPES)
        self._client_id, self._client_secret = settings.oidc_client_id, settings.oidc_client_secret
        self._redirect_uri = f"{settings.base_url}/app/login/back"
        # All workers sign with the same key, and nobody else knows it.
        self._signer = URLSafeTimedSerializer(settings.oidc_client_secret, salt="sign-in")
        self._endpoints: Mapping[str, str] = {}
        # An issuer that hangs must not keep all threads waiting.
        self._turns = threading.Semaphore(max(1, settings.threads - 1))

    def begin(self, next_path: str) -> StartedSignIn:
        """Begin a sign-in, after which the visitor goes on to `next_path`. Raises `IssuerUnavailable`."""
        with self._turn():
            endpoints = self._discovered()
        secrets = {"state": generate_token(48), "nonce": generate_token(48), "code_verifier": generate_token(64)}
        url, _ = self._client().create_authorization_url(endpoints["authorization_endpoint"], **secrets)
        return StartedSignIn(url, self._signer.dumps({**secrets, "next": next_path}))

    def finish(self, response: Mapping[str, str], kept: str | None) -> CompletedSignIn:
        """Finish a sign-in: `response` is the query with which the issuer sends the browser back.

        `kept` is what the browser has kept. Raises `SignInFailed` or `IssuerUnavailable`.
        """
        try:
            begun = self._signer.loads(kept or "", max_age=LASTS_S)
        except BadData:
            raise SignInFailed from None
        # Both before anything is sent: the response may be a forgery, for a code of somebody else.
        if not compare_digest(begun["state"].encode(), response.get("state", "").encode("utf-8", "replace")):
            raise SignInFailed
        if response.get("iss", self.issuer.name) != self.issuer.name or "code" not in response:
            log.info("sign_in.refused", error=response.get("error", "")[:50])
            raise SignInFailed
        with self._turn():
            token = self._token(response["code"], begun["code_verifier"])
        try:
            claims = self.issuer.claims_of(str(token.get("id_token")))
        except InvalidToken as error:
            log.warning("sign_in.invalid_token", reason=str(error))
            raise SignInFailed from None
        if not compare_digest(str(claims.get("nonce")).encode("utf-8", "replace"), begun["nonce"].encode()):
            raise SignInFailed
        return CompletedSignIn(claims["sub"], begun["next"])

    def end_url(self) -> str | None:
        """Return where people sign out at the issuer, if it says so and has been asked before."""
        return self._endpoints.get("end_session_endpoint")

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            _Connection(),
            self._client_id,
            self._client_secret,
            scope="openid",
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method=self._endpoints.get("auth_method"),
        )

    def _discovered(self) -> Mapping[str, str]:
        """Return the addresses that the issuer publishes; they are fetched once."""
        if not self._endpoints:
            document = json.loads(
                fetch(f"{self.issuer.name.rstrip('/')}/.well-known/openid-configuration", MAX_BYTES, WITHIN_S)
            )
            if document["issuer"] != self.issuer.name:
                raise ValueError("the document is of another issuer")
            methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            found = {"auth_method": "client_secret_basic"}
            if "client_secret_basic" not in methods and "client_secret_post" in methods:
                found["auth_method"] = "client_secret_post"
            for name in ("authorization_endpoint", "token_endpoint"):
                found[name] = web_address(document[name])
            if end := document.get("end_session_endpoint"):
                found["end_session_endpoint"] = web_address(end)
            self._endpoints = found
        return self._endpoints

    def _token(self, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            token: Mapping[str, Any] = self._client().fetch_token(
                self._discovered()["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
            )
        except OAuth2Error as error:
            log.warning("sign_in.code_refused", error=str(error.error)[:50])
            raise SignInFailed from None
        return token

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Call the issuer in this block. Raises `IssuerUnavailable` if it fails, or has too many calls to answer."""
        if not self._turns.acquire(timeout=TURN_S):
            raise IssuerUnavailable("Too many people are signing in at the moment.")
        try:
            yield
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            log.warning("sign_in.issuer_unavailable", error=type(error).__name__)
            raise IssuerUnavailable("The sign-in service of your institution is unavailable.") from None
        finally:
            self._turns.release()


class _TokenResponse:
    """The part of a response that Authlib reads."""

    def __init__(self, status_code: int, document: bytes) -> None:
        self.status_code, self._document = status_code, document

    def json(self) -> Any:
        return json.loads(self._document)

    def raise_for_status(self) -> None:
        raise HTTPException(f"the response has the status {self.status_code}")


class _Connection:
    """The part of an HTTP client that Authlib uses."""

    def post(self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: ClientAuth) -> _TokenResponse:
        url, prepared, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        try:
            return _TokenResponse(200, fetch(url, MAX_BYTES, WITHIN_S, body=body, headers=prepared))
        except Refused as refusal:
            return _TokenResponse(refusal.status, refusal.document)
