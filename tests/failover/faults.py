"""The faults, and what clients saw during each of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .cluster import Cluster
from .load import Outcome

HEADINGS = (
    "fault",
    "DATABASE_URL",
    "without a success, s",
    "503",
    "slowest 503, s",
    "slowest 201, s",
    "acknowledged",
    "lost",
    "verify",
)
SLOWEST_REFUSAL_S = 5.5
"""What the default settings allow: `MAX_WAIT_MS` in the queue, then `DATABASE_DEADLINE_MS` and half a second. The table
has what was measured; the promise is about 3 s, where the clients do not compete with the cluster for two cores."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a cluster, and afterwards `Cluster.heal` makes it whole again."""

    name: str
    happen: Callable[[Cluster], None]


def _freeze(cluster: Cluster, *, server_only: bool) -> None:
    cluster.primary().freeze(server_only=server_only)


FAULTS = (
    Fault("standby killed", lambda cluster: cluster.standby().kill()),
    Fault("switchover", lambda cluster: cluster.switch_over()),
    Fault("server of the primary killed", lambda cluster: cluster.primary().kill_server()),
    Fault("machine of the primary killed", lambda cluster: cluster.primary().kill()),
    Fault("machine of the primary frozen", lambda cluster: _freeze(cluster, server_only=False)),
    Fault("server of the primary frozen", lambda cluster: _freeze(cluster, server_only=True)),
)


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of the requests during one fault."""

    fault: str
    address: str
    began: float
    outcomes: Sequence[Outcome]
    lost: int
    verify: str
    """The output of `verify` about what is broken; empty if nothing is."""
    restarts: int
    recovered: bool
    """Whether enrolls succeeded again before the cluster was repaired."""
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Collect what breaks a promise."""
        expected = {200, 201, 503}
        others = sorted({outcome.status for outcome in self.outcomes} - expected)
        self.problems += [f"status {status}" for status in others]
        self.problems += [f"{self.lost} acknowledged changes are lost"] if self.lost else []
        self.problems += [f"verify: {self.verify}"] if self.verify else []
        self.problems += [f"{self.restarts} processes of the service were restarted"] if self.restarts else []
        refusals = [outcome for outcome in self.outcomes if outcome.status == 503]
        if any(not refusal.may_retry for refusal in refusals):
            self.problems.append("503 without Retry-After")
        if self.slowest(503) > SLOWEST_REFUSAL_S:
            self.problems.append(f"a 503 after {self.slowest(503):.1f} s")
        if not self.recovered:
            self.problems.append("no success until the cluster was repaired")
        if not any(outcome.is_acknowledged for outcome in self.outcomes[-50:]):
            self.problems.append("no success at the end")

    def without_success_s(self) -> float:
        """Return the longest time between two successes that ended after the fault began."""
        ends = [outcome.ended for outcome in self.outcomes if outcome.is_acknowledged and outcome.ended >= self.began]
        return max((later - earlier for earlier, later in itertools.pairwise([self.began, *ends])), default=0.0)

    def slowest(self, status: int) -> float:
        """Return the seconds of the slowest response with a status."""
        return max((each.ended - each.began for each in self.outcomes if each.status == status), default=0.0)

    def count(self, status: int) -> int:
        """Return the number of responses with a status."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def row(self) -> list[str]:
        """Return the row of the table; see `HEADINGS`."""
        return [
            self.fault,
            f"`{self.address}`" if "," in self.address or "=" in self.address else self.address,
            f"{self.without_success_s():.1f}",
            f"{self.count(503):,}",
            f"{self.slowest(503):.1f}" if self.count(503) else "",
            f"{self.slowest(201):.1f}",
            f"{self.count(201):,}",
            str(self.lost),
            "BROKEN" if self.verify else "clean",
        ]


def wait_for_recovery(outcomes: Sequence[Outcome], began: float, *, at_least_s: float, at_most_s: float) -> bool:
    """Wait until the last requests succeeded, all of them for some seconds. Return whether they did in time."""
    while time.monotonic() < began + at_most_s:
        time.sleep(0.5)
        now = time.monotonic()
        recent = [outcome for outcome in list(outcomes) if outcome.ended > now - 5]
        if now > began + at_least_s and recent and all(outcome.status == 201 for outcome in recent):
            return True
    return False
