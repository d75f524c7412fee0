"""Tokens of people: made by an OpenID Connect issuer, checked here, without asking anybody.

What decides is fixed here or in the settings, never in the token: the algorithms, the issuer, the audience, and where
the keys come from. RFC 7519 (JWT), 7517 (JWKS), 8725 (what goes wrong), 9068 (access tokens).
"""

from __future__ import annotations

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
ELSEWHERE = {"jku", "jwk", "x5u", "x5c", "crit"}
"""Headers by which a token would bring its own key, or ask for rules that nobody here knows."""
REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
LEEWAY_S = 60
MAX_SUBJECT = 255


class Issuer:
    """An issuer of tokens, and the audience we are to it."""

    def __init__(self, name: str, audience: str, keys: KeySet) -> None:
        self.name, self.audience, self.keys = name, audience, keys

    @classmethod
    def of(cls, settings: Settings) -> Issuer:
        """The issuer of the settings."""
        return cls(settings.oidc_issuer, settings.oidc_audience, KeySet(settings.oidc_jwks_url))

    def subject_of(self, token: str) -> str:
        """Whom the token speaks of. Raises `InvalidToken`, or `IssuerUnavailable` while there are no keys."""
        try:
            return self._subject_of(token)
        except PyJWTError as error:
            raise InvalidToken(_sentence(error)) from None

    def _subject_of(self, token: str) -> str:
        header = jwt.get_unverified_header(token)
        if not ELSEWHERE.isdisjoint(header):
            raise InvalidToken("It must not bring its own key or extensions.")
        if str(header.get("typ")).lower() not in TYPES:
            raise InvalidToken("Its type is not that of an access token.")
        key = self.keys.find(header.get("kid"))
        if key is None or key.algorithm != header.get("alg"):
            raise InvalidToken("It is not signed with a key and algorithm of the issuer's.")
        claims = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            issuer=self.name,
            audience=self.audience,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
        )
        if claims["aud"] not in (self.audience, [self.audience]):
            raise InvalidToken("It is for others as well.")  # and so in their hands
        subject: str = claims["sub"]
        if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise InvalidToken("Its subject cannot be one.")
        return subject


def _sentence(error: PyJWTError) -> str:
    for kind, sentence in (
        (ExpiredSignatureError, "It has expired."),
        (ImmatureSignatureError, "It is not valid yet."),
        (InvalidIssuedAtError, "Its time of issue cannot be one."),
        (InvalidIssuerError, "It is from another issuer."),
        (InvalidAudienceError, "It is for another audience."),
        (InvalidSignatureError, "Its signature is wrong."),
    ):
        if isinstance(error, kind):
            return sentence
    if isinstance(error, MissingRequiredClaimError):
        return f"It lacks the claim {error.claim}."
    return "It is not well-formed."
