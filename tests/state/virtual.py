"""An event loop on virtual time: it jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        selector = self._selector  # type: ignore[attr-defined] # no public place for a clock
        select = selector.select

        def jump(timeout: float | None) -> Any:
            events = select(timeout and 0)
            if timeout and not events:
                self._now += timeout
            return events

        selector.select = jump

    def time(self) -> float:
        return self._now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time; raise what its callbacks raised."""
    errors: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: errors.append(context))
        result = runner.run(main)
    if errors:
        raise AssertionError(errors)
    return result
