"""All private parts of granian that the server uses, and the check that they exist.

granian offers no public way to send a response later or from another thread, nor to notice a worker that hangs. So its
version is pinned exactly (pyproject.toml), and `check` stops the start of the server if another one was installed in
which one of these parts is missing or has other parameters.

Replaced, in each worker process:
    `mp._wsgi_call_wrap`: returns the function that granian's threads call with each request. `call_with_requests`
    replaces it by `Receiver.receive` (decision 14). What that function gets is private as well: an object with
    `response_bytes` and `response_iter` (`application.Transport`), which any thread may call at any time, and a dict
    with the keys of WSGI, whose `wsgi.input` must be read before the function returns.
Extended, in the parent process (`supervisor.Supervisor`):
    `MPServer._spawn_worker` and `MPServer.shutdown`; `WorkerProcess.is_alive`, which `MPServer` calls.
Called or read there:
    `MPServer.signal_handler_interrupt`, `wrks`, `interrupt_children`, `interrupt_signal`, `main_loop_interrupt`;
    `WorkerProcess.inner`, which is a `multiprocessing.Process`, and `WorkerProcess.idx`.
Not checked, because only log lines depend on them: the logger `_granian` and the text of one message (`serving.serve`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import granian
from granian.server import mp

from ..config import ConfigurationError

PARAMETERS = {
    "_wsgi_call_wrap": (mp, ["callback", "scope_opts", "access_log_fmt"]),
    "_spawn_worker": (mp.MPServer, ["self", "idx", "target", "callback_loader"]),
    "shutdown": (mp.MPServer, ["self", "exit_code"]),
    "signal_handler_interrupt": (mp.MPServer, ["self", "args", "kwargs"]),
}
ATTRIBUTES = {
    mp.MPServer: {"wrks", "interrupt_children", "interrupt_signal", "main_loop_interrupt", "is_alive"},
    mp.WorkerProcess: {"inner", "idx"},
}


def check() -> None:
    """Raise `ConfigurationError` unless granian has the private parts that are listed above."""
    missing = [
        name
        for name, (owner, parameters) in PARAMETERS.items()
        if list(inspect.signature(getattr(owner, name, lambda: None)).parameters) != parameters
    ]
    for owner, names in ATTRIBUTES.items():
        missing += sorted(names - _names_in(owner))
    if "_wsgi_call_wrap" not in _names_in(mp.MPServer) or granian.Granian is not mp.MPServer:
        missing.append("MPServer")
    if missing:
        sentence = (
            f"granian {granian.__version__} has no {missing[0]} as this server needs it. "
            "Install the locked packages with `pip install --require-hashes -r requirements.txt`."
        )
        raise ConfigurationError([sentence])


def _names_in(owner: type) -> set[str]:
    """Return the names that the functions of a class and of its bases use, attributes included."""
    members = (getattr(attribute, "__func__", attribute) for base in owner.__mro__ for attribute in vars(base).values())
    functions = [function for member in members if inspect.isfunction(function := inspect.unwrap(member))]
    return {name for function in functions for name in function.__code__.co_names}


def call_with_requests(receive: Callable[[Any, Any], None]) -> None:
    """Have granian call this function with the transport and the scope of each request of this process."""
    mp._wsgi_call_wrap = lambda *_: receive  # type: ignore[attr-defined]  # noqa: SLF001 - see above
