"""Report the metrics of all processes in Prometheus's text format."""

from __future__ import annotations

import fcntl
import os
import platform
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Metric, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from .. import __version__
from ..config import ConfigurationError
from ..database import SCHEMA_REVISION
from . import directory, start
from .instruments import NAMESPACE

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
LOOPBACK = "127.0.0.1"
TRIES = 3


class Everything:
    """Collects the metrics of this process, or of all that share its directory."""

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        build = {"version": __version__, "schema": SCHEMA_REVISION, "python": platform.python_version()}
        info = GaugeMetricFamily(f"{NAMESPACE}_build_info", "The version of the service, always 1.", labels=[*build])
        info.add_metric([*build.values()], 1)
        path = os.environ.get(directory.VARIABLE)
        return [info, *(_collect_files(Path(path)) if path else _collect_own())]


def _collect_own() -> Iterable[Metric]:
    instruments = start()
    instruments.flush()
    return instruments.registry.collect()


def _collect_files(path: Path) -> Iterable[Metric]:
    collector = MultiProcessCollector(None, str(path))
    for tries in range(1, TRIES + 1):
        with directory.locked(path, fcntl.LOCK_SH):
            try:
                return list(collector.collect())
            except struct.error:  # a process has created its file this moment, and it is still empty
                if tries == TRIES:
                    raise
        time.sleep(0.01)
    raise AssertionError


def registry() -> CollectorRegistry:
    """Return a registry of everything."""
    # A new one each time: a lock of a shared one could be held while the process forks.
    everything = CollectorRegistry(support_collectors_without_names=True)
    everything.register(Everything())
    return everything


def text() -> bytes:
    """Return all metrics, as Prometheus reads them."""
    return generate_latest(registry())


def serve_on_loopback(port: int | None) -> None:
    """Report all metrics to programs on this machine, from a thread of this process; not if `port` is None.

    It answers also while all request threads are busy. Raises `ConfigurationError` if the port is in use.
    """
    if port is None:
        return
    try:
        server, _ = start_http_server(port, LOOPBACK, registry())
    except OSError as error:
        raise ConfigurationError([f"METRICS_PORT {port} cannot be used: {error.strerror}."]) from None
    # A worker that outlives this process must not keep the port.
    os.register_at_fork(after_in_child=server.socket.close)
