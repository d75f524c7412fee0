"""The connection to PostgreSQL cut at COMMIT: no client knows whether it was applied until the request is repeated."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing
from pathlib import Path

from .load import Load
from .proxy import MOMENTS, Proxy
from .report import Check
from .settled import settled
from .stage import Stage

MANY = 500
"""Operations of which at least one must change something."""


def prove(stage: Stage, seed: int, cuts: int) -> tuple[dict[str, int], list[Check]]:
    """Run a server behind a proxy. Half of the cuts are single; the others cut the service's repetition, too."""
    assert stage.postgresql
    chance = random.Random(seed)  # noqa: S311 - where to cut
    with closing(Proxy(str(Path(str(stage.url.query["host"])) / ".s.PGSQL.5432"))) as proxy:
        through = stage.url.set(
            host="127.0.0.1", port=proxy.port, query={"sslmode": "disable", "gssencmode": "disable"}
        )
        stage.serve(through)
        with closing(Load(stage, seed, clients=1, faults=True)) as load:
            return _cut(load, proxy, chance, cuts)


def _cut(load: Load, proxy: Proxy, chance: random.Random, cuts: int) -> tuple[dict[str, int], list[Check]]:
    (client,) = load.clients
    client.owned = []  # a change of capacity is not repeated by the service itself: it might undo another one
    made: Counter[str] = Counter()
    seen_once = 0
    while proxy.cuts < cuts:
        moments = [chance.choice(MOMENTS) for _ in range(chance.choice([1, 2]))]
        proxy.arm(*moments)
        before = client.caller.seen["503"]
        for _ in range(MANY):
            client.step()
            if proxy.armed < len(moments):
                break
        assert proxy.armed < len(moments), "no change reached the database"
        if len(moments) == 1:
            seen_once += client.caller.seen["503"] - before
        made.update(moments[: len(moments) - proxy.armed])
        proxy.arm()
        client.read(chance.choice(client.students))
    figures = {
        **{f"cut {moment} it": made[moment] for moment in MOMENTS},
        "operations": load.operations,
        "503": load.count("503"),
    }
    checks = [
        Check("single cuts that a client saw", seen_once),
        Check("responses lost", load.count("responses lost")),
        Check("503 without Retry-After", load.count("503 without Retry-After")),
        *settled(load),
        *load.stage.verified(promoting=True),
    ]
    return figures, checks
