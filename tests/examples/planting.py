"""Bugs, planted into an app by changing a line of it."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any


def planted(app: ModuleType, line: str, instead: str) -> Any:
    """Return a copy of an app's module in which one line, told by a part of it, is another."""
    source = inspect.getsource(app)
    assert source.count(line) == 1, f"{line!r} is in {app.__name__} {source.count(line)} times"
    buggy = ModuleType(f"{app.__name__}_with_a_bug")
    buggy.__file__ = app.__file__
    exec(compile(source.replace(line, instead), f"{app.__file__}: {instead}", "exec"), vars(buggy))
    return buggy
