"""The container image: built by buildah on a Debian of debootstrap, and run without a daemon.

Without these programs, or without root, the test is skipped; `tests/contrib/test_container.py` runs everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.databases import ROOT
from .environments import clean, copy_of_the_checkout, run

BASE, IMAGE = "localhost/enrollment-test-base", "localhost/enrollment-test"
PROGRAMS = ("buildah", "debootstrap", "unshare", "ip")
OF_THE_MACHINE = [path for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
"""What a RUN of the build needs to reach the package index of this machine."""
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a container without a daemon needs root here"),
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}"),
]
FIRST_START = """
import atexit, json, os, signal, subprocess, sys, time, urllib.request

def ask(method, path, body=None, key=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:8000{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code

assert os.environ["HOST"] == "*"
subprocess.run(["course-management", "migrate"], check=True)
refused = subprocess.run(["course-management", "serve"], capture_output=True, text=True, timeout=60)
assert refused.returncode == 2 and "no authentication is configured" in refused.stderr, refused
for _ in range(2):  # the second start of the containers registers nothing
    subprocess.run(sys.argv[1], shell=True, check=True)
key = open("/run/secrets/admin_key").read().strip()
server = subprocess.Popen(["course-management", "serve"])
for _ in range(300):
    time.sleep(0.2)
    if subprocess.run(json.loads(sys.argv[2]), stderr=subprocess.DEVNULL).returncode == 0:
        break
else:
    server.kill()
    raise SystemExit("it never became healthy")
atexit.register(server.kill)
statuses = [
    ask("GET", "/students"),
    ask("POST", "/students", {"name": "Ada"}, key),
    ask("POST", "/courses", {"code": "CS101", "title": "Programming"}, key),
    ask("POST", "/students/1/enroll", {"course_id": 1}, key),
    ask("GET", "/metrics", None, key),
]
assert statuses == [401, 201, 201, 201, 200], statuses
server.send_signal(signal.SIGTERM)
assert server.wait(60) == 0
print("done")
"""


class Buildah:
    """Runs buildah with a store of the test's own, and without isolation that needs a daemon or a cgroup."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, clean(BUILDAH_ISOLATION="chroot")
        store = ["--root", folder / "root", "--runroot", folder / "run", "--storage-driver", "vfs"]
        self.command = ["buildah", *map(str, store)]

    def __call__(self, *arguments: str | Path) -> str:
        return run(*self.command, *arguments, cwd=self.folder, env=self.environment)

    def in_a_network_of_its_own(self, *arguments: str | Path) -> str:
        """Run a command with a loopback interface and no other, so that `HOST=*` is this machine only."""
        network = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
        return run(*network, *self.command, *arguments, cwd=self.folder, env=self.environment)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    buildah = Buildah(tmp_path_factory.mktemp("containers"))
    yield buildah
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the image from a clean copy of the checkout."""
    folder = tmp_path_factory.mktemp("image")
    debian, checkout = folder / "debian", folder / "checkout"
    packages = "python3,python3-venv,ca-certificates"
    run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", debian, cwd=folder)
    container = buildah("from", "scratch").strip()
    buildah("add", "--quiet", container, debian, "/")
    buildah("commit", "--quiet", "--rm", container, BASE)
    checkout.mkdir()
    copy_of_the_checkout(checkout)
    volumes = [f"--volume={path}:{path}:ro" for path in OF_THE_MACHINE]
    buildah(
        "bud", "--format=docker", "--pull-never", f"--build-arg=BASE={BASE}", *volumes, f"--tag={IMAGE}", checkout
    )  # fmt: skip
    return IMAGE


def test_the_first_start_of_the_image_registers_the_key_and_serves(
    buildah: Buildah, image: str, tmp_path: Path
) -> None:
    container = buildah("from", "--pull-never", image).strip()
    docker = json.loads(buildah("inspect", container))["Docker"]["config"]
    assert docker["User"] == "10001:10001"
    assert docker["Cmd"] == ["course-management", "serve"]
    kind, *check = docker["Healthcheck"]["Test"]
    assert kind == "CMD"
    data, secrets = tmp_path / "data", tmp_path / "secrets"
    for folder in (data, secrets):
        folder.mkdir(mode=0o700)
        shutil.chown(folder, 10001, 10001)
    inside = (f"--volume={data}:/srv/school", f"--volume={secrets}:/run/secrets", container, "--")
    key = secrets / "admin_key"
    key.write_text(buildah("run", *inside, "course-management", "keys", "generate"))
    key.chmod(0o600)
    shutil.chown(key, 10001, 10001)
    (data / "first_start.py").write_text(FIRST_START)
    find = ("find", "/", "-xdev", "-type", "d", "(", "-readable", "-o", "-prune", ")", "-writable", "-print")

    writable = buildah("run", *inside, *find).split()
    printed = buildah.in_a_network_of_its_own(
        "run", *inside, "python", "/srv/school/first_start.py", command_of_migrate(), json.dumps(check)
    )

    assert set(writable) <= {"/tmp", "/var/tmp", "/run/lock", "/srv/school", "/run/secrets", "/dev/shm"}  # noqa: S108
    assert "Registered" in printed
    assert "Already registered" in printed
    assert printed.strip().endswith("done")


def command_of_migrate() -> str:
    """Return what the service `migrate` of compose.yaml runs."""
    (line,) = (line for line in (ROOT / "compose.yaml").read_text().splitlines() if "keys register" in line)
    return line.partition("sh, -c, ")[2].rstrip("]").strip('"')
