"""Protected mode: while no authentication is configured, only programs on this machine that call directly are served.

A proxy on this machine also connects from a local address, for clients elsewhere, so requests with headers of proxies
are refused. A proxy that adds no header cannot be recognized; docs/access.md and SECURITY.md say what follows from
that.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ProtectedMode
from ..network_addresses import is_loopback

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
            *(f"{_in_environ(each)}$" for each in PROXY_HEADERS.split()),
            *(_in_environ(each) for each in PROXY_PREFIXES.split()),
        ]
    )
)


def refusal(environ: Mapping[str, Any], origins: Collection[str]) -> ProtectedMode | None:
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
