"""The caller is not known, or not permitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .base import Problem


class Unauthenticated(Problem):
    code, status, title = "unauthenticated", 401, "Authentication is required"
    meaning = "This needs an API key or a token, and the request has none that is valid."
    remedy = (
        "Send the header Authorization: Bearer, with the key of your service or a token of your institution's issuer. "
        "Ask for a new one if it has expired."
    )
    always: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="course-management"'}


class Forbidden(Problem):
    code, status, title = "forbidden", 403, "Forbidden"
    meaning = "Your credentials do not permit this action."
    remedy = (
        "The documentation lists who may use each route. Ask the registrar, or ask for a key with the scope that is "
        "named."
    )


class ProtectedMode(Problem):
    code, status, title = "protected_mode", 403, "Protected mode"
    meaning = (
        "No authentication is configured, so this service only accepts requests that are sent directly from its own "
        "machine: create a key with `course-management keys create`, or set OIDC_ISSUER."
    )
    remedy = (
        "On the machine itself, call http://127.0.0.1 or http://localhost with HTTP/1.1 and without a proxy. For all "
        "other callers, the operator configures authentication; the documentation says how."
    )


class TooManyRequests(Problem):
    code, status, title = "too_many_requests", 429, "Too many requests"
    meaning = "You have sent more requests than are allowed in this time."
    remedy = "Wait as many seconds as the Retry-After header says, then go on. Nothing of this request was applied."


class SignInFailed(Problem):
    code, status, title = "sign_in_failed", 400, "Sign-in failed"
    meaning = "The sign-in to the pages was not completed, or began in another browser or too long ago."
    remedy = "Sign in again from the start page. A sign-in link works once, for ten minutes: ask for a new one."


class IssuerUnavailable(Problem):
    code, status, title = "issuer_unavailable", 503, "Issuer unavailable"
    meaning = "Tokens cannot be checked, because the public keys of their issuer are unavailable."
    remedy = "Wait the seconds of Retry-After and repeat the request. API keys work meanwhile."
    always: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}
