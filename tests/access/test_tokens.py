"""Tokens of people: valid ones, a corpus of forgeries, and an issuer that changes its keys or fails."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.client import BadStatusLine, HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient

from course_management.access.callers import InvalidToken
from course_management.access.issuer_keys import COOLDOWN_S, MAX_KEYS_BYTES, STALE_S, KeySet
from course_management.access.tokens import Issuer
from course_management.errors import IssuerUnavailable
from course_management.services import people

from .issuer import AUDIENCE, LocalIssuer, unsigned

STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
CURVE = ec.generate_private_key(ec.SECP256R1())


def now() -> int:
    return int(time.time())


def with_public_key_as_secret(issuer: LocalIssuer) -> str:
    """Sign with the verifier's public key as a shared secret, the classic attack."""
    public = issuer.private[issuer.key_id].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, _, _ = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": issuer.key_id}, issuer.claims()).rpartition(".")
    mac = hmac.new(pem, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def by_stranger(issuer: LocalIssuer, **headers: Any) -> str:
    return jwt.encode(
        issuer.claims(), STRANGER, algorithm="RS256", headers={"kid": issuer.key_id, "typ": "at+jwt", **headers}
    )


def none(issuer: LocalIssuer, name: str = "none") -> str:
    return unsigned({"alg": name, "typ": "at+jwt", "kid": issuer.key_id}, issuer.claims())


def changed_afterwards(issuer: LocalIssuer) -> str:
    head, _, signature = issuer.token().split(".")
    body = base64.urlsafe_b64encode(json.dumps(issuer.claims("registrar")).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


FORGERIES: dict[str, Callable[[LocalIssuer], str]] = {
    "no algorithm": none,
    "no word of the algorithm": lambda issuer: unsigned({"typ": "at+jwt", "kid": issuer.key_id}, issuer.claims()),
    "no algorithm, in capitals": lambda issuer: none(issuer, "NONE"),
    "the public key as a secret": with_public_key_as_secret,
    "another algorithm of the same key": lambda issuer: jwt.encode(
        issuer.claims(), issuer.private["first"], algorithm="PS256", headers={"kid": "first", "typ": "at+jwt"}
    ),
    "a stranger's key under the issuer's id": by_stranger,
    "a stranger's key of another kind": lambda issuer: jwt.encode(
        issuer.claims(), CURVE, algorithm="ES256", headers={"kid": "first", "typ": "at+jwt"}
    ),
    "a stranger's address of keys": lambda issuer: by_stranger(issuer, jku="https://evil.example/jwks.json"),
    "the right signature, with an address of keys": lambda issuer: issuer.token(
        headers={"jku": "https://evil.example"}
    ),
    "a stranger's key inside": lambda issuer: by_stranger(issuer, jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "a stranger's certificate inside": lambda issuer: by_stranger(issuer, x5c=["MIIB"]),
    "unknown rules": lambda issuer: issuer.token(headers={"crit": ["exp"]}),
    "an unknown key": lambda issuer: issuer.token(headers={"kid": "who?"}),
    "a number as the key": lambda issuer: unsigned({"alg": "RS256", "typ": "JWT", "kid": 1}, issuer.claims()),
    "a path as the key": lambda issuer: by_stranger(issuer, kid="../../dev/null"),
    "another issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "nearly the issuer": lambda issuer: issuer.token(iss=f"{issuer.name}/"),
    "another audience": lambda issuer: issuer.token(aud="library"),
    "audiences as a list": lambda issuer: issuer.token(aud=[AUDIENCE, "library"]),
    "no audience": lambda issuer: issuer.token(aud=None),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "no subject": lambda issuer: issuer.token(sub=None),
    "an empty subject": lambda issuer: issuer.token(""),
    "a subject with a line break": lambda issuer: issuer.token("ada\nregistrar"),
    "a long subject": lambda issuer: issuer.token("a" * 256),
    "no end": lambda issuer: issuer.token(exp=None),
    "no time of issue": lambda issuer: issuer.token(iat=None),
    "expired": lambda issuer: issuer.token(exp=now() - 120),
    "issued in the future": lambda issuer: issuer.token(iat=now() + 600, exp=now() + 900),
    "not valid yet": lambda issuer: issuer.token(nbf=now() + 600),
    "an end without end": lambda issuer: issuer.token(exp=float("inf")),
    "an end that is no number": lambda issuer: issuer.token(exp=float("nan")),
    "issued at no time": lambda issuer: issuer.token(iat=float("inf")),
    "a beginning without end": lambda issuer: issuer.token(nbf=float("inf")),
    "a subject that is a number": lambda issuer: issuer.token(sub=7),
    "a subject that is a list": lambda issuer: issuer.token(sub=["ada"]),
    "an issuer that is a list": lambda issuer: issuer.token(iss=[issuer.name]),
    "an end in words": lambda issuer: issuer.token(exp="tomorrow"),
    "the wrong type": lambda issuer: issuer.token(headers={"typ": "logout+jwt"}),
    "no type": lambda issuer: issuer.token(headers={"typ": None}),
    "changed afterwards": changed_afterwards,
    "without its signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "cut off": lambda issuer: issuer.token()[:-10],
    "encrypted": lambda _: ".".join(["e30"] * 5),
    "not a token": lambda _: "registrar",
    "no JSON inside": lambda _: "bm90.anNvbg.",
    "a list as its header": lambda _: unsigned([], {}),  # type: ignore[arg-type]
    "deep": lambda _: f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.e30.e30",
    "64 kB": lambda issuer: issuer.token(padding="x" * 64_000),
    "control characters": lambda _: "a\tb",
    "not ASCII": lambda _: "clé",
}


@pytest.fixture
def ada(app: Flask, session_issuer: LocalIssuer) -> None:
    with app.app_context():
        people.appoint(session_issuer.name, "ada", "registrar")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.usefixtures("ada")
class TestAuthentication:
    @pytest.mark.parametrize("headers", [{}, {"typ": "JWT"}, {"typ": "application/at+jwt"}])
    def test_a_valid_token_is_accepted(
        self, stranger: FlaskClient, session_issuer: LocalIssuer, headers: dict[str, str]
    ) -> None:
        token = session_issuer.token(headers=headers)
        assert stranger.get("/students", headers=bearer(token)).status_code == 200

    def test_a_minute_of_difference_between_clocks_is_allowed(
        self, stranger: FlaskClient, session_issuer: LocalIssuer
    ) -> None:
        token = session_issuer.token(iat=now() + 50, exp=now() - 50)
        assert stranger.get("/students", headers=bearer(token)).status_code == 200

    @pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
    def test_a_forgery_is_401(self, stranger: FlaskClient, session_issuer: LocalIssuer, forge: Any) -> None:
        response = stranger.get("/students", headers=bearer(forge(session_issuer)))

        assert (response.status_code, response.get_json()["code"]) == (401, "unauthenticated")
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YWRhOmFkYQ==", "ada", "Bearer\tx", "Digest x"])
    def test_no_credentials_are_401(self, stranger: FlaskClient, header: str) -> None:
        response = stranger.get("/students", headers={"Authorization": header})

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="course-management"'


def test_the_corpus_of_forgeries_is_large_enough() -> None:
    assert len(FORGERIES) >= 24


# --- the issuer's keys ------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass, for the keys."""
    passed = 0.0
    real = time.monotonic

    def forward(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr("course_management.access.issuer_keys.time.monotonic", lambda: real() + passed)
    return forward


def of(issuer: LocalIssuer) -> Issuer:
    return Issuer(issuer.name, AUDIENCE, KeySet(issuer.jwks_url))


def test_rsa_and_elliptic_curve_keys_are_supported(issuer: LocalIssuer) -> None:
    service = of(issuer)
    assert service.subject_of(issuer.token()) == "ada"
    issuer.make_key("second", "ES256")
    assert of(issuer).subject_of(issuer.token()) == "ada"


def test_tokens_are_accepted_while_the_issuer_rotates_its_keys(
    issuer: LocalIssuer, clock: Callable[[float], None]
) -> None:
    service = of(issuer)
    old = issuer.token()
    service.subject_of(old)
    issuer.make_key("second")
    clock(COOLDOWN_S + 1)

    assert service.subject_of(issuer.token()) == "ada"
    assert service.subject_of(old) == "ada"

    issuer.keys = issuer.keys[1:]
    clock(COOLDOWN_S + 1)
    with pytest.raises(InvalidToken):
        service.subject_of(issuer.token(headers={"kid": "anything"}))  # which fetches the keys
    with pytest.raises(InvalidToken):
        service.subject_of(old)


def test_a_thousand_unknown_key_ids_cause_one_fetch(issuer: LocalIssuer, clock: Callable[[float], None]) -> None:
    service = of(issuer)
    service.subject_of(issuer.token())
    clock(COOLDOWN_S + 1)

    for number in range(1_000):
        with pytest.raises(InvalidToken):
            service.subject_of(unsigned({"alg": "RS256", "typ": "JWT", "kid": f"key-{number}"}, {}))

    assert issuer.fetches == 2


def test_fifty_simultaneous_first_tokens_cause_one_fetch(issuer: LocalIssuer) -> None:
    service, token, start = of(issuer), issuer.token(), threading.Barrier(50)
    found = []

    def ask() -> None:
        start.wait()
        found.append(service.subject_of(token))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (found, issuer.fetches) == (["ada"] * 50, 1)


def test_known_keys_remain_in_use_during_an_outage(issuer: LocalIssuer, clock: Callable[[float], None]) -> None:
    service = of(issuer)
    service.subject_of(issuer.token())
    issuer.fails = True
    clock(10 * STALE_S)

    for _ in range(20):
        assert service.subject_of(issuer.token()) == "ada"


def test_stale_keys_are_refreshed_in_the_background(issuer: LocalIssuer, clock: Callable[[float], None]) -> None:
    service = of(issuer)
    service.subject_of(issuer.token())
    clock(STALE_S + 1)

    service.subject_of(issuer.token())

    deadline = time.monotonic() + 10
    while issuer.fetches < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_tokens_get_503_until_keys_were_fetched(
    make_app: Callable[..., Flask], issuer: LocalIssuer, clock: Callable[[float], None]
) -> None:
    issuer.fails = True
    app = make_app(**issuer.settings)
    with app.app_context():
        people.appoint(issuer.name, "ada", "registrar")
    client = app.test_client()

    response = client.get("/students", headers=bearer(issuer.token()))
    assert (response.status_code, response.get_json()["code"]) == (503, "issuer_unavailable")
    assert response.headers["Retry-After"] == str(COOLDOWN_S)

    issuer.fails = False
    clock(COOLDOWN_S + 1)
    assert client.get("/students", headers=bearer(issuer.token())).status_code == 200


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": 5}',
        b'{"keys": []}',
        b'{"keys": [5]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]}',
        b'{"keys": [{"kty": "RSA", "kid": "first"}]}',
        b'{"keys": [{"kty": "EC", "crv": "P-521", "kid": "first"}]}',
        b"\xff" * 100,
    ],
)
def test_a_document_without_a_usable_key_is_an_outage(document: bytes) -> None:
    with pytest.raises(IssuerUnavailable):
        KeySet("http://127.0.0.1", lambda _: document).find("first")


def test_an_unreadable_key_does_not_affect_the_others(issuer: LocalIssuer) -> None:
    document = json.loads(urlopen(issuer.settings["oidc_jwks_url"]).read())  # noqa: S310 - our own
    document["keys"].insert(0, {"kty": "RSA", "kid": "odd", "n": "AQAB", "e": "\N{SNOWMAN}"})
    assert KeySet("http://127.0.0.1", lambda _: json.dumps(document).encode()).find(issuer.key_id)


@pytest.mark.parametrize("error", [BadStatusLine("?"), RecursionError(), TimeoutError()])
def test_every_exception_of_a_fetch_is_an_outage(error: Exception) -> None:
    def fetch(_: str) -> bytes:
        raise error

    with pytest.raises(IssuerUnavailable):
        KeySet("http://127.0.0.1", fetch).find("first")


def test_a_subject_without_an_account_is_looked_up_once(
    make_app: Callable[..., Flask], issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects: list[str] = []
    monkeypatch.setattr("course_management.access.people.find", lambda _, subject: subjects.append(subject))
    client, header = make_app(**issuer.settings).test_client(), bearer(issuer.token("who?"))
    responses = [client.get("/students", headers=header) for _ in range(5)]
    assert {(response.status_code, response.get_json()["code"]) for response in responses} == {(403, "forbidden")}
    assert "not linked" in responses[-1].get_json()["detail"]
    assert subjects == ["who?"]


def test_a_document_over_the_size_limit_is_an_outage(issuer: LocalIssuer) -> None:
    issuer.keys.append({"padding": "x" * MAX_KEYS_BYTES})
    with pytest.raises(IssuerUnavailable):
        of(issuer).subject_of(issuer.token())


def test_a_small_key_is_not_used() -> None:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(SMALL.public_key(), as_dict=True)
    document = json.dumps({"keys": [{**public, "kid": "first"}]}).encode()
    with pytest.raises(IssuerUnavailable):
        KeySet("http://127.0.0.1", lambda _: document).find("first")


def test_a_key_for_encryption_is_not_used(issuer: LocalIssuer) -> None:
    issuer.keys[0]["use"] = "enc"
    with pytest.raises(IssuerUnavailable):
        of(issuer).subject_of(issuer.token())


def test_a_redirect_is_not_followed(issuer: LocalIssuer) -> None:
    issuer.moved_to = "/elsewhere"
    with pytest.raises(IssuerUnavailable):
        of(issuer).subject_of(issuer.token())
    assert issuer.fetches == 1


def test_a_token_without_a_key_id_uses_the_only_key(issuer: LocalIssuer, clock: Callable[[float], None]) -> None:
    service = of(issuer)
    assert service.subject_of(issuer.token(headers={"kid": None})) == "ada"

    issuer.make_key("second")
    clock(COOLDOWN_S + 1)
    with pytest.raises(InvalidToken):
        of(issuer).subject_of(issuer.token(headers={"kid": None}))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_third_party_provider_works(make_app: Callable[..., Flask]) -> None:
    """The flow of an institution, from the discovery document to a response of this service."""
    oidc_provider_mock: Any = pytest.importorskip("oidc_provider_mock")  # here, as it warns when it is imported

    with oidc_provider_mock.run_server_in_thread() as server:
        base = f"http://127.0.0.1:{server.server_port}"
        found = json.load(urlopen(f"{base}/.well-known/openid-configuration"))  # noqa: S310 - our own server
        app = make_app(oidc_issuer=found["issuer"], oidc_audience=AUDIENCE, oidc_jwks_url=found["jwks_uri"])
        with app.app_context():
            people.appoint(found["issuer"], "ada", "registrar")
        client = app.test_client()

        assert client.get("/students", headers=bearer(log_in(found, "ada"))).status_code == 200
        assert client.get("/students", headers=bearer(log_in(found, "mallory"))).status_code == 403


def log_in(provider: dict[str, str], subject: str) -> str:
    """Go through the code flow; the ID token, which is the one that this provider signs."""
    back = "https://courses.example.edu/back"
    query = {"client_id": AUDIENCE, "redirect_uri": back, "response_type": "code", "scope": "openid"}
    there = urlsplit(provider["authorization_endpoint"])
    connection = HTTPConnection(there.netloc)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"{there.path}?{urlencode(query)}", urlencode({"sub": subject}), form)
    response = connection.getresponse()
    response.read()
    (code,) = parse_qs(urlsplit(response.headers["Location"]).query)["code"]
    secret = base64.b64encode(f"{AUDIENCE}:secret".encode()).decode()
    body = urlencode({"grant_type": "authorization_code", "code": code, "redirect_uri": back})
    connection.request("POST", "/oauth2/token", body, {**form, "Authorization": f"Basic {secret}"})
    token = str(json.load(connection.getresponse())["id_token"])
    connection.close()
    return token
