"""Authentication: establish the caller and refuse what the caller is not permitted, before the request is parsed.

While no authentication is configured, only direct local clients are served, and they may do everything
(protected mode). The first API key, or an issuer in the settings, ends that permanently.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
import threading
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from flask import Request, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..context import current
from ..errors import DatabaseUnavailable, Forbidden, ProtectedMode, Unauthenticated
from ..network_addresses import is_loopback
from . import keys, people, policy
from .callers import CHALLENGE, Caller, InvalidToken
from .key_use import KeyUse
from .policy import ADMIN, PUBLIC, Access
from .rate_limits import Limits
from .visitors import PageAuthentication

if TYPE_CHECKING:
    from .tokens import Issuer

FRESH_S = 5
"""Seconds for which a process uses a key or an account that it has read, without reading it again."""
REMEMBERED = 10_000
"""How many callers a process remembers."""
MAX_CREDENTIAL = 8192


class Authentication:
    """The authentication of one app."""

    def __init__(self, settings: Settings) -> None:
        self.limits = Limits(settings)
        self.pages = PageAuthentication(settings)
        self.key_use = KeyUse(settings)
        self.issuer = _issuer(settings)
        self._origins = frozenset(settings.cors_origins)
        self.configured = self.issuer is not None
        """Whether callers must authenticate; once true, permanently."""
        self._looked = -math.inf
        self._has_looked = self._was_protected = False
        self._callers: TTLCache[bytes, Caller | Forbidden] = TTLCache(REMEMBERED, FRESH_S)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Prepare to serve: fetch the issuer's keys and connect to Redis before a request needs them."""
        self.limits.start()
        if self.issuer:
            self.issuer.keys.refresh()

    def authenticate(self) -> None:
        """Establish the caller, and refuse what its access row does not permit.

        Raises `ProtectedMode`, `Unauthenticated`, `Forbidden`, `TooManyRequests` or `StudentNotFound`.
        """
        # Flask documents `_get_current_object`, in spite of its underscore.
        this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - saves 1.3 µs per access
        environ, context = this.environ, current.get()
        view: Any = current_app.view_functions.get(this.endpoint or "")
        access: Access = PUBLIC if view is None or this.method == "OPTIONS" else view.access
        if access.by_session:
            self._authenticate_visitor(this, access)
            return
        is_public = access.scope is None
        if not self.configured:
            refusal = _refusal(environ, self._origins)
            # Public routes serve local clients in either case, also without the database.
            if (is_public and refusal is None) or self._is_protected(public=is_public, may_look=access.waits):
                if refusal:
                    raise refusal
                return
        if not is_public:
            # A caller that lost a role or a key a moment ago must not restore it.
            caller = self._caller(environ.get("HTTP_AUTHORIZATION"), fresh=access.scope == ADMIN)
            if caller and context:
                context.caller = caller
                self.limits.count(caller, this.method)
            path = this.view_args or {}
            policy.check(access, caller, path.get("student_id"), path.get("course_id"))

    def _authenticate_visitor(self, this: Request, access: Access) -> None:
        """Establish the visitor of a page, `g.visitor`, and refuse what its access row does not permit.

        Raises what `authenticate` raises.
        """
        is_protected = not self.configured and self._is_protected(public=False, may_look=True)
        if is_protected and (refusal := _refusal(this.environ, self._origins)):
            raise refusal
        self.pages.refuse_other_sites(this.environ)
        visitor = self.pages.visitor(this.cookies.get(self.pages.cookie), this.environ, is_protected=is_protected)
        g.visitor, context, path = visitor, current.get(), this.view_args or {}
        if visitor.caller and context:
            context.caller = visitor.caller
            self.limits.count(visitor.caller, this.method)
        visitor.check(access, path.get("student_id"), path.get("course_id"))

    def _is_protected(self, *, public: bool, may_look: bool) -> bool:
        """Return whether authentication is not configured, as far as this process knows.

        A liveness check must not wait for the database: after the first query, it uses the last result.
        """
        if self._has_looked and not may_look:
            return self._was_protected
        if time.monotonic() - self._looked > FRESH_S:
            self._has_looked, self._was_protected = True, False
            try:
                if keys.any_exist():  # never back to False: another thread may have found the first key meanwhile
                    self.configured = True
            except (SQLAlchemyError, DatabaseUnavailable):
                if not public:
                    raise
                return False  # so that /healthz reports that the process is up
            self._looked = time.monotonic()
            self._was_protected = not self.configured
        return not self.configured

    def _caller(self, header: str | None, *, fresh: bool) -> Caller | None:
        scheme, _, credential = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not credential:
            return None
        credential = credential.strip()
        digest = hashlib.sha256(credential.encode("latin-1", "replace")).digest()
        with self._lock:
            caller = None if fresh else self._callers.get(digest)
        if caller is None:
            try:
                caller = self._identify(credential)
            except Forbidden as unlinked:  # the token is valid, but not linked; remember that as well
                caller = unlinked
            with self._lock:
                self._callers[digest] = caller
        if isinstance(caller, Forbidden):
            raise Forbidden(caller.detail)
        return caller

    def _identify(self, credential: str) -> Caller:
        if len(credential) > MAX_CREDENTIAL:
            raise _invalid("It is too long.")
        if keys.looks_like_one(credential):
            key = keys.find(credential)
            if key is None:
                raise _invalid("There is no such API key, or it has expired or been revoked.")
            self.key_use.note(key.prefix, key.last_used_at)
            return keys.caller_of(key)
        if self.issuer is None:
            raise _invalid("It is no API key of this service, and no issuer of tokens is configured.")
        try:
            subject = self.issuer.subject_of(credential)
        except InvalidToken as error:
            raise _invalid(str(error)) from None
        person = people.find(self.issuer.name, subject)
        if person is None:
            raise Forbidden(
                "Your token is valid, but it is not linked to a student or a member of the staff. Ask the registrar."
            )
        return person


