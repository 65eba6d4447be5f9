"""A session in a terminal: shown while it lasts, and told what is typed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from utd_rx.cli.display import REDRAW, SessionDisplay
from utd_rx.cli.keyboard import Typing, keyboard
from utd_rx.cli.stopping import on_signals
from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from rich.console import RenderableType

Command: TypeAlias = Callable[[], Coroutine[Any, Any, object]]


class Cockpit:
    """Shows a picture on a display, and does what keys and lines say.

    Args:
        display: Where to.
        keys: What each key does on an empty line; `q` and Ctrl-D leave.
        write: Takes a line that was typed.
        draw: How things stand, below what is typed.
    """

    def __init__(
        self,
        display: SessionDisplay,
        keys: Mapping[str, Command],
        write: Callable[[str], Coroutine[Any, Any, object]],
        draw: Callable[[str], RenderableType],
    ) -> None:
        self._display = display
        self._draw = draw
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        does = {key: partial(self._press, command) for key, command in keys.items()}
        self.typing = Typing({**does, "q": self.stop}, lambda line: self.do(write(line)), self.stop)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    def do(self, command: Coroutine[Any, Any, object]) -> None:
        """Run a command, and show why it failed if it did."""
        task = asyncio.ensure_future(self._done(command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, over: Awaitable[object]) -> None:
        """Show until `over` is, or somebody left; then what is under way is cancelled.

        Raises:
            UTDStreamException: What `over` failed with.
        """
        ending = asyncio.ensure_future(over)
        asked = asyncio.ensure_future(self._stopped.wait())
        try:
            # Ctrl-C cancels whatever is awaited, by asyncio's own handler.
            with on_signals(self.stop, (signal.SIGTERM,)), keyboard(self.typing):
                while not (ending.done() or asked.done()):
                    self._display.draw(lambda: self._draw(self.typing.line))
                    await asyncio.wait(
                        (ending, asked), timeout=REDRAW, return_when="FIRST_COMPLETED"
                    )
            if ending.done():
                ending.result()
        finally:
            tasks = (ending, asked, *self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._display.close()

    def _press(self, command: Command) -> None:
        self.do(command())

    async def _done(self, command: Coroutine[Any, Any, object]) -> None:
        try:
            await command
        except UTDStreamException as error:
            self._display.event("refused", error, f"  !! {error.message}")
