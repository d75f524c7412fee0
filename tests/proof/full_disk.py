"""The file system of the database is full: reads go on, writes are refused as long as it lasts, nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL

from .clients import Unserved
from .load import Load
from .report import Check
from .settled import settled
from .stage import Ground, Skipped

MIB = 1024 * 1024
MANY = 5000
"""Writes after which a disk that is still not full is no full disk."""


def prove(ground: Ground, seed: int) -> tuple[dict[str, int], list[Check]]:
    """Fill the disk, write until there is no room, read, make room, write again."""
    with (
        small_disk(ground.folder / "disk") as disk,
        _database_on(disk, ground) as url,
        ground.stage(url) as stage,
        closing(Load(stage, seed, clients=1)) as load,
    ):
        (client,) = load.clients
        for _ in range(50):
            client.step()
        ballast = disk / "ballast"
        _fill(ballast)
        refused = [_write_until_refused(load) for _ in range(3)]
        while_full = [client.caller.once("GET", path) for path in _reads(load)]
        ballast.unlink()
        before = load.count("503")
        for _ in range(200):
            client.step()
        checks = [
            Check("writes without free space", refused, [(503, "database_unavailable")] * 3),
            Check(
                "reads that failed meanwhile", sum(not response or response.status != 200 for response in while_full)
            ),
            Check("503 responses when there was room again", load.count("503") - before),
            Check("responses lost", load.count("responses lost")),
            *settled(load),
            *stage.verified(promoting=True),
        ]
        return {"operations": load.operations, "reads without room": len(while_full)}, checks


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small file system in memory. Raises `Skipped` where this user may not mount one."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: S603
        raise Skipped("this user may not mount a small file system (tmpfs)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


@contextmanager
def _database_on(disk: Path, ground: Ground) -> Iterator[URL]:
    """Create a migrated database there. PostgreSQL's write-ahead log stays where it is: without it, PostgreSQL ends."""
    url = ground.databases.migrated()
    if not ground.postgresql:
        yield url.set(database=str(shutil.copy(str(url.database), disk)))
        return
    space = disk / "tablespace"
    space.mkdir()
    owner = ground.postgresql.folder.stat()
    os.chown(space, owner.st_uid, owner.st_gid)
    ground.databases.run(f"CREATE TABLESPACE small LOCATION '{space}'")
    ground.databases.run(f'ALTER DATABASE "{url.database}" SET TABLESPACE small')
    try:
        yield url
    finally:  # PostgreSQL must not miss the disk when it is gone
        ground.databases.drop(url)
        ground.databases.run("DROP TABLESPACE small")


def _fill(ballast: Path) -> None:
    """Take all the room there is."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for size in (MIB, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
        os.fsync(file.fileno())


def _write_until_refused(load: Load) -> tuple[int, str] | None:
    """Go on until there is a 503; its status and code."""
    (client,) = load.clients
    client.caller.patient = False
    try:
        for _ in range(MANY):
            client.step()
    except Unserved as unserved:
        return unserved.response.status, unserved.response.body["code"]
    finally:
        client.caller.patient = True
    return None


def _reads(load: Load) -> list[str]:
    return [
        *(f"/students/{student}/courses?status=any" for student in load.clients[0].students),
        *(f"/courses/{course}/students" for course in load.courses),
        *(f"/courses/{course}/history" for course in load.courses),
        "/readyz",
    ]
