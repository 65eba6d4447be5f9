"""What a cell of a notebook has made lives until the cell is run again, or the kernel ends."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any, Final

from IPython import get_ipython

_MADE: Final[dict[str, list[Callable[[], None]]]] = {}
"""How to end what each cell has made."""

_HOOKED: Final[list[object]] = []
"""The shells that say when a cell is run."""


def until_run_again(end: Callable[[], None]) -> None:
    """Call `end` before the running cell is run again, or at the end of the kernel.

    A cell is known by the id that its frontend gives it, and where it gives none by its source.
    Outside a notebook there is no cell, and whoever made it ends it.
    """
    shell: Any = get_ipython()
    if not hasattr(shell, "get_parent"):
        return
    if shell not in _HOOKED:
        _HOOKED.append(shell)
        shell.events.register("pre_run_cell", _end_what_it_made)
    parent = shell.get_parent()
    cell = parent.get("metadata", {}).get("cellId") or parent.get("content", {}).get("code", "")
    _MADE.setdefault(cell, []).append(end)


def _end_what_it_made(info: Any) -> None:
    for end in _MADE.pop(info.cell_id or info.raw_cell, ()):
        end()


def _end_all(process: int) -> None:
    while _MADE and os.getpid() == process:  # what a fork copied is the parent's
        for end in _MADE.popitem()[1]:
            end()


atexit.register(_end_all, os.getpid())
