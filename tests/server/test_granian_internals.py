"""The server does not start with a granian whose private parts differ from those that it uses."""

from __future__ import annotations

from itertools import chain
from unittest.mock import Mock

import pytest
from granian.server import mp

from course_management.config import ConfigurationError, Settings
from course_management.server import granian_internals, serving
from course_management.server.granian_internals import ATTRIBUTES, PARAMETERS


def test_the_installed_granian_has_the_private_parts_that_are_used() -> None:
    granian_internals.check()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_missing_function_stops_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, _ = PARAMETERS[name]
    for each in getattr(owner, "__mro__", [owner]):
        if name in vars(each):
            monkeypatch.delattr(each, name)
    with pytest.raises(ConfigurationError, match=f"has no {name} as this server needs it. Install the locked packages"):
        serving.serve(Settings.load(environ={}), Mock())


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_function_with_other_parameters_stops_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PARAMETERS[name][0], name, lambda self, request: (self, request))
    with pytest.raises(ConfigurationError, match=f"has no {name} "):
        granian_internals.check()


@pytest.mark.parametrize("name", sorted(chain(*ATTRIBUTES.values())))
def test_an_attribute_that_granian_does_not_use_stops_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names_in = granian_internals._names_in  # noqa: SLF001
    monkeypatch.setattr(granian_internals, "_names_in", lambda owner: names_in(owner) - {name})
    with pytest.raises(ConfigurationError, match=f"has no {name} "):
        granian_internals.check()


def test_workers_that_do_not_call_the_replaced_function_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mp.MPServer, "_spawn_wsgi_worker")
    with pytest.raises(ConfigurationError, match="has no MPServer "):
        granian_internals.check()
