"""An app: a hotline that hands each caller on to the agent who has been free longest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from utd_rx import UTDCallSession, UTDCallStatus, UTDStreamClient, UTDStreamException

HANDED_ON = "handed-on"
"""The topic of the data message that tells a caller whom to call instead."""

TALKING_SOON = 10.0
"""Seconds that an agent is kept free for a caller who was handed on."""


class CallCentre:
    """Answers the hotline and tells the caller an agent's name; the caller's app hangs up, and
    calls that agent. While no agent is free the hotline is busy.

    Args:
        client: Signed in as the hotline.
        hotline: A session of it, to talk to callers with.
        agents: The sessions of the agents, by their identity.
    """

    def __init__(
        self,
        client: UTDStreamClient,
        hotline: UTDCallSession,
        agents: Mapping[str, UTDCallSession],
    ) -> None:
        self.client = client
        self.hotline = hotline
        self.agents = agents
        self._last = dict.fromkeys(agents, float("-inf"))

    async def run(self) -> None:
        """Answer until the client is closed."""
        async for ringing in self.client.ringing_calls.changes():
            for call in ringing:
                with suppress(UTDStreamException):  # who called has given up
                    await self._hand_on(call.call_id, call.caller_identity)

    async def _hand_on(self, call_id: str, caller: str) -> None:
        now = asyncio.get_running_loop().time()
        free = [name for name in self.agents if self._is_free(name, now)]
        if not free:
            await self.hotline.busy(call_id)
            return
        agent = min(free, key=self._last.__getitem__)
        await self.hotline.accept(call_id)
        self._last[agent] = now
        with suppress(TimeoutError):
            await self.hotline.remote_participants.until(lambda there: len(there) == 1, timeout=5)
            await self.hotline.send_data(agent.encode(), topic=HANDED_ON, to=[caller])
            await self.hotline.status.until(UTDCallStatus.ENDED, timeout=5)
        await self.hotline.end()

    def _is_free(self, agent: str, now: float) -> bool:
        is_promised = now < self._last[agent] + TALKING_SOON
        status = self.agents[agent].status.value
        return not is_promised and (status is None or status.is_terminal)


async def answer(client: UTDStreamClient, session: UTDCallSession) -> None:
    """Be an agent: answer whoever calls, one at a time."""
    async for ringing in client.ringing_calls.changes():
        if ringing and session.status.value is not UTDCallStatus.ACTIVE:
            with suppress(UTDStreamException):
                await session.accept(ringing[0].call_id)
