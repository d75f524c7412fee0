"""CPU time of processes: on a shared machine, other programs change it less than they change a rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil


def spent(processes: Iterable[psutil.Process]) -> dict[psutil.Process, float]:
    """Return the seconds of CPU that each process has used, in user mode and in the kernel."""
    found = {}
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            found[each] = sum(each.cpu_times()[:2])
    return found


def since(before: Mapping[psutil.Process, float]) -> float:
    """Return the seconds of CPU since then, of the processes that still run; a process of autovacuum may have ended."""
    return sum(now - before[process] for process, now in spent(before).items())