def _issuer(settings: Settings) -> Issuer | None:
    """Return the issuer that the settings name, if any."""
    if not settings.oidc_issuer:
        return None
    from .tokens import Issuer  # noqa: PLC0415 - its libraries are 13 MB in each worker, for those who need them

    return Issuer.of(settings)


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(
        f"The API key or token is not valid. {why}",
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token", error_description="{why}"'},
    )


# --- protected mode -----------------------------------------------------------------------------------------
# A proxy on this machine also connects from a local address, for clients elsewhere, so requests with headers of proxies
# are refused. A proxy that adds no header cannot be recognized; docs/access.md and SECURITY.md say what follows.

HOST = re.compile(
    r"((?P<localhost>localhost)|\[(?P<ipv6>[^]]+)\]|(?P<other>[^:]+))(:\d{1,5})?", re.ASCII | re.IGNORECASE
)
"""A Host header: a bracketed IPv6 address, an IPv4 address or a name, with or without a port."""
PROTOCOLS = {"HTTP/1.1", "HTTP/2", "HTTP/2.0", "HTTP/3"}
"""Without HTTP/1.0: nginx before 1.29.7 uses it by default for the server behind it, and hardly any client does."""

OTHER_SITE = (
    "A web page of another site sent this request. While no authentication is configured, only programs on this "
    "machine may change anything, and pages of the origins in CORS_ORIGINS."
)

PROXY_HEADERS = """
    Forwarded Via Proxy Max-Forwards Surrogate-Capability
    Client-IP True-Client-IP WL-Proxy-Client-IP WL-Proxy-SSL Incap-Client-IP Ali-CDN-Real-IP
    X-Real-IP X-Real-Port X-Client-IP X-ClientIP X-Client-Cert X-Client-DN X-Client-Verify X-Cluster-Client-IP
    X-ProxyUser-Ip X-Proxy-User X-Remote-IP X-Remote-Addr X-Remote-User Remote-User X-Coming-From X-BlueCoat-Via
    X-Rewrite-URL X-Host X-Scheme X-Url-Scheme X-HTTPS Front-End-Https X-NginX-Proxy X-Varnish X-Sucuri-ClientIP
    X-Request-Start X-Queue-Start X-Cloud-Trace-Context
"""
PROXY_PREFIXES = """
    X-Forward X-Original- X-Envoy- X-Azure- X-FD- X-Arr- X-Amz X-Appengine- X-Goog- X-MS- X-SSL- X-Kong- X-Vercel- X-NF-
    X-Auth-Request- X-Authentik- X-WebAuth- X-Akamai- Akamai- CF- Fastly- Fly- Proxy- Cdn- SSL-Client- Tailscale- OIDC-
"""
"""What proxies, load balancers, content delivery networks and sign-in proxies add to a request."""


def _in_environ(header: str) -> str:
    return re.escape("HTTP_" + header.upper().replace("-", "_"))


_PROXY = re.compile(
    "|".join(
        [
            *(f"{_in_environ(header)}$" for header in PROXY_HEADERS.split()),
            *(_in_environ(prefix) for prefix in PROXY_PREFIXES.split()),
        ]
    )
)


def _refusal(environ: Mapping[str, Any], origins: Collection[str]) -> ProtectedMode | None:
    """Return why protected mode refuses a request; None if a program on this machine sent it directly.

    Pages of these `origins`, in a browser on this machine, may change something; pages of other sites may not.
    """
    if not _is_direct_and_local(environ):
        return ProtectedMode()
    return ProtectedMode(OTHER_SITE) if _is_from_another_site(environ, origins) else None


def _is_direct_and_local(environ: Mapping[str, Any]) -> bool:
    """Return whether a client on this machine sent a request, and not a proxy on this machine for a client elsewhere.

    The Host excludes pages of other sites, in a browser on this machine, whose name resolves to 127.0.0.1 (DNS
    rebinding).
    """
    return (
        is_loopback(environ.get("REMOTE_ADDR") or "")
        and (host := HOST.fullmatch(environ.get("HTTP_HOST") or "")) is not None
        and (host["localhost"] is not None or is_loopback(host["ipv6"] or host["other"]))
        and environ.get("SERVER_PROTOCOL") in PROTOCOLS
        and not _include_a_proxy_header(tuple(environ))
    )


@functools.lru_cache(maxsize=64)
def _include_a_proxy_header(names: tuple[str, ...]) -> bool:
    """Return whether one of these headers is a proxy's. Clients send the same ones each time: 1 µs instead of 5."""
    return any(map(_PROXY.match, names))


def _is_from_another_site(environ: Mapping[str, Any], origins: Collection[str]) -> bool:
    """Return whether a page of another site sent a request that may change something.

    Only browsers send Origin and Sec-Fetch-Site.
    """
    if environ["REQUEST_METHOD"] in {"GET", "HEAD", "OPTIONS"}:
        return False
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin in origins:
        return False
    # Both are checked: behind a proxy that adds no header, Origin and Host are both the name of the proxy.
    own = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
    is_own = origin is None or origin.lower() == own.lower()
    return not is_own or site not in {None, "same-origin", "none"}
