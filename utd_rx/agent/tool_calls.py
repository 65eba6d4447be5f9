"""The tool calls of a session: run, and answered once, in the session that asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from utd_rx.agent.tools import Toolbox, failed
from utd_rx.errors import UTDStreamException
from utd_rx.protocol.facts.agent import CallAgentTool
from utd_rx.protocol.wire import atoms

logger: Final = logging.getLogger(__name__)

MAX_RUNNING: Final = 32
"""Calls at a time; more are answered with an error."""

MAX_KNOWN: Final = 1_000
"""Calls whose ids are remembered, so that one that is told twice runs once."""


class AgentToolCalls:
    """Runs what the agent calls.

    Args:
        toolbox: The tools.
        answer: Sends a message in the session of an attempt; raises when that is over.
    """

    def __init__(self, toolbox: Toolbox, answer: Callable[[str, int], object]) -> None:
        self._toolbox = toolbox
        self._answer = answer
        self._running = 0
        self._known: dict[tuple[int, str], None] = {}

    async def call(self, effect: CallAgentTool) -> None:
        """Run a tool and send its output. Cancelling is safe: it cancels the function."""
        which = effect.attempt, effect.call_id
        if which in self._known:
            return
        self._known[which] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        output = failed(RuntimeError(f"{MAX_RUNNING} calls are running"))
        if self._running < MAX_RUNNING:
            self._running += 1
            try:
                output = await self._toolbox.run(effect.name, effect.arguments)
            finally:
                self._running -= 1
        if self._toolbox.is_answered(effect.name):
            try:
                self._answer(atoms.function_result(effect.call_id, output), effect.attempt)
            except UTDStreamException as error:
                logger.debug("the result of %s is not sent: %s", effect.name, error.message)
