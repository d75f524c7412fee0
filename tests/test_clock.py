"""Nothing reads the clock when it is imported or collected.

What is computed then is old when it is used: a token "issued in the future" is a good one once the suite has run for as
long as it lies ahead. The code is read, not run: a call counts when it is executed by an import (in a module, a class
body, a decorator or a default), and is a clock or a function of the project that calls one, through any number of
modules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .support.databases import ROOT

CLOCKS = {
    *(f"time.{name}" for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")),
    *(f"time.{name}" for name in ("localtime", "gmtime", "ctime", "asctime", "strftime")),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
    "uuid.uuid1",
}


class Module:
    """One file: what its names mean, and its functions."""

    def __init__(self, name: str, tree: ast.Module, *, is_package: bool = False) -> None:
        self.name, self.tree = name, tree
        self.package = name if is_package else name.rpartition(".")[0]
        self.meanings: dict[str, str] = {}
        self.functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]  # `import a.b` gives the name a, `import a.b as c` gives a.b
                    self.meanings[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                self.meanings |= {each.asname or each.name: f"{base}.{each.name}" for each in node.names}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                        self.functions[node.name] = each

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self.package.split(".")
        above = parents[: len(parents) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    def meaning(self, function: ast.expr) -> str:
        """Return the full name of what is called; a name that is not known here is one of this module."""
        first, *rest = ast.unparse(function).split(".")
        return ".".join([self.meanings.get(first, f"{self.name}.{first}"), *rest])


class Project:
    """All modules, and which of their functions read the clock."""

    def __init__(self, modules: list[Module]) -> None:
        self.modules = {each.name: each for each in modules}
        self._known: dict[str, bool] = {}

    def reads_clock(self, name: str) -> bool:
        """Return whether calling this reads the clock, itself or through functions of the project."""
        if name in CLOCKS:
            return True
        module_name, _, function = name.rpartition(".")
        module = self.modules.get(module_name)
        if module is None or name in self._known:
            return self._known.get(name, False)
        self._known[name] = False  # a function that calls itself
        if function in module.functions:
            calls = (call for each in module.functions[function].body for call in executed(each))
            self._known[name] = any(self.reads_clock(module.meaning(each.func)) for each in calls)
        elif module.meanings.get(function, name) != name:
            self._known[name] = self.reads_clock(module.meanings[function])  # passed on, as by an __init__.py
        return self._known[name]

    def offences(self) -> list[str]:
        """Return each call that reads the clock when its module is imported."""
        return [
            f"{module.name}, line {call.lineno}: {ast.unparse(call)}"
            for module in self.modules.values()
            for call in executed(module.tree)
            if self.reads_clock(module.meaning(call.func))
        ]


def executed(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that happen when `node` is executed: not those in functions that it defines, nor of a script."""
    if isinstance(node, ast.Call):
        yield node
    inside: list[ast.AST]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inside = [*node.decorator_list, node.args]
    elif isinstance(node, ast.Lambda):
        inside = [node.args]
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
        inside = []
    else:
        inside = list(ast.iter_child_nodes(node))
    for each in inside:
        yield from executed(each)


def files() -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each module of the service, its tests and its benchmarks that is imported."""
    for folder, top in ((ROOT / "src", ROOT / "src"), (ROOT / "tests", ROOT), (ROOT / "benchmarks", ROOT)):
        for path in sorted(folder.rglob("*.py")):
            if path.name == "__main__.py":
                continue  # a script
            yield ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__"), path


def test_nothing_reads_the_clock_when_it_is_imported() -> None:
    modules = [
        Module(name, ast.parse(path.read_text()), is_package=path.name == "__init__.py") for name, path in files()
    ]

    assert len(modules) > 100
    assert Project(modules).offences() == []


HELPERS = "import time as t\ndef now():\n    return int(t.time())\ndef later():\n    return now() + 600\n"


@pytest.mark.parametrize(
    "code",
    [
        "import time\nNOW = int(time.time())",
        "from time import monotonic as clock\nSTART = clock()",
        "from datetime import UTC, datetime\nclass Test:\n    today = datetime.now(UTC)",
        "import datetime\ndef test(day=datetime.date.today()): ...",
        "import pytest\nfrom datetime import date\n@pytest.mark.parametrize('day', [date.today()])\ndef test(day): ...",
        "from .helpers import later\nTOKENS = {'issued in the future': [later()]}",
        "from . import helpers\n@mark(ids=[str(n) for n in range(helpers.now())])\ndef test(): ...",
        "def now():\n    return datetime.now()\nfrom datetime import datetime\nNOW = now()",
    ],
)
def test_a_clock_that_is_read_on_import_is_found(code: str) -> None:
    modules = [Module("tests.helpers", ast.parse(HELPERS)), Module("tests.test_it", ast.parse(code))]

    assert [each for each in Project(modules).offences() if each.startswith("tests.test_it, line ")]


@pytest.mark.parametrize(
    "code",
    [
        "import time\ndef test():\n    assert time.time()",
        "from .helpers import later\nTOKENS = {'issued in the future': lambda: later()}",
        "from .helpers import later\ndef main(): later()\nif __name__ == '__main__':\n    main()",
        "def time(): return 1\nNOW = time()",
    ],
)
def test_a_clock_that_is_read_later_is_not_reported(code: str) -> None:
    modules = [Module("tests.helpers", ast.parse(HELPERS)), Module("tests.test_it", ast.parse(code))]

    assert Project(modules).offences() == []
