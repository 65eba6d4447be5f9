"""A session in a terminal: shown while it lasts, and told what is typed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from utd_rx.cli.display import REDRAW, SessionDisplay
from utd_rx.cli.keyboard import Typing, keyboard
from utd_rx.cli.stopping import on_signals
from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from rich.console import RenderableType

Command: TypeAlias = Callable[[], Coroutine[Any, Any, object]]
Turn: TypeAlias = AbstractAsyncContextManager[None]


class Cockpit:
    """Shows a picture on a display, and does what keys and lines say.

    Args:
        display: Where to.
        keys: What each key does on an empty line; `q` and Ctrl-D leave.
        write: Takes a line that was typed.
        draw: How things stand, below what is typed.
        patience: Seconds that whoever leaves waits for what a script has said before.

    Where no terminal types, lines are done one after the other, each when those before are.
    """

    def __init__(
        self,
        display: SessionDisplay,
        keys: Mapping[str, Command],
        write: Callable[[str], Coroutine[Any, Any, object]],
        draw: Callable[[str], RenderableType],
        patience: float = 10.0,
    ) -> None:
        self._display = display
        self._draw = draw
        self._patience = patience
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = nullcontext() if sys.stdin.isatty() else asyncio.Lock()
        does: dict[str, Callable[[], None]] = {
            key: partial(self._press, command) for key, command in keys.items()
        }
        does["q"] = self.leave
        self.typing = Typing(does, lambda line: self.do(write(line)), self.leave)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    def leave(self) -> None:
        """Let `run` return, once what a script has said before is done."""
        if isinstance(self._turn, asyncio.Lock) and self._tasks:
            self.do(self._leave_after(set(self._tasks)), asyncio.Lock())
        else:
            self.stop()

    async def _leave_after(self, tasks: set[asyncio.Task[None]]) -> None:
        await asyncio.wait(tasks, timeout=self._patience)
        self.stop()

    def do(self, command: Coroutine[Any, Any, object], turn: Turn | None = None) -> None:
        """Run a command in its turn, and show why it failed if it did."""
        task = asyncio.ensure_future(self._done(command, turn or self._turn))
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

    async def _done(self, command: Coroutine[Any, Any, object], turn: Turn) -> None:
        try:
            async with turn:
                await command
        except UTDStreamException as error:
            self._display.event("refused", error, f"  !! {error.message}")
        finally:
            command.close()  # which waited for its turn, and does not any more
