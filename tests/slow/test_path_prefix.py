"""The pages behind nginx under a path prefix, whether nginx cuts it from the path or not."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import URL

from course_management.access import sessions

from ..support.real_server import PATIENT, Server, end, free_port, until
from ..web.checking import parse
from ..web.conftest import client, school
from ..web.school import School

__all__ = ["client", "school"]
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
PUBLIC = "https://school.example"
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location /enrollment/ {{
      proxy_pass http://127.0.0.1:{upstream}{target};
      proxy_http_version 1.1;
      proxy_set_header Host school.example;
      proxy_set_header X-Forwarded-Proto https;
    }}
  }}
}}
"""
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt install nginx)")


@pytest.fixture(params=["/", ""], ids=["cut", "passed"])
def nginx(request: pytest.FixtureRequest, tmp_path: Path, database: URL, school: School) -> Iterator[int]:
    """Run the service and nginx in front of it, and return the port of nginx."""
    assert school
    server = Server(tmp_path, database, BASE_URL=f"{PUBLIC}/enrollment", RATELIMIT_READS="none", **PATIENT)
    port = free_port()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=tmp_path, port=port, upstream=server.port, target=request.param)
    )
    command = [str(NGINX), "-c", str(configuration), "-p", str(tmp_path)]
    proxy = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - a program of this machine
    try:
        server.wait()
        until(lambda: _accepts(port), "nginx listening")
        yield port
    finally:
        end(proxy)
        server.end()


def _accepts(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
        return True
    return False


def send(port: int, method: str, path: str, cookie: str = "") -> tuple[int, http.client.HTTPMessage, str]:
    """Send a request as a browser does, and return the status, headers and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin", "Cookie": cookie}
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()


def test_a_student_signs_in_and_follows_links_under_the_prefix(app: Flask, nginx: int, school: School) -> None:
    owner = school.owners["the student"]
    assert owner is not None
    with app.app_context():
        code = sessions.create_link(owner)

    signed_in, headers, _ = send(nginx, "POST", f"/enrollment/app/sign-in/{code}")
    cookie = headers["Set-Cookie"]
    home, next_headers, _ = send(nginx, "GET", headers["Location"], cookie.partition(";")[0])
    seen, paths = set(), [next_headers["Location"]]
    while paths:
        path = paths.pop()
        seen.add(path)
        status, _, body = send(nginx, "GET", path, cookie.partition(";")[0])
        assert status == 200, path
        root, _ = parse(body)
        links = [
            element.attributes.get(name) for element in root.walk() for name in ("href", "src", "action", "hx-get")
        ]
        own = [link.partition("#")[0] for link in links if link and not link.startswith(("#", "?"))]
        assert [link for link in own if not link.startswith("/enrollment/app/")] == [], path
        menu = [element for element in root.walk() if element.tag == "a" and element.inside("nav")]
        paths += [link for link in (element.attributes["href"] for element in menu) if link not in {*seen, *paths}]

    assert (signed_in, headers["Location"], home) == (303, "/enrollment/app/", 303)
    assert cookie.startswith("__Secure-session=")
    assert "Path=/enrollment;" in cookie
    assert len(seen) > 4
