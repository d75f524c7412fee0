"""Access tokens of people: issued by an OpenID Connect issuer, verified here, without a request to it.

Algorithms, issuer, audience and the address of the keys are fixed here or in the settings; a token chooses none of
them. RFC 7519 (JWT), 7517 (JWKS), 8725 (best current practices), 9068 (access tokens).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from ..config import Settings
from .callers import InvalidToken
from .issuer_keys import KeySet

TYPES = {"jwt", "at+jwt", "application/at+jwt"}
ID_TOKEN_TYPES = {"jwt", "none"}
"""Of ID tokens, whose header need not name a type."""
FORBIDDEN_HEADERS = {"jku", "jwk", "x5u", "x5c", "crit"}
"""Headers that contain or locate a key, or name extensions that must be understood."""
REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
LEEWAY_S = 60
MAX_SUBJECT = 255


class Issuer:
    """An issuer of tokens, the audience that its tokens for this service have, and the types that they have."""

    def __init__(self, name: str, audience: str, keys: KeySet, types: Collection[str] = TYPES) -> None:
        self.name, self.audience, self.keys, self.types = name, audience, keys, types

    @classmethod
    def of(cls, settings: Settings) -> Issuer:
        """Return the issuer that the settings name."""
        return cls(settings.oidc_issuer, settings.oidc_audience, KeySet(settings.oidc_jwks_url))

    def subject_of(self, token: str) -> str:
        """Return the `sub` of a valid token. Raises `InvalidToken`, or `IssuerUnavailable` while there are no keys."""
        subject: str = self.claims_of(token)["sub"]
        return subject

    def claims_of(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a valid token. Raises as `subject_of`."""
        try:
            return self._claims_of(token)
        except PyJWTError as error:
            raise InvalidToken(_sentence(error)) from None

    def _claims_of(self, token: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        if not FORBIDDEN_HEADERS.isdisjoint(header):
            raise InvalidToken("It must not contain a key, the address of a key, or critical extensions.")
        if str(header.get("typ")).lower() not in self.types:
            raise InvalidToken("Its type is not an access token." if self.types is TYPES else "It is no ID token.")
        key = self.keys.find(header.get("kid"))
        if key is None or key.algorithm != header.get("alg"):
            raise InvalidToken("It is not signed with a key and algorithm of the issuer.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            issuer=self.name,
            audience=self.audience,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
        )
        if claims["aud"] not in (self.audience, [self.audience]):
            raise InvalidToken("It has other audiences, too.")  # which could use it here
        if not 0 < len(claims["sub"]) <= MAX_SUBJECT or not claims["sub"].isprintable():
            raise InvalidToken("Its subject is not valid.")
        return claims


def _sentence(error: PyJWTError) -> str:
    for kind, sentence in (
        (ExpiredSignatureError, "It has expired."),
        (ImmatureSignatureError, "It is not valid yet."),
        (InvalidIssuedAtError, "Its time of issue is not valid."),
        (InvalidIssuerError, "It was issued by another issuer."),
        (InvalidAudienceError, "It is for another audience."),
        (InvalidSignatureError, "Its signature is wrong."),
    ):
        if isinstance(error, kind):
            return sentence
    if isinstance(error, MissingRequiredClaimError):
        return f"It lacks the claim {error.claim}."
    return "It is not well-formed."
