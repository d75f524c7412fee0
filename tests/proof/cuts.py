"""The connection to PostgreSQL cut at COMMIT: no client knows whether it was applied until the request is repeated."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from ..support.grouping import MODE
from ..support.real_server import PATIENT, until
from .load import Load
from .proxy import MOMENTS, Moment, Proxy
from .report import Check
from .settled import settled
from .stage import Skipped, Stage

MANY = 500
"""Operations of which at least one must change something."""
CLIENTS = 12
SEVERAL = 2


def prove(stage: Stage, seed: int, cuts: int) -> tuple[dict[str, int], list[Check]]:
    """Cut the commits of one client. Half of the cuts are single; the others cut the service's repetition, too."""
    chance = random.Random(seed)  # noqa: S311 - where to cut
    with _proxied(stage) as proxy, closing(Load(stage, seed, clients=1, faults=True)) as load:
        return _cut(load, proxy, chance, cuts)


def prove_of_waves(stage: Stage, seed: int, cuts: int) -> tuple[dict[str, int], list[Check]]:
    """Cut commits of several changes under the load of several clients: half of the cuts as `prove`, then in pairs."""
    if MODE == "off":
        raise Skipped("groups are off")
    chance = random.Random(seed)  # noqa: S311
    with _proxied(stage) as proxy, closing(Load(stage, seed, CLIENTS, faults=True)) as load:
        return _cut_waves(load, proxy, chance, cuts)


@contextmanager
def _proxied(stage: Stage) -> Iterator[Proxy]:
    """Run the server of a stage behind a proxy, with long time limits."""
    with closing(Proxy(str(Path(str(stage.url.query["host"])) / ".s.PGSQL.5432"))) as proxy:
        through = stage.url.set(
            host="127.0.0.1", port=proxy.port, query={"sslmode": "disable", "gssencmode": "disable"}
        )
        stage.serve(through, **PATIENT)
        yield proxy


def _cut(load: Load, proxy: Proxy, chance: random.Random, cuts: int) -> tuple[dict[str, int], list[Check]]:
    (client,) = load.clients
    client.owned = []  # a change of capacity is not repeated by the service itself: it might undo another one
    made: Counter[str] = Counter()
    seen_once = 0
    for count in itertools.cycle([1, 2]):
        if proxy.cuts >= cuts:
            break
        moments = [chance.choice(MOMENTS) for _ in range(count)]
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
    return _result(load, made, seen_once, {})


def _cut_waves(load: Load, proxy: Proxy, chance: random.Random, cuts: int) -> tuple[dict[str, int], list[Check]]:
    for client in load.clients:
        client.owned = []  # as in `_cut`
    made: Counter[str] = Counter()
    seen_once = 0

    def cut(*moments: Moment) -> None:
        proxy.arm(*moments, of_changes=SEVERAL)
        until(lambda: not proxy.armed, "a wave of several changes")
        made.update(moments)
        # Each client may be one whose request was in it, and whose next one must not be a second cut for the service.
        before = [client.done for client in load.clients]
        until(
            lambda: all(client.done > done + 1 for client, done in zip(load.clients, before, strict=True)), "responses"
        )

    def disturb() -> None:
        nonlocal seen_once
        while proxy.cuts < cuts // 2:
            cut(chance.choice(MOMENTS))
        seen_once = load.count("503")
        while proxy.cuts < cuts:
            cut(chance.choice(MOMENTS), chance.choice(MOMENTS))

    load.run_during(disturb)
    waves = [changes for changes in proxy.cut_changes if changes >= SEVERAL]
    return _result(load, made, seen_once, {"cuts of waves": len(waves), "changes in these": sum(waves)})


def _result(
    load: Load, made: Counter[str], seen_once: int, more: Mapping[str, int]
) -> tuple[dict[str, int], list[Check]]:
    """Return the figures and checks of a part: how many cuts were made at each moment, `more`, and what clients saw."""
    figures = {
        **{f"cut {moment} it": made[moment] for moment in MOMENTS},
        **more,
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
